"""Table, JSON, CSV and picture are views of one report."""

import csv
import io
import json
import re

import numpy as np
import pytest

import calibfast
from calibfast.errors import InputError
from calibfast.report import render


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(4) * 0.3, 2000)
    return calibfast.evaluate(probs, rng.integers(0, 4, 2000))


@pytest.fixture(scope="module")
def calibrated():
    rng = np.random.default_rng(1)
    confidence = rng.random(20000)
    return calibfast.evaluate(confidence, rng.random(20000) < confidence)


def test_the_table_leads_with_what_it_means(report, calibrated):
    assert re.match(r"Says \d\d\.\d% and is right \d\d\.\d% of the time: over-confident by", render(report))
    assert "no clear over- or under-confidence" in render(calibrated).splitlines()[0]
    under = calibfast.evaluate(np.full(1000, 0.5), np.arange(1000) % 10 > 0)
    assert "under-confident by 40.0 points" in render(under).splitlines()[0]


def test_the_table_never_shows_ece_alone(report):
    rows = {line.split("  ")[0]: line.split() for line in render(report).splitlines()}
    assert float(rows["conf-ECE"][-2]) == pytest.approx(report.conf_ece, abs=5e-5)
    assert float(rows["Brier"][-1]) == pytest.approx(report.base_rate["brier"], abs=5e-5)
    assert {"accuracy", "cw-ECE", "NLL", "AUROC"} <= set(rows)


def test_metrics_that_do_not_apply_are_left_out(calibrated):
    assert "cw-ECE" not in render(calibrated)


def test_the_table_is_plain_and_narrow_unless_asked(report):
    text = render(report)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert not any(line.endswith(" ") for line in text.splitlines())
    assert "\x1b[" in render(report, color=True)
    assert max(map(len, render(report, width=200).splitlines())) > 80


def test_bars_show_which_way_a_bin_errs():
    report = calibfast.evaluate([0.95] * 10 + [0.15] * 10, [True] * 5 + [False] * 5 + [True] * 5 + [False] * 5, bins=2)
    low, high = (line for line in render(report).splitlines() if line.startswith(("[", "(")))
    assert "▒" in low
    assert "░" not in low
    assert "░" in high
    assert "▒" not in high


@pytest.mark.parametrize("bins", [1, 2, 15, 1000, [0, 1e-9, 0.5, 1]])
def test_any_bins_can_be_told_apart(calibrated, bins):
    confidence = np.linspace(0, 1, 500)
    text = render(calibfast.evaluate(confidence, confidence > 0.5, bins=bins))
    labels = [line.split("]")[0] for line in text.splitlines() if line.startswith(("[", "("))]
    assert len(set(labels)) == len(labels) == (bins if isinstance(bins, int) else 3)


def test_an_infinite_loss_is_shown():
    report = calibfast.evaluate([1.0, 0.5], [False, True])
    assert re.search(r"NLL +inf", render(report))
    assert next(csv.DictReader(io.StringIO(render(report, "csv"))))["nll"] == "inf"


def test_csv_is_one_row_that_any_report_shares_its_names_with(report, calibrated):
    first, second = render(report, "csv"), render(calibrated, "csv")
    assert first.splitlines()[0] == second.splitlines()[0]
    (row,) = csv.DictReader(io.StringIO(first))
    assert float(row["conf_ece"]) == report.conf_ece
    assert float(row["accuracy_low"]) == report.ci["accuracy"][0]
    assert float(row["brier_base"]) == report.base_rate["brier"]
    (row,) = csv.DictReader(io.StringIO(second))
    assert row["cw_ece"] == row["classes"] == ""


def test_groups_stand_in_every_view():
    confidence = np.linspace(0.5, 1, 60)
    report = calibfast.evaluate(confidence, confidence > 0.7, groups=["law", "art, music", "[bold]"] * 20)
    rows = list(csv.DictReader(io.StringIO(render(report, "csv"))))
    assert [row["group"] for row in rows] == ["", *report.groups]
    assert [int(row["n"]) for row in rows] == [60, 20, 20, 20]
    assert re.search(r"\[bold\] +20 ", render(report))


@pytest.mark.filterwarnings("ignore::calibfast.CalibfastWarning")
def test_intervals_of_groups_stand_in_every_view():
    confidence = np.random.default_rng(0).random(300)
    report = calibfast.evaluate(confidence, confidence > 0.7, groups=["law", "math", "art"] * 100, ci=True)
    law = report.groups["law"].ci
    low, high = law["conf_ece"]
    assert re.search(f"law +100 .* {low:.4f} to {high:.4f}\n", render(report))
    assert max(map(len, render(report).splitlines())) <= 80
    row = list(csv.DictReader(io.StringIO(render(report, "csv"))))[2]
    assert {name: (float(row[f"{name}_low"]), float(row[f"{name}_high"])) for name in law} == law
    assert row["cw_ece_low"] == ""


def test_json_is_the_report(report):
    assert json.loads(render(report, "json")) == json.loads(report.to_json())


def test_unknown_format(report):
    with pytest.raises(ValueError, match="expected one of table, json, csv"):
        render(report, "yaml")


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_plot(report, tmp_path, suffix):
    figure = report.plot(tmp_path / f"a.{suffix}")
    assert (tmp_path / f"a.{suffix}").stat().st_size > 5000
    diagram, histogram = figure.axes
    heights = [bar.get_height() for bar in histogram.patches]
    assert sum(heights) == pytest.approx(1)
    right, over, under = (container for container in diagram.containers)
    for bar, gap, lack, part in zip(right, over, under, report.reliability, strict=True):
        if part.count:
            assert bar.get_height() + gap.get_height() == pytest.approx(max(part.confidence, bar.get_height()))
            assert bar.get_height() + lack.get_height() == pytest.approx(part.accuracy)


def test_the_fonts_of_a_picture_fit_for_print(report, tmp_path):
    report.plot(tmp_path / "a.pdf")
    assert b"/Type3" not in (tmp_path / "a.pdf").read_bytes()


def test_plot_refuses_what_is_no_picture(report, tmp_path):
    with pytest.raises(InputError, match=r"a\.txt: no picture format; end the name in one of \."):
        report.plot(tmp_path / "a.txt")
