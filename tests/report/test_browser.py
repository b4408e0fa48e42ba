"""The report page in a real browser: Debian's Chromium, driven by playwright."""

import os
import shutil
from itertools import pairwise

import pytest

from calibfast.report.page import page

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH, and make could not install it")

SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
PAPER = {"light": "rgb(252, 252, 251)", "dark": "rgb(21, 24, 27)"}


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    root = [] if os.geteuid() else ["--no-sandbox"]  # Chromium's sandbox refuses root
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=root)
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(studies, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page(studies), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def visit(browser, address):
    """Open the page; whatever it complains of, or asks a network for, fails the test."""
    contexts, wrong = [], []

    def open_page(size="wide", scheme="light", **options):
        width, height = SIZES[size]
        viewport = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=viewport, color_scheme=scheme, **options))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        tab.on("request", lambda request: request.url in (address, "data:,") or wrong.append(request.url))
        tab.goto(address)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def background(tab):
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_it_fits_the_screen_and_follows_the_system(visit, size, scheme):
    tab = visit(size, scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    assert background(tab) == PAPER[scheme]
    assert tab.locator("svg.chart").count() == 12
    for chart in tab.locator("svg.chart").all():
        box = chart.bounding_box()
        assert box["width"] > 250
        assert box["height"] > 200
        assert box["x"] + box["width"] <= SIZES[size][0]
    assert tab.evaluate("document.title").startswith("Calibration of sharp, <img")


def test_the_button_changes_the_theme(visit):
    tab = visit(scheme="light")
    tab.get_by_role("button", name="Dark theme").click()
    assert background(tab) == PAPER["dark"]
    tab.get_by_role("button", name="Light theme").click()
    assert background(tab) == PAPER["light"]


def test_text_can_be_read_in_both_themes(visit):
    """The contrast of WCAG 2.2 AA: 4.5 to 1."""

    def luminance(color):
        parts = [int(part) / 255 for part in color[4:-1].split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for scheme in PAPER:
        tab = visit(scheme=scheme)
        paper = luminance(background(tab))
        for selector, name in (
            ("h1", "color"),
            (".quiet", "color"),
            ("figcaption", "color"),
            ("svg text", "fill"),
            (".key-right", "fill"),
            (".key-said", "fill"),
        ):
            ink = luminance(tab.locator(selector).first.evaluate(f"e => getComputedStyle(e)['{name}']"))
            assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, (scheme, selector)


def test_bars_answer_to_hover(visit):
    tab = visit()
    chart = tab.locator("svg.chart").first
    last = chart.locator(".spot").last
    assert not last.locator(".tip").is_visible()
    assert chart.locator(".rest").is_visible()
    last.locator(".hit").hover()
    assert last.locator(".tip").is_visible()
    assert not chart.locator(".rest").is_visible()
    assert "(0.9, 1.0]" in last.locator(".tip").text_content()


def test_the_keyboard_reaches_everything_in_order(visit):
    tab = visit()
    stops = []
    for _ in range(60):
        tab.keyboard.press("Tab")
        stop = tab.evaluate(
            "() => { const e = document.activeElement; if (e === document.body) return null;"
            "return [e.tagName.toLowerCase(), e.getAttribute('aria-label') || e.textContent.slice(0, 40),"
            " e.getBoundingClientRect().top + scrollY, e.getBoundingClientRect().left]; }"
        )
        if stop is None or stop in stops:
            break
        stops.append(stop)
    assert [stop[1] for stop in stops[:2]] == ["To the reading", "Dark theme"]
    tags = [stop[0] for stop in stops]
    assert tags.count("g") == 10  # one for each chart with bars: the decomposition has none
    assert tags.count("summary") == 2
    assert tags.count("div") == 5  # tables: side by side, two of metrics, two of groups
    tops = [top for tag, _, top, _ in stops[1:] if tag != "g"]
    assert tops == sorted(tops)


def test_arrows_go_from_bar_to_bar(visit):
    tab = visit()
    spots = tab.locator("svg.chart").first.locator(".spot")
    spots.first.focus()
    for key, place in (("ArrowRight", 1), ("End", 9), ("ArrowRight", 9), ("ArrowLeft", 8), ("Home", 0)):
        tab.keyboard.press(key)
        assert spots.nth(place).evaluate("e => e === document.activeElement")
        assert spots.nth(place).locator(".tip").is_visible()
        assert tab.locator("svg.chart").first.locator("[tabindex='0']").count() == 1


def test_what_a_screen_reader_hears(visit):
    tab = visit()
    assert tab.locator("svg:not([aria-label]):not([aria-hidden])").count() == 0
    heard = tab.locator("main").aria_snapshot()
    assert 'heading "Side by side" [level=2]' in heard
    assert "Reliability of confidence" in heard
    assert " rows, " in heard
    levels = tab.eval_on_selector_all("h1, h2, h3", "all => all.map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_without_scripts_every_bar_is_reached(visit):
    tab = visit(java_script_enabled=False)
    assert tab.locator("svg.chart .spot[tabindex='0']").count() == tab.locator("svg.chart .spot").count()
    assert not tab.locator("#theme").is_visible()


def test_it_prints_on_white(visit):
    tab = visit(scheme="dark")
    tab.emulate_media(media="print")
    assert tab.locator("h1").evaluate("e => getComputedStyle(e).color") == "rgb(29, 33, 38)"
    assert not tab.locator("#theme").is_visible()
    assert len(tab.pdf(format="A4")) > 50_000


def test_a_notebook_cell_shows_its_charts(browser, studies):
    context = browser.new_context()
    tab = context.new_page()
    tab.set_content(studies.models[0].report._repr_html_())
    assert tab.locator("svg.chart").count() == 2
    assert tab.locator("svg.chart").first.bounding_box()["height"] > 150
    context.close()
