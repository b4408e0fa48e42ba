"""The one door to the rows, for the metrics that no state of bins can tell."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from calibfast import _core
from calibfast.errors import InputError
from calibfast.metrics.arrays import Predictions, renumbered, to_predictions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray


class RowArguments(TypedDict, total=False):
    """What every metric takes by keyword; see `calibfast.CalibrationError.update`.

    Attributes:
        logits: Whether the predictions are logits (-inf = option absent). Never guessed.
        mask: (N, K) bool, True where an option is present. Default: all are.
        weights: (N,) finite, not negative. Default: every row counts once.
        ignore_index: Rows with this outcome are left out.
        threads: Default: CALIBFAST_NUM_THREADS, else all processors. Changes no bit of the result.
    """

    logits: bool
    mask: ArrayLike | None
    weights: ArrayLike | None
    ignore_index: int | None
    threads: int | None


@dataclass(frozen=True)
class Rows:
    """Rows of predictions without the ignored ones. Rows in errors count from the first that the user gave."""

    predictions: Predictions
    threads: int | None
    kept: NDArray[np.bool_] | None  # which of the user's rows these are; None for all

    def top(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Confidence of every row (of its top option, where there are options) and whether it is right."""
        rows = self.predictions
        with self._numbered():
            return _core.top(rows.values, rows.labels, form=rows.form, mask=rows.mask)

    def sorted(self) -> _core.SortedRows:
        """The rows in rising order of confidence."""
        return self._sorted(*self.top(), self.predictions.weights)

    def probabilities(self, metric: str) -> NDArray[np.float64]:
        """(N, K) probabilities, 0 where an option is absent.

        Raises:
            InputError: There are confidences alone.
        """
        rows = self.predictions
        if rows.form == "confidence":
            raise InputError(f"{metric} needs (N, K) probabilities and labels, not confidences alone")
        with self._numbered():
            return _core.probabilities(rows.values, rows.labels, form=rows.form, mask=rows.mask)

    def distinct_options(self, metric: str) -> _core.DistinctOptions:
        """Distinct rows of probabilities; confidences are rows of two options, right and wrong."""
        probabilities, labels = self.options(metric)
        weights = self.predictions.weights
        with self._numbered():
            return _core.DistinctOptions(
                probabilities, labels, weights=None if weights is None else np.ascontiguousarray(weights, np.float64)
            )

    def options(self, metric: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(N, K) probabilities and labels; confidences are rows of two options, right and wrong."""
        if self.predictions.form == "confidence":
            confidence, correct = self.top()
            return np.stack([confidence, 1 - confidence], axis=1), 1 - correct.astype(np.int64)
        return self.probabilities(metric), np.ascontiguousarray(self.predictions.labels, np.int64)

    def classes(self, metric: str, threshold: float = -1.0) -> Iterator[_core.SortedRows]:
        """Every class against the rest: the rows that have it with more than `threshold`, if there are any."""
        probabilities, present = self.probabilities(metric), self.predictions.present()
        labels, weights = self.predictions.labels, self.predictions.weights
        for column in range(probabilities.shape[1]):
            member = present[:, column] & (probabilities[:, column] > threshold)
            if weights is not None:
                self.check_weights()
                member &= weights > 0
            if member.any():
                chosen = None if weights is None else weights[member]
                yield self._sorted(probabilities[member, column], labels[member] == column, chosen)

    def check_weights(self, counts_for: str | None = None) -> None:
        """Check the weights where no core does; where rows are taken out one at a time, they are counts.

        Raises:
            InputError: A weight is negative, not finite, or no whole number where it is a count.
        """
        weights = self.predictions.weights
        if weights is None:
            return
        if len(weights) != len(self.predictions.labels):
            raise InputError(f"weights has {len(weights)} rows, expected {len(self.predictions.labels)}")
        with self._numbered():
            for row in np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))[:1].tolist():
                raise InputError(f"weight at row {row} is {weights[row]}; weights are finite and not negative", row)
            if counts_for is None:
                return
            for row in np.flatnonzero(weights != np.floor(weights))[:1].tolist():
                raise InputError(
                    f"weight at row {row} is {weights[row]}; {counts_for} sets each row against the others, so a "
                    "weight says how often a row stands there: give whole numbers",
                    row,
                )

    def _sorted(
        self, confidence: NDArray[Any], correct: NDArray[Any], weights: NDArray[Any] | None
    ) -> _core.SortedRows:
        with self._numbered():
            return _core.SortedRows(confidence, correct.view(np.uint8), weights=weights, threads=self.threads)

    @contextmanager
    def _numbered(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            if self.kept is None or error.row is None:
                raise
            raise renumbered(error, int(np.flatnonzero(self.kept)[error.row])) from None


def read_rows(
    p: ArrayLike,
    y: ArrayLike,
    *,
    logits: bool = False,
    mask: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    ignore_index: int | None = None,
    threads: int | None = None,
) -> Rows:
    """Rows as `RowArguments` describe them.

    Raises:
        InputError: Types or shapes do not go together.
    """
    rows = to_predictions(p, y, logits=logits, mask=mask, weights=weights)
    if ignore_index is None:
        return Rows(rows, threads, None)
    for name, column in (("labels", rows.labels), ("weights", rows.weights)):
        if column is not None and len(column) != len(rows.values):
            raise InputError(f"{name} has {len(column)} rows, expected {len(rows.values)}, one for each prediction")
    kept = rows.labels != ignore_index
    return Rows(rows.take(kept), threads, kept)
