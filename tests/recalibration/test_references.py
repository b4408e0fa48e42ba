"""Every method beside its definition, written again in NumPy, or fitted by scikit-learn."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from calibfast.recalibration import recalibrator

DRAW = np.random.default_rng(0)


def coin(p):
    return DRAW.random(len(p)) < p


def choose(p):
    return (DRAW.random((len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)


P = np.round(DRAW.beta(0.6, 0.6, 600), 2).clip(0.01, 0.99)  # with ties
HIT = coin(P**2)


def test_isotonic_is_scikit_learns():
    theirs = IsotonicRegression(out_of_bounds="clip").fit(P, HIT)
    asked = np.linspace(0, 1, 777)
    ours = recalibrator("isotonic").fit(P, HIT).predict_proba(asked)
    np.testing.assert_allclose(ours, theirs.predict(asked), atol=1e-12)


def test_several_options_are_one_against_the_rest():
    probs = DRAW.dirichlet([0.5] * 3, 500)
    labels = choose(probs)
    ours = recalibrator("isotonic").fit(probs, labels).predict_proba(probs)
    theirs = np.stack(
        [IsotonicRegression(out_of_bounds="clip").fit_transform(probs[:, k], labels == k) for k in range(3)], axis=1
    )
    np.testing.assert_allclose(ours, theirs / theirs.sum(axis=1, keepdims=True), atol=1e-9)


def test_platt_is_logistic_regression_on_his_targets():
    n, right = len(HIT), HIT.sum()
    target = np.where(HIT, (right + 1) / (right + 2), 1 / (n - right + 2))
    twice = np.concatenate([logit(P), logit(P)])[:, np.newaxis]
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        twice, np.repeat([1, 0], n), sample_weight=np.concatenate([target, 1 - target])
    )
    ours = recalibrator("platt").fit(P, HIT).maps_[0]["coefficients"]
    np.testing.assert_allclose(ours, [theirs.coef_[0, 0], theirs.intercept_[0]], atol=1e-4)


def test_beta_recovers_its_own_model():
    p = DRAW.random(60_000)
    true = np.array([0.5, 1.6, -0.3])
    hit = coin(expit(true[0] * np.log(p) - true[1] * np.log1p(-p) + true[2]))
    np.testing.assert_allclose(recalibrator("beta").fit(p, hit).maps_[0]["coefficients"], true, atol=0.06)


def test_beta_never_falls():
    p = DRAW.random(2000)
    assert (recalibrator("beta").fit(p, coin(1 - p)).maps_[0]["coefficients"][:2] >= 0).all()


def test_vector_scaling_recovers_its_own_model():
    logits = DRAW.normal(size=(60_000, 3)) * 4 + 15  # language models' logits have an offset
    weights, bias = np.array([0.3, 0.5, 0.7]), np.array([0.5, 0.0, -0.5])
    found = recalibrator("vector").fit(logits, choose(softmax(weights * logits + bias, axis=1)), logits=True)
    np.testing.assert_allclose(found.weights_, weights, atol=0.03)
    assert np.ptp(found.bias_ - bias) < 1


def test_matrix_scaling_is_multinomial_logistic_regression():
    logits = DRAW.normal(size=(2000, 3)) * 2
    labels = choose(softmax(logits @ DRAW.normal(size=(3, 3)) / 2, axis=1))
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000).fit(logits, labels).predict_proba(logits)
    ours = recalibrator("matrix").fit(logits, labels, logits=True).predict_proba(logits, logits=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_dirichlet_calibration_is_the_minimum_of_its_loss():
    logits = DRAW.normal(size=(800, 3)) * 2
    labels, x = choose(softmax(logits / 2 + [0.5, 0, 0], axis=1)), log_softmax(logits, axis=1)
    found = recalibrator("dirichlet").set_params(off_diagonal=0.1, intercept=0.2).fit(logits, labels, logits=True)

    def loss(w, b):
        nll = -log_softmax(x @ w.T + b, axis=1)[np.arange(800), labels].mean()
        return nll + 0.1 / 6 * sum(w[i, j] ** 2 for i in range(3) for j in range(3) if i != j) + 0.2 / 3 * (b**2).sum()

    least = minimize(lambda v: loss(v[:9].reshape(3, 3), v[9:]), np.append(np.eye(3), np.zeros(3)), method="BFGS").x
    np.testing.assert_allclose(np.append(found.weights_, found.bias_), least, atol=1e-4)
    by_probs = recalibrator("dirichlet").set_params(off_diagonal=0.1, intercept=0.2).fit(np.exp(x), labels)
    np.testing.assert_allclose(by_probs.weights_, found.weights_, atol=1e-4)
    stiff = recalibrator("dirichlet").set_params(off_diagonal=1e4, intercept=1e4).fit(logits, labels, logits=True)
    assert np.abs(stiff.weights_ - np.diag(np.diag(stiff.weights_))).max() < 1e-3


def test_ensemble_temperature_has_the_best_weights():
    honest = DRAW.normal(size=(3000, 4)) * 2
    labels = choose(0.7 * softmax(honest, axis=1) + 0.3 / 4)
    found = recalibrator("ensemble-temperature").fit(honest, labels, logits=True)
    rows = np.arange(3000)
    parts = [softmax(honest / found.temperature_, axis=1), softmax(honest, axis=1), np.full((3000, 4), 0.25)]
    right = np.stack([part[rows, labels] for part in parts], axis=1)
    grid = [np.array([a, b, 20 - a - b]) / 20 for a in range(21) for b in range(21 - a)]
    assert -np.log(right @ found.weights_).mean() <= min(-np.log(right @ w).mean() for w in grid)
    alone = recalibrator("temperature").fit(honest, labels, logits=True)
    assert alone.temperature_ == found.temperature_


def bins_of(p, count):
    """Edges of bins of equal mass, one row after the other."""
    ordered, edges, begun = sorted(p), [], 0
    for i in range(len(ordered) - 1):
        if ordered[i] != ordered[i + 1] and (i + 1) * count >= (begun + 1) * len(p):
            begun = (i + 1) * count // len(p)
            edges.append((ordered[i] + ordered[i + 1]) / 2)
    return edges


def bin_of(x, edges):
    return sum(x > edge for edge in edges)


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_histogram_binning(count):
    found = recalibrator("histogram").set_params(bins=count).fit(P, HIT)
    edges = bins_of(P, count)
    assert found.maps_[0]["edges"].tolist() == edges
    for x in (0.0, 0.3, P[0], 1.0):
        inside = [hit for p, hit in zip(P, HIT, strict=True) if bin_of(p, edges) == bin_of(x, edges)]
        assert found.predict_proba([x])[0] == pytest.approx(np.mean(inside))


SURE = np.append(np.linspace(0.001, 0.05, 20), np.linspace(0.95, 0.999, 20))


@pytest.mark.parametrize(
    ("few", "hit"),
    [
        pytest.param(P[:120], HIT[:120], id="ties"),
        pytest.param(DRAW.random(120), DRAW.random(120) < 0.5, id="scores that say nothing, and few bins"),
        pytest.param(SURE, SURE > 0.5, id="sure scores, and as many bins as may be"),
        pytest.param(np.repeat([0.1, 0.3, 0.5, 0.9], [1, 1, 6, 1]), np.arange(9) % 2 == 0, id="the same bins again"),
    ],
)
def test_bbq(few, hit):
    total, says = 0.0, np.zeros(5)
    asked, seen = [0.0, 0.2, 0.5, 0.77, 1.0], []
    root = len(few) ** (1 / 3)
    for count in range(max(1, math.floor(root / 10)), math.ceil(10 * root) + 1):
        edges = bins_of(few, count)
        if edges in seen:
            continue
        seen.append(edges)
        ends, score, values = [0.0, *edges, 1.0], 0.0, []
        place = np.array([bin_of(p, edges) for p in few])
        for b in range(len(ends) - 1):
            inside = hit[place == b]
            right, wrong = inside.sum(), (~inside).sum()
            middle, size = (ends[b] + ends[b + 1]) / 2, len(ends) - 1
            alpha, beta = 2 * middle / size, 2 * (1 - middle) / size
            score += math.lgamma(2 / size) - math.lgamma(right + wrong + 2 / size)
            score += math.lgamma(right + alpha) - math.lgamma(alpha) + math.lgamma(wrong + beta) - math.lgamma(beta)
            values.append((right + alpha) / (right + wrong + 2 / size))
        weight = math.exp(score + 60)
        total += weight
        says += weight * np.array([values[bin_of(x, edges)] for x in asked])
    np.testing.assert_allclose(recalibrator("bbq").fit(few, hit).predict_proba(asked), says / total, rtol=1e-9)


def test_scaling_binning_says_the_mean_of_platts_values():
    found = recalibrator("scaling-binning").set_params(bins=7).fit(P, HIT).predict_proba(P)
    scaled = recalibrator("platt").fit(P, HIT).predict_proba(P)
    edges = bins_of(scaled, 7)
    place = np.array([bin_of(x, edges) for x in scaled])
    assert len(set(found)) == len(edges) + 1
    for b in range(len(edges) + 1):
        np.testing.assert_allclose(found[place == b], scaled[place == b].mean(), rtol=1e-9)


def test_venn_abers_is_isotonic_regression_with_one_more_row():
    p, hit = P[:150], HIT[:150]
    found = recalibrator("venn-abers").fit(p, hit)
    asked = np.concatenate([[0.0, 1.0], p[:20], DRAW.random(20)])
    low, high = found.bounds(asked)
    for i, x in enumerate(asked):
        for label, ours in ((0, low[i]), (1, high[i])):
            theirs = IsotonicRegression().fit(np.append(p, x), np.append(hit, label)).predict([x])[0]
            assert ours == pytest.approx(theirs, abs=1e-9)
    np.testing.assert_allclose(found.predict_proba(asked), high / (1 - low + high))
    isotonic = recalibrator("isotonic").fit(p, hit).predict_proba(p)
    low, high = found.bounds(p)
    assert (low <= isotonic + 1e-12).all()
    assert (isotonic <= high + 1e-12).all()


def test_bounds_of_venn_abers_of_two_options_are_each_others():
    pair = np.stack([1 - P, P], axis=1)
    low, high = recalibrator("venn-abers").fit(pair, HIT.astype(int)).bounds(pair)
    np.testing.assert_array_equal(low[:, 0], 1 - high[:, 1])
    np.testing.assert_array_equal(high[:, 0], 1 - low[:, 1])
    assert (low <= high).all()


def test_spline_is_the_slope_of_the_smoothed_cumulative_gap():
    """As the authors' code has it, for rows without ties, in a truncated power basis."""
    p = np.sort(DRAW.random(4000))
    hit = coin(p**2)
    t, gap = np.linspace(0, 1, 4000), np.cumsum(hit - p) / 4000
    knots = np.linspace(0, 1, 6)

    def d(k, x):
        return (np.maximum(x - knots[k], 0) ** 3 - np.maximum(x - 1, 0) ** 3) / (1 - knots[k])

    def basis(x):
        return np.stack([np.ones_like(x), x, *(d(k, x) - d(4, x) for k in range(4))], axis=1)

    weights = np.linalg.lstsq(basis(t), gap, rcond=None)[0]
    slope = (basis(t + 1e-5) - basis(t - 1e-5)) @ weights / 2e-5
    ours = recalibrator("spline").fit(p, hit).predict_proba(p)
    np.testing.assert_allclose(ours[10:-10], np.clip(p + slope, 0, 1)[10:-10], atol=3e-3)
    assert np.abs(ours - p**2).mean() < 0.03


@pytest.mark.parametrize("n", [12, 600])
def test_platts_targets_count_rows_that_nobody_saw(n):
    """Few rows: each of the four numbers in them tells."""
    hit = HIT[:n]
    target = np.where(hit, (hit.sum() + 1) / (hit.sum() + 2), 1 / ((~hit).sum() + 2))
    a, b = recalibrator("platt").fit(P[:n], hit).maps_[0]["coefficients"]
    gap = expit(a * logit(P[:n]) + b) - target  # whose sums, the gradient, are 0 at the minimum
    assert (gap.sum(), gap @ logit(P[:n])) == pytest.approx((0, 0), abs=1e-6)


@pytest.mark.parametrize("true", [(0.5, 1.6, -0.3), (1.6, 0.5, 0.3)])
def test_beta_is_logistic_regression_where_it_rises(true):
    draw = np.random.default_rng(1)
    p = draw.random(2000)
    features = np.stack([np.log(p), -np.log1p(-p)], axis=1)
    hit = draw.random(2000) < expit(features @ true[:2] + true[2])
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(features, hit)
    ours = recalibrator("beta").fit(p, hit).maps_[0]["coefficients"]
    np.testing.assert_allclose(ours, [*theirs.coef_[0], theirs.intercept_[0]], atol=1e-4)


def test_dirichlet_calibration_without_penalties_is_logistic_regression_on_log_probabilities():
    draw = np.random.default_rng(2)
    logits = draw.normal(size=(500, 3))
    labels, x = draw.integers(0, 3, 500), log_softmax(logits, axis=1)
    found = recalibrator("dirichlet").set_params(off_diagonal=0, intercept=0).fit(logits, labels, logits=True)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000).fit(x, labels)
    np.testing.assert_allclose(found.predict_proba(logits, logits=True), theirs.predict_proba(x), atol=1e-4)


def test_a_spline_of_two_knots_is_a_shift_that_stays_below_1():
    """Its slope is that of the cumulative gap's line of least squares, and where that leads beyond 1, it is 1."""
    p = np.linspace(0.5, 0.9, 100)
    hit = p < 0.89
    t, gap = np.arange(1, 101) / 100, np.cumsum(hit - p) / 100
    shift = np.polyfit(t, gap, 1)[0]
    ours = recalibrator("spline").set_params(knots=2).fit(p, hit).predict_proba(p)
    np.testing.assert_allclose(ours, np.minimum(p + shift, 1))
    assert ours[-1] == 1


def test_vector_scaling_of_rows_whose_logits_lie_far_apart():
    draw = np.random.default_rng(4)
    logits, labels = draw.normal(size=(200, 3)), draw.integers(0, 3, 200)
    logits[::2] += 2000.0
    p = recalibrator("vector").fit(logits, labels, logits=True).predict_proba(logits, logits=True)
    np.testing.assert_allclose(p.sum(axis=1), 1)
