"""The one door for rows that a recalibration map is fitted or applied to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibfast import _core
from calibfast.errors import InputError
from calibfast.metrics.arrays import to_predictions, widened

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from calibfast.metrics.arrays import Predictions

    Floats = NDArray[np.float64]

_BFLOAT16_EPS = 2.0**-8
_LARGEST_LOG_ODDS = 745.0  # exp(-745) is the smallest float64 above 0


@dataclass(frozen=True)
class Options:
    """Checked rows in float64.

    Attributes:
        values: (N, K) probabilities, or logits.
        present: (N, K) which options are there.
        logits: Whether `values` holds logits.
        single: Whether the rows came as confidences; they are rows of two options then, wrong and right.
        largest: The largest log-odds that the type of the values can tell from certainty.
    """

    values: Floats
    present: NDArray[np.bool_]
    logits: bool
    single: bool
    largest: float

    @property
    def width(self) -> int:
        """K."""
        return int(self.values.shape[1])

    def take(self, rows: NDArray[np.intp]) -> Options:
        """The chosen rows alone."""
        return Options(self.values[rows], self.present[rows], self.logits, self.single, self.largest)

    def scores(self) -> Floats:
        """(N, K) logits, or ln p; -inf where an option is absent or its probability is 0."""
        if self.logits:
            return self.values
        with np.errstate(divide="ignore"):
            return np.log(self.values)

    def log_probabilities(self) -> Floats:
        """(N, K) ln p; -inf where an option is absent or its probability is 0."""
        scores = self.scores()
        return scores - log_sum_exp(scores)[:, np.newaxis] if self.logits else scores

    def probabilities(self) -> Floats:
        """(N, K) probabilities; 0 where an option is absent."""
        return softmax(self.values) if self.logits else self.values

    def log_odds(self, column: int) -> Floats:
        """(N,) ln(p / (1 - p)) of one option, exact for logits however sure they are.

        A probability of 0 or 1 counts as half a step of its type away from it.
        """
        with np.errstate(divide="ignore"):
            if self.logits:
                found = self.values[:, column] - log_sum_exp(np.delete(self.values, column, axis=1))
            else:
                found = np.log(self.values[:, column]) - np.log1p(-self.values[:, column])
        return np.clip(found, -self.largest, self.largest)


def read_options(p: ArrayLike, *, logits: bool, mask: ArrayLike | None) -> Options:
    """Rows to recalibrate: (N,) confidences or (N, K) options.

    Raises:
        InputError: The rows break their contract.
    """
    rows = to_predictions(p, np.zeros(0, np.uint8), logits=logits, mask=mask)
    if rows.form == "confidence":
        _core.top(rows.values, np.zeros(len(rows.values), np.uint8), form=rows.form)  # refuses what is none
    else:
        _core.assign(rows.values, 1, form=rows.form, mask=rows.mask)  # refuses rows that are no distribution
    return _options(rows)


def read_labelled(
    p: ArrayLike, labels: ArrayLike, *, logits: bool, mask: ArrayLike | None
) -> tuple[Options, NDArray[np.intp]]:
    """Rows with the index of the right option, or with right and wrong beside confidences.

    Raises:
        InputError: The rows break their contract, there are none, or a right option is absent.
    """
    rows = to_predictions(p, labels, logits=logits, mask=mask)
    if len(rows.labels) == 0:
        raise InputError("no rows to fit a recalibration map to, or to test one on")
    _core.State(1).update(rows.values, rows.labels, form=rows.form, mask=rows.mask)  # refuses bad labels and rows
    options, right = _options(rows), rows.labels.astype(np.intp)
    for row in np.flatnonzero(~options.present[np.arange(len(right)), right])[:1].tolist():
        raise InputError(f"row {row}: {LOST.format(right[row])}", row)
    return options, right


LOST = "the right option {} is absent or has probability 0, which no such map changes; leave the row out"


def log_sum_exp(scores: Floats) -> Floats:
    """(N,) ln of the sum of exp over each row; -inf where all are -inf."""
    top = scores.max(axis=1)
    top[np.isneginf(top)] = 0
    with np.errstate(divide="ignore"):
        return np.asarray(top + np.log(np.exp(scores - top[:, np.newaxis]).sum(axis=1)))


def softmax(scores: Floats) -> Floats:
    """(N, K) probabilities; 0 where the score is -inf."""
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=1, keepdims=True))


def _options(rows: Predictions) -> Options:
    values, present = widened(rows.values).astype(np.float64), rows.present()
    if rows.form == "logits":
        return Options(np.where(present, values, -np.inf), present, True, False, _LARGEST_LOG_ODDS)
    step = _BFLOAT16_EPS if rows.values.dtype == np.uint16 else float(np.finfo(rows.values.dtype).eps)
    single = rows.form == "confidence"
    if single:
        values, present = np.concatenate([1 - values, values], axis=1), np.ones((len(values), 2), np.bool_)
    return Options(values, present, False, single, -math.log(step / 4))
