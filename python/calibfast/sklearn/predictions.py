"""What a fitted classifier says of rows, as probabilities and the indices of the right classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def predictions(estimator: Any, X: Any, y: ArrayLike) -> tuple[NDArray[Any], NDArray[np.intp]]:  # noqa: N803
    """(N, K) probabilities of a fitted classifier, and (N,) columns of the right classes.

    Classifiers differ in how well their rows sum to 1 (naive Bayes by ten units in the last place): rows that
    scikit-learn's own scores let pass, as they are off by at most the root of the rounding unit, are divided by their
    sum where they are off by more than four units.

    Raises:
        InputError: The classifier gives no probabilities, or a label is none of its classes.
    """
    if not hasattr(estimator, "predict_proba"):
        raise InputError(
            f"{type(estimator).__name__} has no predict_proba, so no confidence: calibrate it first, as by "
            "sklearn.calibration.CalibratedClassifierCV"
        )
    probs, classes, given = np.asarray(estimator.predict_proba(X)), np.asarray(estimator.classes_), np.asarray(y)
    labels = np.minimum(np.searchsorted(classes, given), len(classes) - 1)
    for row in np.flatnonzero(classes[labels] != given)[:1].tolist():
        raise InputError(
            f"y at row {row} is {given[row]}, a class that {type(estimator).__name__} was not fitted to; "
            "stratify the split, or leave such rows out",
            row,
        )
    sums, unit = probs.sum(axis=1, keepdims=True), np.finfo(probs.dtype).eps
    off = np.abs(sums - 1)
    return np.where((off > 4 * unit) & (off <= np.sqrt(unit)), probs / sums, probs), labels
