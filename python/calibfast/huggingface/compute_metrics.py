"""Calibration each time that a `transformers.Trainer` evaluates a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibfast.huggingface.numbers import numbers
from calibfast.metrics import evaluate
from calibfast.metrics.arrays import to_floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import EvalPrediction

PADDING = -100
"""What the trainer writes where rows of a batch are shorter than others, and where there is no label."""


def compute_metrics(prediction: EvalPrediction, *, bins: int | Sequence[float] = 10) -> dict[str, float]:
    """Conf-ECE, cw-ECE, accuracy, NLL and Brier score of a model for sequence classification or multiple choice.

    Hand it to a `Trainer` as its `compute_metrics`, other bins by `functools.partial`. The trainer logs the numbers as
    `eval_conf_ece` and so on.

    Args:
        prediction: What the trainer hands over: (N, K) logits (or a tuple that starts with them) and (N,) labels.
            Logits of exactly -100, with which it fills up rows of fewer options, are absent options; rows of label
            -100 are left out.
        bins: Number of equal-width bins, or their edges. Default 10.

    Raises:
        InputError: The predictions are no logits of options, the labels no integers, or there are no rows.
    """
    found = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    logits = to_floats(found, "predictions")
    padded = np.where(logits == PADDING, -np.inf, logits)
    return numbers(evaluate(padded, prediction.label_ids, logits=True, bins=bins, ignore_index=PADDING))
