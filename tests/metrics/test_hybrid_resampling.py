"""The inversion of `hybrid_resampling` against its words, tried on every theta of a grid; its cells by their laws."""

import numpy as np
import pytest
from scipy import stats

from calibfast.metrics.hybrid_resampling import (
    BinCounts,
    NormalCells,
    _quantile,
    invert,
    median_unbiased,
    nearest,
    rivals,
)

NOISE = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)


class Line:
    """One gap, seen with noise of a known law: |theta + noise|, the noise of sparse truths wider."""

    def __init__(self, estimate, *, largest=np.inf, growth=0.0, step=0.0):
        self.estimate, self.largest, self._growth, self._step = estimate, largest, growth, step

    def truth(self, theta):
        return np.array([theta, 1.0])

    def sparse_truth(self, theta):
        return np.array([theta, 1.5])

    def norm(self, gaps):
        return float(gaps[0] * gaps[1])

    def replicates(self, gaps):
        seen = np.abs(gaps[0] + gaps[1] * NOISE * (0.001 + self._growth * gaps[0]))
        return np.rint(seen / self._step) * self._step if self._step else seen


def ends(cells, level, lowest, thetas):
    """The smallest and the largest theta that are kept, by the module's words."""
    estimate, alpha, size = cells.estimate, 1 - level, len(NOISE)
    floor = np.median(cells.replicates(cells.truth(0.0)))
    kept = []
    for theta in thetas:
        under, of_low = np.sort(cells.replicates(cells.truth(theta))), np.sort(cells.replicates(lowest(theta)))
        bottom = under[int(np.floor(alpha / 2 * (size + 1))) - 1]
        told_from_zero = bottom > floor
        tail = alpha / 2 if told_from_zero else alpha
        top = of_low[int(np.ceil((1 - tail) * (size + 1))) - 1]
        kept.append((bottom <= max(estimate, floor), top >= estimate))
    above, below = np.array(kept).T
    return thetas[below][0], thetas[above][-1]


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("estimate", [0.0002, 0.0017, 0.0021, 0.003, 0.0044, 0.0053, 0.01])
@pytest.mark.parametrize("growth", [0.0, 0.3])
def test_an_interval_is_of_the_errors_that_are_not_refused(estimate, level, sparse, growth):
    cells = Line(estimate, growth=growth)
    low, high = invert(cells, level, sparse=sparse)
    thetas = np.linspace(0, 12 * estimate + 0.01, 801)
    lowest, highest = ends(cells, level, cells.sparse_truth if sparse else cells.truth, thetas)
    assert low / (1.5 if sparse else 1) == pytest.approx(lowest, abs=2 * thetas[1] + high / 1000)
    assert high == pytest.approx(highest, abs=2 * thetas[1] + high / 400)


def test_no_error_is_larger_than_the_largest():
    assert invert(Line(0.004, largest=0.005), 0.95)[1] == pytest.approx(0.005, rel=0.002)
    assert invert(Line(0.004, largest=0.005), 0.95)[1] <= 0.005


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_sum_in_another_order_moves_no_end(steps):
    cells = Line(steps * 0.0005, step=0.0005)
    exact = invert(cells, 0.95)
    thetas = np.linspace(0, 0.012, 1201)
    expected = ends(cells, 0.95, cells.sparse_truth, thetas)
    assert (exact[0] / 1.5, exact[1]) == pytest.approx(expected, abs=2 * thetas[1] + exact[1] / 400)
    for rounding in (1 - 1e-13, 1 + 1e-13):
        assert invert(Line(steps * 0.0005 * rounding, step=0.0005), 0.95) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("estimate", [0.0002, 0.0006, 0.001, 0.003])
def test_the_median_unbiased_estimate_is_the_error_under_which_it_is_the_median(estimate):
    found = median_unbiased(Line(estimate))
    medians = [
        np.median(Line(estimate).replicates(np.array([theta, 1.0]))) for theta in (found, found + estimate / 500)
    ]
    assert found == 0 if estimate < 0.00067 else medians[0] <= estimate <= medians[1]


def test_quantiles_are_rounded_outwards():
    values = np.random.default_rng(0).permutation(99) + 1.0
    assert [_quantile(values, q) for q in (0.001, 0.025, 0.05, 0.5, 0.95, 0.975, 0.999)] == [1, 2, 5, 50, 95, 98, 99]
    assert [_quantile(np.arange(1.0, 39), q) for q in (0.05, 0.95)] == [1, 38]


def bin_counts(count, accuracy, confidence, norm="l1", replicates=100):
    given = np.array(count), np.array(accuracy), np.array(confidence)
    return BinCounts(*given, norm=norm, replicates=replicates, seed=0)


def test_bins_by_hand():
    cells = bin_counts([4, 0, 1, 5], [0.75, np.nan, 0.0, 1.0], [0.5, np.nan, 0.7, 0.9])
    assert cells.gap == pytest.approx([0.25, -0.7, 0.1])
    right = np.array([3.5 / 5, 0.7 / 2, 5.9 / 6])
    assert cells.variance == pytest.approx(right * (1 - right) / [4, 1, 5], rel=1e-12)
    assert cells.estimate == pytest.approx(0.4 * 0.25 + 0.1 * 0.7 + 0.5 * 0.1)
    assert cells.largest == pytest.approx(0.4 * 0.5 + 0.1 * 0.7 + 0.5 * 0.9)


@pytest.mark.parametrize(("accuracy", "confidence", "sign"), [(1.0, 0.9, 1), (0.0, 0.1, -1)])
def test_where_accuracy_has_reached_its_end_an_error_has_the_other_sign(accuracy, confidence, sign):
    cells = bin_counts([10], [accuracy], [confidence])
    for truth in (cells.truth, cells.sparse_truth):
        assert truth(0.05) == pytest.approx([sign * 0.05])
        assert truth(0.3) == pytest.approx([sign * -0.3])
        assert truth(0.95) == pytest.approx([sign * -0.9])


@pytest.mark.parametrize(("n", "a"), [(60, 0.1), (60, 0.93), (4, 0.3)])
def test_hits_are_drawn_as_a_binomial_draws_them(n, a):
    hits = bin_counts([n], [0.0], [0.0], replicates=200_000).replicates(np.array([a])) * n
    law = stats.binom(n, a)
    assert hits.mean() == pytest.approx(law.mean(), abs=0.05)
    assert np.isin(hits.round(9), np.arange(n + 1)).all()
    assert (hits.round(9) == 0).mean() == pytest.approx(law.pmf(0), abs=0.02)
    if n == 60:  # Cornish and Fisher's expansion is one for many rows
        assert hits.var() == pytest.approx(law.var(), rel=0.04)
        third = ((hits - hits.mean()) ** 3).mean()
        assert third == pytest.approx(law.stats("s") * law.std() ** 3, rel=0.06)


def test_accuracies_stay_possible_and_shares_vary():
    cells = bin_counts([30, 70], [0.5, 0.5], [0.5, 1.0], replicates=20_000)
    drawn = cells.replicates(np.array([0.6, 0.2])) / 0.5  # accuracies of 1.1 and 1.2 are 1
    assert drawn.mean() == pytest.approx(0.3, abs=0.002)
    assert drawn.std() == pytest.approx(np.sqrt(0.3 * 0.7 / 100), rel=0.02)
    assert cells.replicates(np.array([-0.6, -1.0])).mean() == pytest.approx(0.3 * 0.5 + 0.7, abs=0.002)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normal_cells_by_hand(norm):
    def size(gaps):
        square = 0.25 * gaps[0] ** 2 + 0.5 * gaps[1] ** 2
        return {"l1": 0.25 * abs(gaps[0]) + 0.5 * abs(gaps[1]), "l2": square**0.5, "max": max(map(abs, gaps))}[norm] / 2

    gap, share, noise = np.array([0.1, -0.3]), np.array([0.25, 0.5]), np.array([[0.01, 0.02], [-0.01, -0.02]])
    cells = NormalCells(gap * share, share, noise, scale=0.5, norm=norm)
    assert cells.gap == pytest.approx(gap)
    assert cells.variance == pytest.approx([0.04**2, 0.04**2])
    assert cells.estimate == pytest.approx(size(gap))
    assert cells.largest == pytest.approx(size([0.34, 0.54]))
    assert cells.replicates(gap) == pytest.approx([size([0.14, -0.26]), size([0.06, -0.34])])
    for theta in (0.05, 0.5):
        assert size(cells.truth(theta)) == pytest.approx(theta)
        assert size(cells.sparse_truth(theta)) == pytest.approx(theta)
    if norm == "l1":
        assert cells.sparse_truth(0.05) == pytest.approx([0, -0.2])


def test_rivals_are_bins_whose_gap_may_be_as_large():
    share = np.ones(5)
    noise = np.array([[1.0], [-1.0]]) * [0.01, 0.01, 0.01, 0.21, 0.01]
    cells = NormalCells(np.array([0.5, -0.47, 0.45, 0.1, -0.46]), share, noise, scale=1, norm="max")
    assert rivals(cells) == 2  # -.47, and .1, whose variance is large: .1 + .41 > .5 - .02; .46 + .02 is not


def test_the_nearest_gaps_by_hand():
    gap, variance, share = np.array([0.0, -0.2, 0.3]), np.array([0.04, 0.01, 0.04]), np.array([0.5, 0.25, 0.25])
    assert nearest(gap, variance, share, 0.25, "max") == pytest.approx([0, -0.2, 0.25])
    assert nearest(gap, variance, share, 0.4, "max") == pytest.approx([0, -0.2, 0.4])
    # One standard error from .3 to .5, 3.5 from -.2 to -.55.
    assert nearest(gap, variance, share, 0.5, "max") == pytest.approx([0, -0.2, 0.5])
    assert nearest(gap, variance / [1, 1, 100], share, 0.5, "max") == pytest.approx([0.5, -0.2, 0.3])
    # One standard error from .1, and less from .4.
    assert nearest(gap[1:] * [-0.5, 4 / 3], np.array([0.16, 0.011]), share[1:], 0.5, "max") == pytest.approx([0.1, 0.5])
    pull = (0.2 - 0.125) / (share**2 * variance).sum()
    assert nearest(gap, variance, share, 0.2, "l1") == pytest.approx(gap + [1, -1, 1] * share * variance * pull)
    assert nearest(gap, variance, share, 0.3, "l2") == pytest.approx(gap * 0.3 / np.sqrt((share * gap**2).sum()))
    assert nearest(0 * gap, variance, share, 0.3, "l2").tolist() == [0.3] * 3
    assert nearest(gap, variance, share, 0.0, "l2").tolist() == [0] * 3
    for theta in (0.1, 0.179):
        found = nearest(gap, variance * 1000, share, theta, "l2")
        assert np.sqrt((share * found**2).sum()) == pytest.approx(theta, rel=1e-9)
