"""Rows drawn under a truth, against loops over bins and the means that the draws must have."""

import numpy as np
import pytest

from calibfast import _core
from calibfast.metrics.row_draws import RowDraws

RNG = np.random.default_rng(0)
P = np.sort(np.append(RNG.uniform(0.4, 1, 60), [0.05, 1.0]))  # a bin of one row, and some of none
Y = (RNG.random(62) < P).astype(np.uint8)
BIN = np.ceil(P * 15).astype(int) - 1


def draws(metric, population=None, replicates=4000):
    state = _core.State(15)
    state.update(P[:, np.newaxis], Y, form="confidence")
    return RowDraws(metric, population, P, Y, state, replicates, 0)


def accuracy(p, y):
    return float(np.mean(y))


def test_bins_by_hand():
    cells = draws(accuracy)
    bins = [(P[m == BIN].mean(), Y[m == BIN].mean(), (m == BIN).sum()) for m in np.unique(BIN)]
    c, a, n = np.array(bins).T
    smooth = (n * a + c) / (n + 1)
    assert cells.gap == pytest.approx(a - c)
    assert cells.variance == pytest.approx(smooth * (1 - smooth) / n)
    assert cells.largest == pytest.approx((n * np.maximum(c, 1 - c)).sum() / 62)
    assert cells.estimate == Y.mean()
    for truth in (cells.truth(0.05), cells.sparse_truth(0.05)):
        assert (n * np.abs(truth)).sum() / 62 == pytest.approx(0.05)
    assert np.count_nonzero(cells.sparse_truth(0.05)) < np.count_nonzero(cells.truth(0.05))


def test_outcomes_are_drawn_from_confidences_moved_by_the_gaps():
    gaps = np.linspace(-0.3, 0.2, len(np.unique(BIN)))
    right = np.clip(P + gaps[np.searchsorted(np.unique(BIN), BIN)], 0, 1)

    def population(p, y, *, weights):
        return float(np.average(y * p, weights=weights))

    assert draws(accuracy, population).norm(gaps) == pytest.approx((right * P).mean(), rel=1e-6)
    found = draws(accuracy).replicates(gaps)
    assert found.mean() == pytest.approx(right.mean(), abs=0.004)
    assert found.std() == pytest.approx(np.sqrt(right.mean() * (1 - right.mean()) / 62), rel=0.05)
    assert draws(lambda p, y: np.cov(p, y)[0, 1]).replicates(gaps).mean() == pytest.approx(
        np.cov(P, right)[0, 1] * 61 / 62, rel=0.05
    )
    for row in (0, 61):
        drawn = draws(lambda p, y, row=row: float((p == P[row]).mean())).replicates(gaps)
        assert drawn.mean() * 62 == pytest.approx(1, abs=0.1)
