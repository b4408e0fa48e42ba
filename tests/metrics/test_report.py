"""What a report says beside the metrics that the registry checks."""

import json
import math

import numpy as np
import pytest

import calibfast

RNG = np.random.default_rng(0)
P = RNG.dirichlet([0.4] * 4, 1000)
Y = np.where(RNG.random(1000) < 0.5, P.argmax(axis=1), RNG.integers(0, 4, 1000))


def constant_predictor(p, a):
    """The same predicted options, each with confidence a, the rest evenly."""
    k = p.shape[1]
    probs = np.full(p.shape, (1 - a) / (k - 1))
    probs[np.arange(len(p)), p.argmax(axis=1)] = a
    return probs


def test_the_base_rate_is_what_the_constant_predictor_scores():
    report = calibfast.evaluate(P, Y)
    constant = calibfast.evaluate(constant_predictor(P, report.accuracy), Y)
    for name in ["accuracy", "mean_confidence", "brier", "nll", "auroc"]:
        assert report.base_rate[name] == pytest.approx(getattr(constant, name), abs=1e-9)
    assert constant.conf_ece == pytest.approx(0, abs=1e-9)
    alone = calibfast.evaluate(P.max(axis=1), P.argmax(axis=1) == Y)
    assert alone.base_rate["brier"] == pytest.approx(report.accuracy * (1 - report.accuracy))
    exact = {"signed_gap": 0, "conf_ece": 0, "mce": 0, "rmsce": 0, "cw_ece": None, "auroc": 0.5}
    assert {name: report.base_rate[name] for name in exact} == exact
    assert report.base_rate["aurc"] == 1 - report.accuracy
    for y in (0, 1):
        assert calibfast.evaluate([0.4, 0.6], [y, y]).base_rate["auroc"] is None
    assert (report.bins, report.classes, report.ignored, report.version) == (10, 4, 0, calibfast.__version__)


def test_ragged_rows_are_the_same_as_their_parts():
    logits = np.log(P)
    wide = np.pad(logits, ((0, 0), (0, 2)), constant_values=-np.inf)
    report = calibfast.evaluate(wide, Y, logits=True)
    narrow = calibfast.evaluate(logits, Y, logits=True)
    for name in ["conf_ece", "brier", "nll", "auroc", "cw_ece"]:
        assert getattr(report, name) == pytest.approx(getattr(narrow, name), rel=1e-12), name
    assert report.base_rate["brier"] == pytest.approx(narrow.base_rate["brier"])
    masked = calibfast.evaluate(np.pad(P, ((0, 0), (0, 2))), Y, mask=np.isfinite(wide))
    assert masked.cw_ece == pytest.approx(narrow.cw_ece)


def test_groups():
    names = np.where(np.arange(1000) % 3 == 0, "law", "math")
    report = calibfast.evaluate(P, Y, groups=names)
    assert list(report.groups) == ["law", "math"]
    assert report.groups["law"] == calibfast.evaluate(P[::3], Y[::3])
    assert sum(group.n for group in report.groups.values()) == report.n
    errors = calibfast.group_errors(P, Y, names)
    assert (report.worst_group, report.multicalibration_gap) == (errors.worst, errors.gap)
    assert errors.errors[errors.worst] == max(errors.errors.values())
    wrong = calibfast.evaluate([0.9, 0.8, 0.7], [1, 0, 0], groups=["right", "wrong", "wrong"])
    assert (list(wrong.groups), wrong.worst_group) == (["right", "wrong"], "wrong")
    assert list(calibfast.evaluate(P, Y, groups=names, weights=names == "law").groups) == ["law"]


def test_intervals_hold_the_estimate():
    report = calibfast.evaluate(P, Y)
    low, high = report.ci["accuracy"]
    assert low < report.accuracy < high
    low, high = report.ci["signed_gap"]
    assert low < report.signed_gap < high
    assert calibfast.evaluate(P, Y, weights=np.ones(1000)).ci == {}


@pytest.mark.parametrize("name", ["accuracy", "signed_gap"])
def test_intervals_cover_as_often_as_they_say(name):
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(2000):
        p = rng.beta(5, 2, 200)
        truth = {"accuracy": 5 / 7 * 0.9, "signed_gap": 5 / 7 * 0.1}[name]
        low, high = calibfast.evaluate(p, rng.random(200) < 0.9 * p).ci[name]
        covered += low <= truth <= high
    assert 0.935 < covered / 2000 < 0.965


def test_json_is_valid_even_when_the_loss_is_not_finite(tmp_path):
    report = calibfast.evaluate([1.0, 0.5], [False, True])
    assert math.isinf(report.nll)
    report.save(tmp_path / "report.json")
    assert (tmp_path / "report.json").read_text() == report.to_json(indent=2) + "\n"
    assert (tmp_path / "report.json").read_text().startswith('{\n  "n": 2')
    assert "\n" not in report.to_json()
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["nll"] == "inf"
    assert saved["reliability"][0] == {"lower": 0.0, "upper": 0.1, "count": 0, "accuracy": None, "confidence": None}


def test_auroc_is_let_go_beyond_the_rows_that_are_kept(monkeypatch):
    monkeypatch.setattr("calibfast.metrics.evaluation.MAX_KEPT_ROWS", 999)
    assert calibfast.evaluate(P, Y).auroc is None


def test_the_intervals_of_a_report_by_hand():
    p, y = RNG.random(40), RNG.integers(0, 2, 40)
    for n in (2, 3, 40):
        gap = (p - y)[:n]
        half = 1.959963984540054 * gap.std(ddof=1) / np.sqrt(n)
        assert calibfast.evaluate(p[:n], y[:n]).ci["signed_gap"] == pytest.approx(
            (gap.mean() - half, gap.mean() + half)
        )
    assert "signed_gap" not in calibfast.evaluate(p[:1], y[:1]).ci


@pytest.mark.filterwarnings("ignore::calibfast.CalibfastWarning")
def test_a_report_goes_on_after_a_metric_that_has_no_interval():
    p, y = np.linspace(0.3, 0.9, 10), np.arange(10) % 3 > 0
    found = set(calibfast.evaluate(p, y, ci=True).ci)
    assert found == {"accuracy", "mean_confidence", "signed_gap", "brier", "nll", "conf_ece", "rmsce", "mce"} | {
        "auroc",
        "aurc",
    }
    assert "aurc" in calibfast.evaluate(p, y | True, ci=True).ci
