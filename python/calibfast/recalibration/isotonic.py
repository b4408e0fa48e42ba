"""Monotone maps: isotonic regression (Zadrozny & Elkan 2002) and Venn-Abers predictors (Vovk & Petej 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibfast import _core
from calibfast.recalibration.one_vs_rest import OneVsRest
from calibfast.recalibration.options import read_options

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from calibfast.recalibration.one_vs_rest import Column, Map
    from calibfast.recalibration.options import Floats

    Block = tuple[float, float, "Block | None"]  # weight, right ones, the block before


class IsotonicCalibration(OneVsRest):
    """The rising map of the least squared error (pool adjacent violators), linear between rows, one-vs-rest.

    What scikit-learn's IsotonicRegression(out_of_bounds="clip") gives. It may say exactly 0 or 1, and a right option
    that gets 0 makes the NLL infinite.

    Attributes:
        maps_: `scores` and the `values` that they get, of each option, rising.
    """

    kind = "isotonic"

    def _fit_map(self, column: Column, hits: NDArray[np.bool_]) -> Map:
        scores, values = _core.SortedRows(column.p, hits.view(np.uint8)).isotonic()
        kept = np.ones(len(values), np.bool_)  # the ends of each step say it all
        kept[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
        return {"scores": scores[kept], "values": values[kept]}

    def _apply_map(self, found: Map, column: Column) -> Floats:
        return np.interp(column.p, found["scores"], found["values"])


class VennAbers(OneVsRest):
    """Inductive Venn-Abers predictor (Vovk & Petej 2014; Vovk, Petej & Fedorova 2015), one-vs-rest.

    Isotonic regression on the fitted rows and the new one, once as wrong (p_0) and once as right (p_1); one of the two
    is calibrated, whatever the distribution. The probability is p_1 / (1 - p_0 + p_1), which is minimax for the log
    loss (section 4 of the 2015 paper) and never 0 or 1.

    Attributes:
        maps_: The distinct `scores` of each option, rising, and `p0` and `p1` below the first, at it, between it and
            the second, ... above the last.
    """

    kind = "venn-abers"

    def bounds(
        self, p: ArrayLike, *, logits: bool = False, mask: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """p_0 and p_1 of each option, before rows are made to sum to 1.

        Takes and raises what `predict_proba` does.

        Returns:
            Twice (N, K), 0 for absent options; (N,) for confidences. p_0 <= p_1.
        """
        options = read_options(p, logits=logits, mask=mask)
        self._check_fits(options)
        found = np.zeros((2, *options.present.shape))
        for option, rows, one, column in self._each(options):
            found[:, rows, option] = _at(one, column)
        if options.width == 2:
            found[:, :, 0] = np.where(options.present[:, 0], 1 - found[::-1, :, 1], 0)
        return (found[0, :, 1], found[1, :, 1]) if options.single else (found[0], found[1])

    def _fit_map(self, column: Column, hits: NDArray[np.bool_]) -> Map:
        scores, weights, right = _core.SortedRows(column.p, hits.view(np.uint8)).ties()
        return {"scores": scores, "p0": _inserted(weights, right, 0), "p1": _inserted(weights, right, 1)}

    def _apply_map(self, found: Map, column: Column) -> Floats:
        return _minimax(*_at(found, column))


def _at(found: Map, column: Column) -> Floats:
    """(2, N) p_0 and p_1."""
    place = np.searchsorted(found["scores"], column.p, "left") + np.searchsorted(found["scores"], column.p, "right")
    return np.stack([found["p0"][place], found["p1"][place]])


def _minimax(low: Floats, high: Floats) -> Floats:
    return high / (1 - low + high)


def _inserted(weights: Floats, right: Floats, hit: int) -> Floats:
    """(2n + 1,) the isotonic value of one more row, at each place between and at n ties.

    The ties before a place are pooled once for all places, into blocks that know the block before them; so are those
    after it. A new row then pools with the ends of the two.
    """
    # Rows after the place are those before it when the order and right and wrong are turned around.
    before, after = _blocks(weights, right), _blocks(weights[::-1], (weights - right)[::-1])
    n, found = len(weights), np.empty(2 * len(weights) + 1)
    for place in range(2 * n + 1):
        w, h = 1.0, float(hit)
        if place % 2:
            w, h = w + weights[place // 2], h + right[place // 2]
        left, further = before[place // 2], after[n - (place + 1) // 2]
        while True:
            if left is not None and left[1] * w >= h * left[0]:
                w, h, left = w + left[0], h + left[1], left[2]
            elif further is not None and (further[0] - further[1]) * w <= h * further[0]:
                w, h, further = w + further[0], h + further[0] - further[1], further[2]
            else:
                break
        found[place] = h / w
    return found


def _blocks(weights: Floats, right: Floats) -> list[Block | None]:
    """The last block of the isotonic regression of the first 0, 1, ... n ties."""
    last: list[Block | None] = [None]
    for w, h in zip(weights.tolist(), right.tolist(), strict=True):
        block = last[-1]
        while block is not None and block[1] * w >= h * block[0]:
            w, h, block = w + block[0], h + block[1], block[2]
        last.append((w, h, block))
    return last
