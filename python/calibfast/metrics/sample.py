"""Rows in an order that the caller's has no part in, and what intervals are made of: values and influences by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast import _core
from calibfast.errors import InputError
from calibfast.metrics.residual_cells import Residuals, cell_of, class_residuals

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from calibfast.metrics.arrays import Predictions
    from calibfast.metrics.rows import Rows

    Floats = NDArray[np.float64]

FEWEST = 10  # rows, or clusters: with fewer the spread of a sample says nothing


@dataclass(frozen=True)
class Sample:
    """Rows in an order that the caller's has no part in, with what intervals are made of."""

    rows: Predictions
    bins: int | list[float]
    confidence: Floats
    correct: Floats
    weights: Floats | None
    clusters: NDArray[np.intp] | None

    @classmethod
    def of(
        cls,
        given: Rows,
        bins: int | list[float],
        *,
        clusters: ArrayLike | None = None,
    ) -> Sample:
        """Check the rows and sort them.

        Raises:
            InputError: Something breaks its contract, or there are too few rows or clusters.
        """
        given.check_weights()
        code = None if clusters is None else coded(np.asarray(clusters), given)
        order = np.lexsort([key for key in (given.predictions.weights, code) if key is not None] + sort_keys(given))
        return cls.ordered(given, bins, order, code)

    @classmethod
    def ordered(
        cls, given: Rows, bins: int | list[float], order: NDArray[np.intp], clusters: NDArray[np.intp] | None
    ) -> Sample:
        """Take checked rows in an order.

        Raises:
            InputError: There are too few rows.
        """
        given.sorted()  # checks every value
        confidence, correct = given.top()
        if len(confidence) < FEWEST:
            raise InputError(f"an interval needs at least {FEWEST} rows, got {len(confidence)}")
        rows = given.predictions.take(order)
        return cls(
            rows,
            bins,
            confidence[order],
            correct[order].astype(np.float64),
            None if rows.weights is None else rows.weights.astype(np.float64),
            None if clusters is None else clusters[order],
        )

    def by_unit(self, values: Floats) -> Floats:
        """Sums over clusters; the values themselves where there are none."""
        return values if self.clusters is None else np.bincount(self.clusters, weights=values).astype(np.float64)

    @property
    def units(self) -> float:
        """How many rows (clusters) of one weight say as much as these (Kish 1965)."""
        w = self.by_unit(np.ones(len(self.correct)) if self.weights is None else self.weights)
        return float(w.sum() ** 2 / (w**2).sum())

    def residuals(self, *, classwise: bool) -> Residuals:
        """Outcome - confidence by row and cell: the bins of the predicted option, or of every class."""
        if classwise:
            return class_residuals(self.rows, self.bins)
        if self.rows.form == "confidence":
            cell, width = cell_of(self.rows.values, self.bins)
        else:
            top = _core.assign(self.rows.values, self.bins, form=self.rows.form, mask=self.rows.mask)
            cell, width = top[:, np.newaxis], len(_core.State(self.bins).edges) - 1
        return Residuals(cell, self.confidence[:, np.newaxis], self.correct[:, np.newaxis], 1, width)

    def values(self, name: str) -> Floats:
        """What a metric is the mean of, by row."""
        if name == "accuracy":
            return self.correct
        if name == "mean_confidence":
            return self.confidence
        if name == "signed_gap":
            return self.confidence - self.correct
        if self.rows.form == "confidence":
            if name == "brier":
                return (self.confidence - self.correct) ** 2
            right = np.where(self.correct > 0, self.confidence, 1 - self.confidence)
        else:
            probs = self.probabilities()
            right = probs[np.arange(len(probs)), self.rows.labels]
            if name == "brier":
                return np.asarray((probs**2).sum(axis=1) - 2 * right + 1)
        with np.errstate(divide="ignore"):
            return np.asarray(-np.log(right))

    def probabilities(self) -> Floats:
        """(N, K) probabilities in float64."""
        return _core.probabilities(self.rows.values, self.rows.labels, form=self.rows.form, mask=self.rows.mask)

    def auroc(self) -> tuple[float, Floats]:
        """AUROC and what each row adds to its error (the placements of DeLong et al. 1988).

        Raises:
            InputError: All rows are right, or all are wrong.
        """
        estimate = self._sorted().auroc()
        if estimate is None:
            raise InputError("AUROC compares right rows with wrong ones, and there is one kind alone")
        w = np.ones(len(self.correct)) if self.weights is None else self.weights
        right = self.correct > 0
        place = np.unique(self.confidence, return_inverse=True)[1]
        at_right: Floats = np.bincount(place, w * right) / w[right].sum()
        at_wrong: Floats = np.bincount(place, w * ~right) / w[~right].sum()
        below_wrong, above_right = np.cumsum(at_wrong) - at_wrong / 2, 1 - np.cumsum(at_right) + at_right / 2
        of_right = w * (below_wrong[place] - estimate) / w[right].sum()
        of_wrong = w * (above_right[place] - estimate) / w[~right].sum()
        return estimate, np.where(right, of_right, of_wrong)

    def aurc(self) -> tuple[float, Floats]:
        """AURC and what each row adds to its error: A = E_t[R(t)] with R(t) the risk of the share G(t) above t.

        A row of confidence p and loss l moves A by R(p) - A + E_t[(l - R(t)) / G(t); t <= p].
        """
        w = np.ones(len(self.correct)) if self.weights is None else self.weights
        w, loss = w / w.sum(), 1 - self.correct
        place = np.unique(self.confidence, return_inverse=True)[1]
        at = np.bincount(place, w)
        above = np.cumsum(at[::-1])[::-1]
        risk = np.cumsum(np.bincount(place, w * loss)[::-1])[::-1] / above
        estimate = float((at * risk).sum())
        drawn, lost = np.cumsum(at / above), np.cumsum(at * risk / above)
        influence = risk[place] - estimate + loss * drawn[place] - lost[place]
        return self._sorted().aurc(), w * influence

    def _sorted(self) -> _core.SortedRows:
        return _core.SortedRows(self.confidence, self.correct.astype(np.uint8), weights=self.weights)


def sort_keys(rows: Rows) -> list[NDArray[Any]]:
    """What tells rows apart, for np.lexsort."""
    predictions = rows.predictions
    # Further options than these settle no tie that matters.
    return [*predictions.values.T[:64], predictions.labels, rows.top()[0]]


def coded(clusters: NDArray[Any], rows: Rows) -> NDArray[np.intp]:
    """The clusters of the kept rows as numbers from 0.

    Raises:
        InputError: Their number is not that of the rows, or there are too few of them.
    """
    n = len(rows.predictions.labels if rows.kept is None else rows.kept)
    if clusters.shape != (n,):
        raise InputError(f"clusters have shape {clusters.shape}, expected ({n},), one for each row")
    if rows.kept is not None:
        clusters = clusters[rows.kept]
    names, code = np.unique(clusters, return_inverse=True)
    if len(names) < FEWEST:
        raise InputError(f"an interval over clusters needs at least {FEWEST} of them, got {len(names)}")
    return code
