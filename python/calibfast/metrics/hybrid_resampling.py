"""Intervals for norms of binned gaps, by inverting a test along one path of truths.

An l1, l2 or max norm of noisy gaps is biased upwards, most where the gaps are small, and its law near zero is not
normal: percentile, basic and BCa bootstraps all fail there. So each hypothesis "the error is theta" is tested.
The truth that stands for it is the one nearest to the data (constrained maximum likelihood): for l1 that is
soft thresholding, so that gaps which may be noise go to zero first. Under that truth the estimate is simulated, and
theta is kept where the estimate is not in a tail. The lower end of an l1 norm is tested under the truth whose gaps are
as few as the data allow instead: noise in bins without a gap adds the most to the estimate, so that a truth with its
error in one bin would be refused too often under any other.

Sources: hybrid resampling, Chuang & Lai 2000 (Statistica Sinica 10); nuisances profiled out as in Feldman & Cousins
1998 (Phys. Rev. D 57) with profiling. The tails are both alpha / 2, but for thetas so small that no estimate can tell
them from zero: these are kept or refused by the upper tail of alpha alone, which keeps the coverage at alpha and the
interval from being empty (power-constrained limits, Cowan et al. 2011, arXiv 1105.3166, with the median under zero).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibfast.metrics.accumulator import Norm

    Floats = NDArray[np.float64]

_STEPS = 10  # halvings of the range of theta, well below the noise of the replicates


class Cells(Protocol):
    """A simulation of binned gaps under any truth."""

    estimate: float
    largest: float
    gap: Floats
    variance: Floats

    def truth(self, theta: float) -> Floats:
        """The gaps nearest to the data whose norm is theta."""

    def sparse_truth(self, theta: float) -> Floats:
        """The fewest gaps of the data whose norm is theta."""

    def norm(self, gaps: Floats) -> float:
        """The population error of a truth."""

    def replicates(self, gaps: Floats) -> Floats:
        """Estimates drawn under a truth, the same random numbers for each."""


def invert(cells: Cells, level: float, *, sparse: bool = True) -> tuple[float, float]:
    """The interval of all errors under which the estimate of the cells is in no tail.

    Args:
        cells: The simulation.
        level: Of the interval.
        sparse: Whether the lower end is safe for errors that sit in few bins.
    """
    alpha, lowest = 1 - level, cells.sparse_truth if sparse else cells.truth

    def quantile(theta: float, q: float) -> float:
        return _quantile(cells.replicates(cells.truth(theta)), q)

    def last(kept: Callable[[float], bool], low: float, high: float) -> float:
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if kept(middle) else (low, middle)
        return low

    null = cells.replicates(cells.truth(0.0))
    floor = float(np.median(null))
    slack = 1e-12 * max(cells.estimate, floor)  # a norm of the same gaps summed in another order

    def large_enough(theta: float) -> bool:
        return quantile(theta, alpha / 2) <= max(cells.estimate, floor) + slack

    width = float(null.max())
    while cells.estimate + width < cells.largest and large_enough(cells.estimate + width):
        width *= 2
    high = last(large_enough, 0.0, min(cells.largest, cells.estimate + width))
    if cells.estimate <= _quantile(null, 1 - alpha) + slack:
        return 0.0, cells.norm(cells.truth(high))

    def too_small(theta: float) -> bool:
        drawn = cells.replicates(lowest(theta))
        if _quantile(drawn, 1 - alpha) >= cells.estimate - slack:
            return False
        # Between the two quantiles it matters whether any estimate could tell theta from zero.
        return _quantile(drawn, 1 - alpha / 2) < cells.estimate - slack or quantile(theta, alpha / 2) <= floor + slack

    low = last(too_small, 0.0, high)
    return cells.norm(lowest(low)), cells.norm(cells.truth(high))


def median_unbiased(cells: Cells) -> float:
    """The error under which the estimate is as often too large as too small; 0 where none is so small."""
    low, high = 0.0, cells.estimate
    if float(np.median(cells.replicates(cells.truth(0.0)))) >= cells.estimate:
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        smaller = float(np.median(cells.replicates(cells.truth(middle)))) < cells.estimate
        low, high = (middle, high) if smaller else (low, middle)
    return low


def rivals(cells: Cells) -> int:
    """How many cells may have a larger gap than the cell whose gap is the largest seen, each at its two 2.5% ends."""
    size, reach = np.abs(cells.gap), 1.96 * np.sqrt(cells.variance)
    worst = int(size.argmax())
    return int(np.count_nonzero(size + reach > size[worst] - reach[worst])) - 1


def _quantile(values: Floats, q: float) -> float:
    """The quantile of rank q (B + 1), rounded outwards: B replicates and the estimate are alike under the truth."""
    size = len(values)
    rank = math.floor(q * (size + 1)) if q < 0.5 else math.ceil(q * (size + 1))
    return float(np.partition(values, min(max(rank, 1), size) - 1)[min(max(rank, 1), size) - 1])


class BinCounts:
    """Bins of a top-label state: counts multinomial, hits binomial with the accuracy of the truth.

    The state does not hold how confidences spread within a bin; they are taken to sit at its mean. Bins of width .1
    have too little spread to matter; with one or two bins the interval is somewhat too wide.

    Args:
        count: (M,) rows.
        accuracy: (M,) accuracy, any number where there are no rows.
        confidence: (M,) mean confidence, any number where there are no rows.
        norm: "l1" for ECE, "l2" for RMSCE, "max" for MCE over the bins that have rows.
        replicates: Simulated states.
        seed: Of the simulation.
    """

    def __init__(
        self,
        count: NDArray[np.int64],
        accuracy: Floats,
        confidence: Floats,
        *,
        norm: Norm,
        replicates: int,
        seed: int,
    ) -> None:
        full = count > 0
        n, self._c, a = count[full], confidence[full], accuracy[full]
        total = int(n.sum())
        self._norm, self._share = norm, n / total
        self.gap = a - self._c
        rng = np.random.default_rng(seed)
        # Accuracies are as uncertain as the rows seen make them; shares vary from sample to sample. Drawing the rows of
        # a bin anew would empty small bins twice over. Which bins have rows is part of what the maximum is of.
        self._n = n.astype(np.float64)
        self._drawn_share = rng.multinomial(total, n / total, replicates) / total
        self._z = rng.standard_normal((replicates, len(n)))
        # One row said in advance to be as right as it is confident, so that a bin of hits alone is not sure.
        smooth = (n * a + self._c) / (n + 1)
        self.variance = smooth * (1 - smooth) / n + 1e-300
        self.estimate = self.norm(self.gap)
        self.largest = self.norm(np.maximum(self._c, 1 - self._c))

    def norm(self, gaps: Floats) -> float:
        """ECE, RMSCE or MCE of gaps."""
        return float(_norm(gaps, self._share, self._norm))

    def truth(self, theta: float) -> Floats:
        """The likeliest gaps of that error which leave each accuracy between 0 and 1."""
        return self._possible(nearest(self.gap, self.variance, self._share, theta, self._norm))

    def sparse_truth(self, theta: float) -> Floats:
        """The fewest gaps of that error."""
        return self._possible(fewest(self.gap, self.variance, self._share, theta, self._norm))

    def _possible(self, gaps: Floats) -> Floats:
        room = np.where(gaps < 0, self._c, 1 - self._c)
        # Where accuracy has reached its end, an error as large has the other sign.
        return np.where(np.abs(gaps) > room, -np.sign(gaps) * np.minimum(np.abs(gaps), 1 - room), gaps)

    def replicates(self, gaps: Floats) -> Floats:
        """Errors of simulated states."""
        a = np.clip(self._c + gaps, 0, 1)
        # Quantiles of the binomial by Cornish & Fisher 1938, so that all truths share their random numbers.
        hits = self._n * a + np.sqrt(self._n * a * (1 - a)) * self._z + (1 - 2 * a) * (self._z**2 - 1) / 6
        hits = np.clip(np.rint(hits), 0, self._n)
        return _norm(hits / self._n - self._c, self._drawn_share, self._norm)


class NormalCells:
    """Cells whose sums of residuals are jointly normal: classes and bins of one row, weights, clusters.

    Args:
        residual: (J,) sums of outcome - confidence over the total weight.
        share: (J,) share of the weight in a cell, above 0.
        noise: (B, J) draws of the error of `residual`.
        scale: What the norm is multiplied by (1 / K for the mean over K classes).
        norm: "l1", "l2" or "max".
    """

    def __init__(self, residual: Floats, share: Floats, noise: Floats, *, scale: float, norm: Norm) -> None:
        self.gap, self._share, self._noise = residual / share, share, noise / share
        self._scale, self._norm = scale, norm
        self.variance = np.maximum(self._noise.var(axis=0), 1e-300)
        self.estimate = self.norm(self.gap)
        self.largest = float(_norm(np.abs(self.gap) + 6 * np.sqrt(self.variance), share, norm) * scale)

    def norm(self, gaps: Floats) -> float:
        """The error of gaps."""
        return float(_norm(gaps, self._share, self._norm) * self._scale)

    def truth(self, theta: float) -> Floats:
        """The likeliest gaps of that error, as if cells were independent."""
        return nearest(self.gap, self.variance, self._share, theta / self._scale, self._norm)

    def sparse_truth(self, theta: float) -> Floats:
        """The fewest gaps of that error."""
        return fewest(self.gap, self.variance, self._share, theta / self._scale, self._norm)

    def replicates(self, gaps: Floats) -> Floats:
        """Errors of the gaps with noise."""
        return _norm(gaps + self._noise, self._share, self._norm) * self._scale


def _norm(gaps: Floats, share: Floats, norm: Literal["l1", "l2", "max"]) -> Floats:
    """Over the last axis: sum share |gap|, sqrt(sum share gap^2), or max |gap|."""
    if norm == "l1":
        return np.asarray((np.abs(gaps) * share).sum(axis=-1))
    if norm == "l2":
        return np.asarray(np.sqrt((gaps**2 * share).sum(axis=-1)))
    return np.asarray(np.abs(gaps).max(axis=-1))


def nearest(gap: Floats, variance: Floats, share: Floats, theta: float, norm: Norm) -> Floats:
    """Argmin over x of sum (x - gap)^2 / variance with norm theta; larger norms in the gaps' own direction."""
    sign: Floats = np.where(gap < 0, -1.0, 1.0)
    size: Floats = np.abs(gap)
    current = float(_norm(gap, share, norm))
    if norm == "max":
        if theta <= current:
            return sign * np.minimum(size, theta)
        grown = gap.copy()
        cheapest = int(np.argmin((theta - size) ** 2 / variance))
        grown[cheapest] = sign[cheapest] * theta
        return grown
    if norm == "l1":
        # In units of share * gap: soft thresholds share^2 variance * pull, pull below 0 where the norm must grow.
        cost = share * variance
        if theta >= current:
            return np.asarray(sign * (size + (theta - current) / (share * cost).sum() * cost))
        weight, weighted = share * cost, share * size
        order = np.argsort(-weighted / weight)
        pulls = (np.cumsum(weighted[order]) - theta) / np.cumsum(weight[order])
        active = np.flatnonzero((weighted / weight)[order] >= pulls)
        return np.asarray(sign * np.maximum(size - pulls[active[-1]] * cost, 0.0))
    if theta >= current:
        return gap * (theta / current) if current > 0 else np.full(gap.shape, theta)
    if theta == 0:
        return np.zeros(gap.shape)
    cost, low, high = share * variance, 0.0, 1.0
    while _norm(gap / (1 + high * cost), share, norm) > theta:
        low, high = high, high * 4
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _norm(gap / (1 + middle * cost), share, norm) > theta else (low, middle)
    return gap / (1 + high * cost)


def fewest(gap: Floats, variance: Floats, share: Floats, theta: float, norm: Norm) -> Floats:
    """The gaps that are the surest, as many as an l1 norm of theta takes; for other norms, or more, the nearest."""
    weighted = share * np.abs(gap)
    if norm != "l1" or theta >= weighted.sum():
        return nearest(gap, variance, share, theta, norm)
    order = np.argsort(-np.abs(gap) / np.sqrt(variance), kind="stable")
    before = np.cumsum(weighted[order]) - weighted[order]
    kept = np.empty(len(gap))
    kept[order] = np.clip(theta - before, 0, weighted[order])
    return np.asarray(np.sign(gap) * kept / share)
