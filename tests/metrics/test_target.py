"""Calibration against a known truth, beside plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import calibfast
from calibfast.errors import InputError
from calibfast.metrics.interval_methods import SKEW
from calibfast.recalibration import TemperatureScaling, cross_fit, estimate_critical_accuracy
from calibfast.recalibration.critical import GROUPS, JACKKNIFE
from calibfast.recalibration.cross_fit import drawn_folds
from calibfast.recalibration.options import read_labelled

RNG = np.random.default_rng(0)
TRUTH = RNG.dirichlet([0.5] * 4, size=400)
GIVEN = RNG.dirichlet([1.0] * 4, size=400)


def test_distances_beside_numpy():
    assert calibfast.tce(GIVEN, TRUTH) == pytest.approx(
        np.mean([np.abs(p - t).sum() / 2 for p, t in zip(GIVEN, TRUTH, strict=True)])
    )
    assert calibfast.tce(GIVEN, TRUTH, distance="squared") == pytest.approx(((GIVEN - TRUTH) ** 2).sum() / 400)
    kl = np.mean([sum(t[j] * np.log(t[j] / p[j]) for j in range(4)) for p, t in zip(GIVEN, TRUTH, strict=True)])
    assert calibfast.tce(GIVEN, TRUTH, distance="kl") == pytest.approx(kl)
    assert calibfast.tce(np.log(GIVEN), TRUTH, logits=True) == pytest.approx(calibfast.tce(GIVEN, TRUTH))
    assert calibfast.tce(TRUTH, TRUTH) == 0
    mask = np.array([[True, True, False]])
    assert calibfast.tce([[0.0, 0.0, 9.0]], [[0.7, 0.3, 0.0]], logits=True, mask=mask) == pytest.approx(0.2)


def test_absent_options_and_certainties():
    logits = np.array([[0.0, 0.0, -np.inf]])
    assert calibfast.tce(logits, [[1.0, 0.0, 0.0]], logits=True) == 0.5
    assert calibfast.tce(logits, [[1.0, 0.0, 0.0]], logits=True, distance="kl") == pytest.approx(np.log(2))
    assert calibfast.tce([[1.0, 0.0]], [[0.5, 0.5]], distance="kl") == np.inf


def test_ece_against_the_truth_is_what_drawn_answers_tend_to():
    top = GIVEN.argmax(axis=1)
    cell = np.ceil(GIVEN.max(axis=1) * 10)
    rows = np.arange(400)
    expected = sum(abs((GIVEN[rows, top] - TRUTH[rows, top])[cell == m].sum()) for m in range(11)) / 400
    assert calibfast.target_ece(GIVEN, TRUTH) == pytest.approx(expected)
    assert calibfast.target_ece(TRUTH, TRUTH) == 0
    apart = calibfast.target_ece([[0.905, 0.095], [0.895, 0.105]], [[0.705, 0.295], [1.0, 0.0]])  # by the edge at 0.9
    assert apart == pytest.approx((0.2 + 0.105) / 2)
    mask = np.ones((400, 5), bool)
    mask[:, 4] = False
    wide, wide_truth = (np.pad(p, ((0, 0), (0, 1)), constant_values=0.0) for p in (GIVEN, TRUTH))
    logits = np.log(np.where(mask, wide, np.e**7))
    assert calibfast.target_ece(logits, wide_truth, logits=True, mask=mask) == pytest.approx(expected)
    assert calibfast.target_ece(GIVEN, TRUTH) <= calibfast.tce(GIVEN, TRUTH)
    many = np.random.default_rng(1).permutation(np.repeat(np.arange(400), 500))
    labels = (TRUTH[many].cumsum(axis=1) < np.random.default_rng(2).random((len(many), 1))).sum(axis=1).clip(max=3)
    assert calibfast.ece(GIVEN[many], labels) == pytest.approx(expected, abs=0.003)


def test_critical_accuracy_with_the_truth_and_with_answers():
    found = calibfast.critical_accuracy(TRUTH)
    assert found.estimate == pytest.approx(TRUTH.max(axis=1).mean())
    assert found.low < found.estimate < found.high
    draw = np.random.default_rng(3)
    few, many = (calibfast.critical_accuracy_of_answers(draw.multinomial(n, TRUTH)) for n in (3, 300))
    for each in (few, many):
        assert each.low < TRUTH.max(axis=1).mean() < each.high
    assert few.estimate < many.estimate
    assert many.high - many.low < few.high - few.low


def test_critical_accuracy_is_as_uncertain_as_a_mean():
    def error(values):
        return 1.96 * values.std(ddof=1) / np.sqrt(len(values))

    best = TRUTH.max(axis=1)
    found = calibfast.critical_accuracy(TRUTH)
    assert (found.level, found.method) == (0.95, SKEW)
    assert found.high - found.estimate == pytest.approx(error(best), rel=0.05)
    assert found.estimate - found.low == pytest.approx(error(best), rel=0.05)
    assert calibfast.critical_accuracy([[1.0, 0.0]] * 11 + [[0.5, 0.5]]).high == 1
    counts = np.random.default_rng(3).multinomial(9, TRUTH)
    found = calibfast.critical_accuracy_of_answers(counts)
    agreeing = counts.max(axis=1) / 9
    assert found.high == pytest.approx(agreeing.mean() + error(agreeing), abs=2e-3)
    assert found.level == 0.95
    assert found.method.startswith(SKEW)


def test_an_answer_is_left_out_of_its_majority():
    # Of two who disagree neither is the other's majority; of three the one of two is right where the third is left out.
    assert calibfast.critical_accuracy_of_answers([[1, 1]] * 10).estimate == 0
    assert calibfast.critical_accuracy_of_answers([[2, 1]] * 10).estimate == pytest.approx(2 / 3 * 1 / 2)


def test_single_answers_tell_a_star_where_the_scores_do_and_less_where_they_do_not():
    draw = np.random.default_rng(4)
    truth = draw.dirichlet([0.5] * 4, size=1500)
    labels = draw.multinomial(1, truth).argmax(axis=1)
    a_star = truth.max(axis=1).mean()
    scores = 3 * np.log(np.maximum(truth, 1e-12))
    knows = estimate_critical_accuracy(scores, labels, logits=True)
    guesses = estimate_critical_accuracy(scores + 6 * draw.standard_normal(truth.shape), labels, logits=True)
    assert knows.confidence.low < a_star < knows.confidence.high
    assert guesses.confidence.high < a_star
    for each in (knows, guesses):
        assert max(each.at_least, each.brier_bound, each.nll_bound) < a_star + 0.02
    order = draw.permutation(1500)
    again = estimate_critical_accuracy(scores[order], labels[order], logits=True)
    assert again.confidence.low == pytest.approx(knows.confidence.low)


def test_the_estimate_from_single_answers_in_numbers():
    draw = np.random.default_rng(5)
    truth, mask = draw.dirichlet([0.5] * 3, size=40), np.ones((40, 3), bool)
    labels = draw.multinomial(1, truth).argmax(axis=1)
    mask[:, 2] = (np.arange(40) % 3 > 0) | (labels == 2)
    given = {"p": 2 * np.log(np.maximum(truth, 1e-3)), "labels": labels, "logits": True, "mask": mask}
    found, fitted = estimate_critical_accuracy(**given, folds=4), cross_fit(TemperatureScaling(), **given, folds=4)
    right, hits = fitted[np.arange(40), labels], int((fitted.argmax(axis=1) == labels).sum())
    wilson = stats.binomtest(hits, 40).proportion_ci(0.9, method="wilson")
    assert found.at_least == pytest.approx(wilson.low)
    assert found.brier_bound == pytest.approx(1 - calibfast.evaluate(fitted, labels).brier)
    assert found.nll_bound == pytest.approx(np.exp(np.log(right).mean()))
    without, group = [], drawn_folds(*read_labelled(**given), GROUPS)
    for each in range(GROUPS):
        rest = {name: value if name == "logits" else value[group != each] for name, value in given.items()}
        asked = {name: value for name, value in rest.items() if name != "labels"}
        without.append(TemperatureScaling().fit(**rest).predict_proba(**asked).max(axis=1).mean())
    error = np.sqrt((GROUPS - 1) / GROUPS * ((np.array(without) - np.mean(without)) ** 2).sum())
    half = stats.t.ppf(0.975, GROUPS - 1) * error
    estimate = fitted.max(axis=1).mean()
    ends = (estimate - half, min(1, estimate + half))
    assert (found.confidence.low, found.confidence.high) == pytest.approx(ends, abs=5e-5)
    assert (found.confidence.estimate, found.confidence.level) == (pytest.approx(estimate), 0.95)
    assert (found.confidence.method, found.to_dict()["at_least"]) == (JACKKNIFE, found.at_least)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibfast.tce(GIVEN, TRUTH[:, :3]), "truth: probabilities at row 0"),
        (lambda: calibfast.tce(GIVEN[:3], TRUTH), "predictions have shape"),
        (lambda: calibfast.tce(GIVEN, TRUTH, distance="l1"), "distance is 'l1'"),
        (lambda: calibfast.critical_accuracy(TRUTH[:9]), "at least 10 questions, got 9"),
        (lambda: calibfast.critical_accuracy_of_answers([[1, 0]] * 10), "row 0 has 1 answers"),
        (lambda: calibfast.critical_accuracy_of_answers([[1, 2], [1.5, 2]] * 10), "row 1 .*no whole numbers"),
        (lambda: calibfast.critical_accuracy_of_answers([1, 2]), "expected"),
        (lambda: estimate_critical_accuracy(GIVEN[:39], [0] * 39), "at least 40 questions"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
