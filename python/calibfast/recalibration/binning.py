"""Maps with steps: histogram binning (Zadrozny & Elkan), BBQ (Naeini et al.), scaling-binning (Kumar et al.)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from calibfast.errors import InputError, MissingExtraError
from calibfast.recalibration.one_vs_rest import OneVsRest
from calibfast.recalibration.sigmoid import fit_platt, platt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibfast.recalibration.one_vs_rest import Column, Map
    from calibfast.recalibration.options import Floats


class HistogramBinning(OneVsRest):
    """The share of right ones in each of M bins of equal mass, one-vs-rest (Zadrozny & Elkan 2001).

    Ties are never split, so there may be fewer bins; an edge lies half-way between the scores beside it. A bin may say
    exactly 0 or 1, and a right option that gets 0 makes the NLL infinite.

    Args:
        bins: M, from 1; 10 in the paper.

    Attributes:
        maps_: `edges` between the bins of each option, and `values` of the bins.
    """

    kind = "histogram"

    def __init__(self, bins: int = 10) -> None:
        self.bins = bins

    def _fit_map(self, column: Column, hits: NDArray[np.bool_]) -> Map:
        edges = _equal_mass(column.p, _number(self.bins))
        count, right = _counts(column.p, hits, edges)
        return {"edges": edges, "values": right / count}

    def _apply_map(self, found: Map, column: Column) -> Floats:
        return _step(found, column.p)


class BBQ(OneVsRest):
    """Bayesian binning into quantiles (Naeini, Cooper & Hauskrecht 2015), one-vs-rest.

    The mean of histogram binnings with N^(1/3) / 10 to 10 N^(1/3) bins, weighted by their marginal likelihood. Bin b
    of B has a Beta(2 p_b / B, 2 (1 - p_b) / B) prior, p_b the middle of the bin (N' = 2 as in the paper); its value is
    the mean of its posterior, so that none is 0 or 1. All numbers of bins are as likely beforehand.

    Attributes:
        maps_: `edges` between the steps of each option, and their `values`.
    """

    kind = "bbq"

    def _fit_map(self, column: Column, hits: NDArray[np.bool_]) -> Map:
        try:
            from scipy.special import betaln
        except ImportError as error:
            raise MissingExtraError("fitting BBQ", "recalibrate") from error
        root = len(hits) ** (1 / 3)
        models: list[tuple[Floats, Floats]] = []
        score: list[float] = []
        for bins in range(max(1, math.floor(root / 10)), min(len(hits), math.ceil(10 * root)) + 1):
            edges = _equal_mass(column.p, bins)
            if models and np.array_equal(edges, models[-1][0]):
                continue  # ties leave no more bins than before
            count, right = _counts(column.p, hits, edges)
            middle = (np.concatenate([[0.0], edges]) + np.concatenate([edges, [1.0]])) / 2
            a, b = 2 * middle / len(count), 2 * (1 - middle) / len(count)
            models.append((edges, (right + a) / (count + a + b)))
            score.append(float((betaln(right + a, count - right + b) - betaln(a, b)).sum()))
        weight = np.exp(np.array(score) - max(score))
        edges = np.unique(np.concatenate([edges for edges, _ in models]))
        inside = np.concatenate([edges, [1.0]])  # a step is closed on the right
        says = np.stack([_step({"edges": edges, "values": values}, inside) for edges, values in models])
        return {"edges": edges, "values": weight @ says / weight.sum()}

    def _apply_map(self, found: Map, column: Column) -> Floats:
        return _step(found, column.p)


class ScalingBinning(OneVsRest):
    """Platt scaling g, then the mean of g in each of M bins of equal mass of g, one-vs-rest (Kumar, Liang & Ma 2019).

    A finite set of values, whose calibration can be measured; less variance than histogram binning. The three steps
    use the same rows, as the authors' code does. No value is 0 or 1.

    Args:
        bins: M, from 1; 10 in the authors' code.

    Attributes:
        maps_: `coefficients` a, b of g of each option, `edges` between the bins of g, and `values` of the bins.
    """

    kind = "scaling-binning"

    def __init__(self, bins: int = 10) -> None:
        self.bins = bins

    def _fit_map(self, column: Column, hits: NDArray[np.bool_]) -> Map:
        coefficients = fit_platt(column, hits)
        scaled = np.sort(platt(coefficients, column))
        edges = _equal_mass(scaled, _number(self.bins))
        place = np.searchsorted(edges, scaled)
        values = np.bincount(place, scaled) / np.bincount(place)
        return {"coefficients": coefficients, "edges": edges, "values": values}

    def _apply_map(self, found: Map, column: Column) -> Floats:
        return _step(found, platt(found["coefficients"], column))


def _equal_mass(scores: Floats, bins: int) -> Floats:
    """Edges between the bins of sorted scores: bin m ends where m/M of the rows are reached, ties together."""
    value, count = np.unique(scores, return_counts=True)
    reached = np.cumsum(count)
    last = np.unique(np.searchsorted(reached * bins, np.arange(1, bins) * len(scores)))
    last = last[last < len(value) - 1]
    return np.asarray((value[last] + value[last + 1]) / 2)


def _counts(scores: Floats, hits: NDArray[np.bool_], edges: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Rows of each bin, none of which is empty, and right ones among them."""
    place = np.searchsorted(edges, scores)
    return np.bincount(place), np.bincount(place, hits).astype(np.float64)


def _step(found: Map, scores: Floats) -> Floats:
    return np.asarray(found["values"][np.searchsorted(found["edges"], scores)])


def _number(bins: int) -> int:
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise InputError(f"bins is a whole number from 1, got {bins!r}")
    return bins
