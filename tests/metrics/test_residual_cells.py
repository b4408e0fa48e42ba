"""Cells of residuals against loops over rows and over what each row's outcome may be."""

import numpy as np
import pytest

import calibfast
from calibfast import InputError
from calibfast.metrics import residual_cells
from calibfast.metrics.residual_cells import Residuals, normal_cells, normal_draws

N, K, BINS = 60, 3, 4
RNG = np.random.default_rng(0)
WEIGHTS = RNG.exponential(size=N)
WEIGHTS /= WEIGHTS.sum()


def rows(classes):
    """Rows with options that some lack, a row without any, and a cell that no row is in."""
    p = RNG.dirichlet([0.7] * classes, N) if classes > 1 else RNG.random((N, 1))
    cell = np.minimum((p * BINS).astype(int), BINS - 2) + np.arange(classes) * BINS
    right = np.where(RNG.random(N) < 0.8, p.argmax(axis=1), RNG.integers(0, classes, N))
    outcome = np.eye(classes)[right] if classes > 1 else (p > 0.4).astype(float)
    cell[p < 0.05] = -1
    cell[5] = -1
    p[cell < 0], outcome[cell < 0] = 0, 0
    return Residuals(cell, p, outcome, classes, BINS * classes)


def recalibrated(of):
    """What each row's outcomes are drawn from, row by row."""
    q = np.zeros(of.p.shape)
    for i, c in np.ndindex(*of.p.shape):
        if of.cell[i, c] >= 0:
            alike = of.cell == of.cell[i, c]
            mean = of.p[alike].mean()
            moved = (of.outcome[alike].sum() + mean) / (alike.sum() + 1) - mean
            q[i, c] = min(max(of.p[i, c] + moved, 0), 1)
    return q / np.maximum(q.sum(axis=1, keepdims=True), 1e-300) if of.p.shape[1] > 1 else q


def expected_covariance(of, w, residual):
    """Sum over rows of w^2 E[e e'] less what the mean takes, from all outcomes that a row may have."""
    q, total = recalibrated(of), np.zeros((of.width, of.width))
    classes = of.p.shape[1]
    for i in range(len(w)):
        chances = q[i] if classes > 1 else [q[i, 0], 1 - q[i, 0]]
        for chance, outcome in zip(chances, np.eye(max(classes, 2))[:, :classes], strict=True):
            e = np.zeros(of.width)
            for c in range(classes):
                if of.cell[i, c] >= 0:
                    e[of.cell[i, c]] = outcome[c] - of.p[i, c]
            total += w[i] ** 2 * chance * np.outer(e, e)
    return total - np.outer(residual, residual) * (w**2).sum()


def residual_of(of, w):
    found = np.zeros(of.width)
    for i, c in np.argwhere(of.cell >= 0):
        found[of.cell[i, c]] += w[i] * (of.outcome[i, c] - of.p[i, c])
    return found


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_the_covariance_of_rows(classes, monkeypatch):
    of = rows(classes).compact()
    residual = residual_of(of, WEIGHTS)
    expected = expected_covariance(of, WEIGHTS, residual)
    found = residual_cells._row_covariance(of, WEIGHTS, residual)
    np.testing.assert_allclose(found, expected, atol=1e-15)
    monkeypatch.setattr(residual_cells, "_CHUNK", 7)
    np.testing.assert_allclose(residual_cells._row_covariance(of, WEIGHTS, residual), expected, atol=1e-15)


def test_where_it_is_much_work_every_third_row_tells_the_covariance(monkeypatch):
    one = rows(3).compact()
    copies = Residuals(*(np.repeat(part, 3, axis=0) for part in (one.cell, one.p, one.outcome)), 3, one.width)
    w = np.repeat(WEIGHTS, 3) / 3
    residual = residual_of(copies, w)
    exact = residual_cells._row_covariance(copies, w, residual)
    monkeypatch.setattr(residual_cells, "_WORK", len(w) * one.width**2 / 3)
    np.testing.assert_allclose(residual_cells._row_covariance(copies, w, residual), exact, atol=1e-15)
    monkeypatch.setattr(residual_cells, "_WORK", len(w) * one.width**2 / 2)
    assert np.abs(residual_cells._row_covariance(copies, w, residual) - exact).max() > 1e-6


@pytest.mark.parametrize("clustered", [False, True])
def test_normal_cells(clustered):
    of, clusters = rows(3), np.arange(N) // 4 if clustered else None
    used = of.compact()
    assert used.width == len(np.unique(of.cell[of.cell >= 0])) < of.width
    residual = residual_of(used, WEIGHTS)
    if clustered:
        sums = np.zeros((N // 4, used.width))
        for k in range(N // 4):
            mine = clusters == k
            part = Residuals(used.cell[mine], used.p[mine], used.outcome[mine], 3, used.width)
            sums[k] = residual_of(part, WEIGHTS[mine]) - WEIGHTS[mine].sum() * residual
        covariance = sums.T @ sums * 15 / 14
        found = residual_cells._cluster_covariance(used, WEIGHTS, residual, clusters)
        np.testing.assert_allclose(found, covariance, atol=1e-15)
    else:
        value, vector = np.linalg.eigh(expected_covariance(used, WEIGHTS, residual))
        covariance = vector * np.maximum(value, 0) @ vector.T  # what the mean takes may be more than there is
    share = np.array([(WEIGHTS[:, None] * (used.cell == j)).sum() for j in range(used.width)])
    cells = normal_cells(of, "l1", WEIGHTS * 7, clusters, 100_000, 0)  # only their proportions count
    assert cells.gap == pytest.approx(residual / share)
    assert cells.variance == pytest.approx(np.diag(covariance) / share**2, rel=0.03)
    assert cells.estimate == pytest.approx(np.abs(residual).sum() / 3)
    even = normal_cells(of, "l1", None, clusters, 100, 0)
    assert even.gap == pytest.approx(normal_cells(of, "l1", np.ones(N), clusters, 100, 0).gap)


def test_draws_have_the_covariance_even_a_singular_one():
    factor = RNG.normal(size=(4, 2))
    covariance = factor @ factor.T
    draws = normal_draws(covariance, 200_000, 0)
    np.testing.assert_allclose(draws.T @ draws / len(draws), covariance, atol=0.03 * np.abs(covariance).max())
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.02)


def test_smoothed_cells_of_few_rows():
    of = Residuals(np.array([[0], [1], [1], [-1]]), np.array([[0.6], [0.2], [0.4], [0.0]]), np.eye(4)[:, :1], 1, 3)
    assert of.smoothed() == pytest.approx([1.6 / 2, 0.3 / 3, 0])


def test_too_many_cells_are_refused(monkeypatch):
    monkeypatch.setattr(residual_cells, "_MOST_CELLS", rows(1).compact().width)
    normal_cells(rows(1), "l1", None, None, 100, 0)
    with pytest.raises(InputError, match="too many for their covariance"):
        normal_cells(rows(2), "l1", None, None, 100, 0)


@pytest.mark.filterwarnings("ignore:cw_ece. the rows say as much")
@pytest.mark.parametrize("form", ["logits", "bfloat16", "mask"])
def test_an_option_that_no_row_has_is_no_class(form):
    logits, y = RNG.normal(size=(200, 3)), RNG.integers(0, 2, 200)
    logits[:, 2] = 9.0 if form == "mask" else -np.inf
    given = {"logits": True, "bins": 5}
    if form == "mask":
        given["mask"] = np.arange(3) < np.array([[2]] * 200)
    if form == "bfloat16":
        logits = pytest.importorskip("torch").tensor(logits).bfloat16()
    found = calibfast.interval("classwise_ece", logits, y, **given)
    assert found.estimate == pytest.approx(calibfast.classwise_ece(logits, y, **given), rel=1e-12)
    two = calibfast.interval("classwise_ece", logits[:, :2], y, logits=True, bins=5)
    assert (found.low, found.estimate, found.high) == pytest.approx((two.low, two.estimate, two.high), rel=1e-9)
