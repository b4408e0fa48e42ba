"""Tests of calibration: could these outcomes have come from these confidences?

What is drawn and how p-values are made: `calibfast.metrics.consistency_resampling`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from calibfast.errors import InputError
from calibfast.metrics.consistency_resampling import CalibrationTest, RowsToTest, judged, read, share_above
from calibfast.metrics.limit_laws import chi_square_tail, normal_tail, wiener_maximum_tail, wiener_range_tail

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    Floats = NDArray[np.float64]

_SKCE_CELLS = 512
_FINEST = 10  # t_cal's finest scale is 2^10 bins


def hosmer_lemeshow(
    p: ArrayLike,
    y: ArrayLike,
    *,
    bins: int = 10,
    **given: Unpack[RowsToTest],
) -> CalibrationTest:
    """Chi-square of hits against confidence over equal-mass groups (Hosmer & Lemeshow 1980).

    sum_g (O_g - E_g)^2 / (n_g c_g (1 - c_g)) with c_g the mean confidence. As predictions are not fitted on the rows
    that are tested, the limit is chi-square with one degree of freedom for each group, not two fewer.

    Args:
        p: (N,) confidences in [0, 1], or (N, K) options, whose predicted one is tested.
        y: (N,) correctness, or (N,) labels.
        bins: Number of groups of about equal size; equal confidences share a group.
        **given: See `RowsToTest`.

    Raises:
        InputError: Something breaks its contract, or every confidence is 0 or 1, so that nothing is left to chance.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.uniform(0.5, 1, 2000)
        >>> hosmer_lemeshow(p, rng.random(2000) < p).p_value > 0.05
        True
        >>> hosmer_lemeshow(p, rng.random(2000) < p**2).p_value
        0.001
    """
    rows, draws = read(p, y, **given)
    if bins < 1:
        raise InputError(f"bins is at least 1, got {bins}")
    ends = np.cumsum(rows.n)
    group = (ends - (rows.n + 1) / 2) * bins // ends[-1]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    total, expected = np.add.reduceat(rows.n, starts), np.add.reduceat(rows.n * rows.u, starts)
    variance = expected * (1 - expected / total)
    uncertain = variance > 0

    def statistic(hits: Floats) -> Floats:
        gap = np.add.reduceat(hits, starts, axis=-1) - expected
        return np.asarray((gap[..., uncertain] ** 2 / variance[uncertain]).sum(axis=-1))

    def tail(value: float) -> float:
        return chi_square_tail(value, int(uncertain.sum()))

    return judged(rows, statistic, tail, f"chi-square, {uncertain.sum()} groups", draws)


def spiegelhalter(
    p: ArrayLike,
    y: ArrayLike,
    **given: Unpack[RowsToTest],
) -> CalibrationTest:
    """Whether the Brier score is what the confidences promise (Spiegelhalter 1986), two-sided.

    z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)^2 p (1 - p)); above 0 where the Brier score is worse than promised.
    Takes what `hosmer_lemeshow` takes, but for bins.

    Raises:
        InputError: Something breaks its contract, or every confidence is 0, 1/2 or 1.

    Examples:
        >>> spiegelhalter([0.9, 0.9, 0.8, 0.7], [0, 0, 1, 0]).p_value < 0.05
        True
    """
    rows, draws = read(p, y, **given)
    slope = 1 - 2 * rows.u
    scale = math.sqrt(float((slope**2 * rows.variance).sum()))
    if scale == 0:
        raise InputError("Spiegelhalter's test needs a confidence other than 0, 1/2 and 1")
    center = rows.n * rows.u

    def z(hits: Floats) -> Floats:
        return np.asarray((hits - center) @ slope / scale)

    result = judged(rows, lambda hits: np.abs(z(hits)), lambda value: 2 * normal_tail(value), "normal", draws)
    return CalibrationTest(float(z(rows.hits)), result.p_value, result.method)


def ecce_test(
    p: ArrayLike,
    y: ArrayLike,
    *,
    kind: Literal["mad", "range"] = "mad",
    **given: Unpack[RowsToTest],
) -> CalibrationTest:
    """Whether outcomes drift from confidences as these rise (ECCE-MAD and ECCE-R, Arrieta-Ibarra et al. 2022).

    The sums of y - p over the rows in order of confidence, over sqrt(sum p (1 - p)), are a Wiener process in the limit;
    the statistic is its largest deviation ("mad", Kolmogorov-Smirnov) or its range ("range", Kuiper). Rows of
    equal confidence are one step. Takes what `hosmer_lemeshow` takes, but for bins.

    Raises:
        InputError: Something breaks its contract, or every confidence is 0 or 1.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.uniform(0.5, 1, 2000)
        >>> ecce_test(p, rng.random(2000) < p**1.3).p_value
        0.001
    """
    if kind not in ("mad", "range"):
        raise InputError(f"kind is 'mad' or 'range', got {kind!r}")
    rows, draws = read(p, y, **given)
    scale, center = math.sqrt(float(rows.variance.sum())), rows.n * rows.u

    def statistic(hits: Floats) -> Floats:
        path = np.cumsum(hits - center, axis=-1)
        if kind == "mad":
            return np.asarray(np.abs(path).max(axis=-1) / scale)
        return np.asarray((np.maximum(path.max(axis=-1), 0) - np.minimum(path.min(axis=-1), 0)) / scale)

    tail = wiener_maximum_tail if kind == "mad" else wiener_range_tail
    law = "largest deviation of a Wiener process" if kind == "mad" else "range of a Wiener process"
    return judged(rows, statistic, tail, law, draws)


def t_cal(
    p: ArrayLike,
    y: ArrayLike,
    *,
    bins: int | None = None,
    **given: Unpack[RowsToTest],
) -> CalibrationTest:
    """Debiased squared l2 error of the predicted option against its law under calibration (T-Cal, Lee et al. 2022).

    T = 1/N sum_m ((sum_m r)^2 - sum_m r^2) / n_m over equal-width bins with residuals r = y - p, mean zero under
    calibration. Without `bins` the test adapts: the largest T / sd(T) over 2, 4, 8, ... bins, up to N / 8 and 1,024,
    finds smooth errors as well as narrow ones, with one p-value for all scales. Its limit law is that of normal bin
    sums, drawn. Takes what `hosmer_lemeshow` takes.

    Raises:
        InputError: Something breaks its contract, or no bin has two rows with confidences other than 0 and 1.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.uniform(0.5, 1, 2000)
        >>> t_cal(p, rng.random(2000) < p**1.5).p_value
        0.001
    """
    rows, draws = read(p, y, **given)
    total = int(rows.n.sum())
    if bins is None:
        finest = min(_FINEST, int(math.log2(max(2.0, total / 8))))
        scales = [2**level for level in range(1, finest + 1)]
    elif bins < 1:
        raise InputError(f"bins is at least 1, got {bins}")
    else:
        scales = [bins]
    cell = np.maximum(np.ceil(rows.u * scales[-1]).astype(np.int64) - 1, 0)
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    cells = cell[starts]
    n, variance = np.add.reduceat(rows.n, starts), np.add.reduceat(rows.variance, starts)
    squared_variance = np.add.reduceat(rows.n * (rows.u * (1 - rows.u)) ** 2, starts)
    center, slope, base = rows.n * rows.u, 1 - 2 * rows.u, rows.n * rows.u**2

    parts = []
    for scale in scales:
        first = np.flatnonzero(np.diff(cells // (scales[-1] // scale), prepend=-1))
        v, v2, size = (np.add.reduceat(x, first) for x in (variance, squared_variance, n))
        deviation = math.sqrt(float((2 * np.maximum(v**2 - v2, 0) / size**2).sum())) / total
        if deviation > 0:
            parts.append((first, size, deviation))
    if not parts:
        raise InputError("T-Cal needs two rows of one bin with confidences other than 0 and 1; use fewer bins")

    def largest(sums: Floats, squares: Floats) -> Floats:
        scores = [
            ((np.add.reduceat(sums, first, axis=-1) ** 2 - np.add.reduceat(squares, first, axis=-1)) / size).sum(
                axis=-1
            )
            / (total * deviation)
            for first, size, deviation in parts
        ]
        return np.asarray(np.max(scores, axis=0))

    def statistic(hits: Floats) -> Floats:
        sums = np.add.reduceat(hits - center, starts, axis=-1)
        return largest(sums, np.add.reduceat(hits * slope + base, starts, axis=-1))

    def tail(value: float) -> float:
        noise = draws.normal(np.sqrt(variance))
        return share_above(largest(noise, np.broadcast_to(variance, noise.shape)), value)

    return judged(rows, statistic, tail, "normal bin sums", draws)


def skce_test(
    p: ArrayLike,
    y: ArrayLike,
    *,
    bandwidth: float = 0.1,
    **given: Unpack[RowsToTest],
) -> CalibrationTest:
    """The unbiased quadratic estimate of the squared kernel error against its law under calibration (Widmann 2019).

    For the predicted option: sum over pairs i != j of r_i k(p_i, p_j) r_j / (N (N - 1)) with residuals r = y - p and
    the Laplacian kernel exp(-|p - q| / bandwidth). Beyond 512 distinct confidences the kernel (not the residuals)
    sees them rounded to a grid of 512, so that time and memory grow with N and not its square. Its limit law is that
    of normal sums of residuals, drawn. Takes what `hosmer_lemeshow` takes, but for bins.

    Raises:
        InputError: Something breaks its contract, there are fewer than two rows, or every confidence is 0 or 1.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.uniform(0.5, 1, 2000)
        >>> skce_test(p, rng.random(2000) < p**1.5).p_value
        0.001
    """
    rows, draws = read(p, y, **given)
    total = int(rows.n.sum())
    if total < 2:
        raise InputError("SKCE compares pairs of rows: it needs at least 2, got 1")
    if not bandwidth > 0:
        raise InputError(f"bandwidth is above 0, got {bandwidth}")
    if len(rows.u) <= _SKCE_CELLS:
        starts, place = np.arange(len(rows.u)), rows.u
    else:
        cell = np.minimum((rows.u - rows.u[0]) / (rows.u[-1] - rows.u[0]) * _SKCE_CELLS, _SKCE_CELLS - 1).astype(int)
        starts = np.flatnonzero(np.diff(cell, prepend=-1))
        place = cell[starts] / _SKCE_CELLS * (rows.u[-1] - rows.u[0])
    kernel = np.exp(-np.abs(place[:, np.newaxis] - place) / bandwidth)
    center, slope, base = rows.n * rows.u, 1 - 2 * rows.u, float((rows.n * rows.u**2).sum())
    variance = np.add.reduceat(rows.variance, starts)

    def pairs(sums: Floats, squares: Floats) -> Floats:
        return np.asarray((((sums @ kernel) * sums).sum(axis=-1) - squares) / (total * (total - 1)))

    def statistic(hits: Floats) -> Floats:
        return pairs(np.add.reduceat(hits - center, starts, axis=-1), hits @ slope + base)

    def tail(value: float) -> float:
        return share_above(pairs(draws.normal(np.sqrt(variance)), variance.sum()), value)

    return judged(rows, statistic, tail, "normal sums of residuals", draws)
