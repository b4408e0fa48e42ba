"""What predictions and single answers tell of A*, the highest accuracy that any model can have."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError
from calibfast.metrics.interval_methods import Interval
from calibfast.metrics.rows import read_rows
from calibfast.metrics.score_intervals import student_quantile, wilson
from calibfast.metrics.target import LEVEL
from calibfast.recalibration.cross_fit import cross_fit, drawn_folds
from calibfast.recalibration.options import read_labelled
from calibfast.recalibration.temperature import TemperatureScaling

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from calibfast.recalibration.base import Recalibrator
    from calibfast.recalibration.options import Options

GROUPS = 20
FEWEST_ROWS = 2 * GROUPS
JACKKNIFE = f"mean top confidence, cross-fitted; jackknife over {GROUPS} groups (Quenouille 1956, Tukey 1958)"


@dataclass(frozen=True)
class CriticalAccuracyEstimate:
    """What is known of A* = E[max_j p*_j(x)] where the truth p* is not; see `estimate_critical_accuracy`.

    Attributes:
        confidence: Mean top confidence of the recalibrated predictions, with its interval: A* where they are the truth.
        at_least: A* is at least this, at 95% one-sided, whatever the predictions are worth.
        brier_bound: 1 - Brier score, below A* on average: A* >= E[sum_j p*_j^2], and no predictions score better.
        nll_bound: exp(-NLL), below A* on average: max_j p*_j >= exp(-H(p*)), and NLL is at least the mean entropy.
    """

    confidence: Interval
    at_least: float
    brier_bound: float
    nll_bound: float

    def to_dict(self) -> dict[str, Any]:
        """The result as plain dictionaries and numbers."""
        return asdict(self)


def estimate_critical_accuracy(
    p: ArrayLike,
    labels: ArrayLike,
    *,
    logits: bool = False,
    mask: ArrayLike | None = None,
    recalibrator: Recalibrator | None = None,
    folds: int = 5,
) -> CriticalAccuracyEstimate:
    """Estimate A* from one answer to each question: recalibrate, and see how sure the predictions may be.

    Recalibrated predictions r are what the model's scores tell of p*. E[max_j r_j] is therefore at most A*, and A* only
    where the scores leave nothing untold. From above, single answers say nothing of A*: questions whose answers are
    certain, and were merely not known to the model, look the same. `critical_accuracy_of_answers` needs several.

    Args:
        p: (N, K) probabilities or logits of questions that the model was not trained on.
        labels: (N,) index of each answer.
        logits: Whether `p` holds logits.
        mask: (N, K) bool, True where an option is present. Default: all are.
        recalibrator: The method. Default: temperature scaling.
        folds: Each row is recalibrated by a fit to the other folds. Default 5.

    Raises:
        InputError: As for `cross_fit`, or there are fewer than 40 rows.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.dirichlet([1, 1, 1], size=2000)
        >>> labels = (truth.cumsum(axis=1) < rng.random((2000, 1))).sum(axis=1)
        >>> found = estimate_critical_accuracy(5 * np.log(truth), labels, logits=True)
        >>> bool(found.confidence.low < truth.max(axis=1).mean() < found.confidence.high)
        True
    """
    method = recalibrator or TemperatureScaling()
    found = cross_fit(method, p, labels, logits=logits, mask=mask, folds=folds)
    if len(found) < FEWEST_ROWS:
        raise InputError(f"an estimate of A* needs at least {FEWEST_ROWS} questions, got {len(found)}")
    estimate = float(found.max(axis=1).mean())
    half = student_quantile(LEVEL, GROUPS - 1) * _jackknife(method, *read_labelled(p, labels, logits=logits, mask=mask))
    _, correct = read_rows(found, labels).top()
    right = found[np.arange(len(found)), np.asarray(labels)]
    with np.errstate(divide="ignore"):
        nll = float(-np.log(right).mean())
    return CriticalAccuracyEstimate(
        confidence=Interval(max(estimate - half, 0.0), min(estimate + half, 1.0), estimate, LEVEL, JACKKNIFE),
        at_least=wilson(float(correct.mean()), len(correct), 2 * LEVEL - 1)[0],
        brier_bound=float((2 * right - (found**2).sum(axis=1)).mean()),
        nll_bound=float(np.exp(-nll)),
    )


def _jackknife(method: Recalibrator, options: Options, right: NDArray[np.intp]) -> float:
    """Standard error of the mean top confidence, that of the fit included."""
    method = type(method)(**method.get_params())
    group = drawn_folds(options, right, GROUPS)
    without = []
    for each in range(GROUPS):
        rest = np.flatnonzero(group != each)
        method._fit_rows(options.take(rest), right[rest])
        without.append(method._predict_rows(options.take(rest)).max(axis=1).mean())
    return float(np.sqrt((GROUPS - 1) * np.var(without)))
