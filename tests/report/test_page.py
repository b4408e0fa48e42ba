"""The report page and its siblings: what stands in them, that it is the report's, and that text stays text."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import calibfast
from calibfast.report import charts
from calibfast.report.latex import latex
from calibfast.report.markdown import markdown
from calibfast.report.page import page
from calibfast.report.reading import harm, reading

VOID = {"meta", "link", "br", "img"}


class Page(HTMLParser):
    """Elements with their attributes, and the text of table rows; refuses what is not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.rows, self.text = [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if any(tag in ("td", "th") for tag in self.open):
            self.rows[-1][-1] += f" {data}"

    def all(self, tag, **attributes):
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]


@pytest.fixture(scope="module")
def html(studies):
    return page(studies)


@pytest.fixture(scope="module")
def parsed(html):
    return Page(html)


def number(value):
    return f"{value:.4f}"


def test_the_page_needs_nothing_from_outside(html, parsed):
    assert not re.search(r"https?://|url\(|@import", html)
    assert not any("src" in found for _, found in parsed.elements)
    assert [found["href"] for found in parsed.all("link")] == ["data:,"]
    policy = parsed.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy


def test_text_from_files_stays_text(hostile, html, parsed):
    assert len(parsed.all("script")) == 1
    assert parsed.all("img") == []
    assert not any(name.startswith("on") for _, found in parsed.elements for name in found)
    assert hostile in parsed.text
    assert "<img src=x onerror=alert(1)> & co" in parsed.text
    assert html.count("onerror") == html.count("onerror=alert(1)&gt;")


def test_the_numbers_are_the_reports(studies, parsed):
    text = [" ".join(" ".join(row).split()) for row in parsed.rows]
    for study in studies.models:
        for metric, value in ("conf-ECE", study.report.conf_ece), ("Brier", study.report.brier):
            assert any(row.startswith(metric) and f" {number(value)} " in f"{row} " for row in text)
        for name, part in study.report.groups.items():
            [row] = [row for row in text if row.startswith(name) and number(part.conf_ece) in row]
            assert f"{part.mean_confidence:.1%} {part.accuracy:.1%}" in row
    found = studies.comparisons[studies.models[1].name].metrics["conf_ece"]
    [row] = [row for row in text if row.startswith("conf-ECE") and f"{found.difference:+.4f}" in row]
    assert f"{found.low:+.4f} to {found.high:+.4f}" in row
    assert row.endswith("better")


def test_every_bar_says_its_bin(studies, parsed):
    spoken = [found["aria-label"] for found in parsed.all("g", role="img")]
    for study in studies.models:
        for part in study.report.reliability:
            said = f"{part.count:,} rows, {part.count / study.report.n:.1%} of all"
            if part.count:
                said += f"; says {part.confidence:.1%}, right {part.accuracy:.1%}"
            assert any(said in words for words in spoken)


def test_the_study_is_what_the_library_says(files, studies):
    arrays = np.load(files[0])
    probs, labels = arrays["probs"], arrays["labels"]
    study = studies.models[0]
    assert study.report.conf_ece == calibfast.ece(probs, labels)
    assert np.mean([option.ece for option in study.options]) == pytest.approx(study.report.cw_ece, rel=1e-12)
    assert sum(part.count for part in study.pooled) == probs.size
    order = np.argsort(-probs.max(axis=1), kind="stable")
    wrong = (probs.argmax(axis=1) != labels)[order]
    for coverage, risk in study.risk_coverage[9::10]:
        assert risk == pytest.approx(wrong[: round(coverage * len(wrong))].mean())
    assert study.temperature.temperature == pytest.approx(3, rel=0.2)  # the other model to the third power
    assert study.temperature.conf_ece < study.report.conf_ece / 2
    assert list(harm(study.report).values()) == sorted(harm(study.report).values(), reverse=True)
    assert sum(harm(study.report).values()) == pytest.approx(1)


def test_the_reading_says_it_in_words(studies):
    sharp = " ".join(reading(studies.models[0]))
    assert re.search(r"Says \d\d\.\d% and is right \d\d\.\d% of the time: over-confident by \d\d\.\d points", sharp)
    assert re.search(r"A temperature of \d\.\d\d brings conf-ECE from 0\.\d+ to 0\.\d+ on rows that it was not", sharp)
    assert "does the most harm" in sharp


def test_confidences_and_odd_files_have_a_page(study, tmp_path):
    rng = np.random.default_rng(0)
    confidence = rng.random(60)
    cases = {
        "confidences": {"conf": confidence, "correct": rng.random(60) < confidence},
        "all right": {"conf": np.full(12, 0.9), "correct": np.ones(12, bool)},
        "one row": {"conf": [0.7], "correct": [1]},
        "all certain": {"conf": np.ones(20), "correct": np.arange(20) % 2},
    }
    for name, arrays in cases.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
        studies = study(tmp_path / f"{name}.npz", bins=[0, 0.5, 0.75, 1])
        text = Page(page(studies)).text
        assert "Class-wise reliability" not in text
        assert "temperature scaling needs the probabilities of all options" in text
        assert json.loads(studies.to_json())["models"][0]["temperature"] is None
        assert markdown(studies).startswith(f"# Calibration of {name}")


def test_absent_options_and_ignored_rows(study, tmp_path):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(90, 4)).astype(np.float32)
    logits[:, 3] = np.where(np.arange(90) < 30, -np.inf, logits[:, 3])
    labels = rng.integers(0, 3, 90)
    labels[:10] = -100
    np.savez(tmp_path / "a.npz", logits=logits, labels=labels)
    studies = study(tmp_path / "a.npz", logits=True, ignore_index=-100)
    found = studies.models[0]
    assert [option.rows for option in found.options] == [80, 80, 80, 60]
    assert found.report.n == 80
    assert "10 rows were left out" in Page(page(studies)).text


def test_json_is_everything(studies):
    found = json.loads(studies.to_json())
    assert [model["report"] for model in found["models"]] == [
        json.loads(study.report.to_json()) for study in studies.models
    ]
    assert found["comparisons"].keys() == studies.comparisons.keys()
    assert len(found["models"][0]["options"]) == 4


def test_markdown(studies):
    text = markdown(studies)
    for study in studies.models:
        assert f"| conf-ECE | {number(study.report.conf_ece)} |" in text
    assert "<" not in re.sub(r"\\<|p \| < ", "", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    tables = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert tables == {6, 7, 5, 8}  # none was cut by a | in a name


def test_latex(studies):
    text = latex(studies)
    first, second = (study.report for study in studies.models)
    low, high = first.ci["conf_ece"]
    [row] = [line for line in text.splitlines() if line.startswith("conf-ECE")]
    assert f"${first.conf_ece:.4f}$ {{\\scriptsize [${low:.4f}$, ${high:.4f}$]}} & ${second.conf_ece:.4f}$" in row
    assert r"\& co &" in text


def test_a_notebook_shows_the_report(studies):
    report = studies.models[0].report
    text = report._repr_html_()
    shown = Page(text)
    assert "over-confident" in shown.text
    assert len(shown.all("svg")) == 2
    assert shown.all("script") == []
    assert number(report.conf_ece) in shown.text
    weighted = calibfast.evaluate([0.9, 0.6], [True, False], weights=[1, 2])
    assert 'class="whisker"' in text
    assert 'class="whisker"' not in weighted._repr_html_()


def test_ticks_hold_the_values():
    for low, top in (0, 0), (0, 1), (-1, 1), (-0.004, 0.003), (-0.31, 0.02), (0, 0.3):
        ticks = charts._ticks(top, low)
        assert ticks[0] <= low <= top <= ticks[-1] + 1e-12
        assert 0 in ticks
        assert 2 <= len(ticks) <= 8
