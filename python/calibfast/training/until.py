"""Training that goes on until the model answers a share of its own training questions right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import TrainerCallback
from typing_extensions import override

from calibfast.evaluation.options import score_encoded
from calibfast.training.epoch import ended_epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import TrainerControl, TrainerState, TrainingArguments

    from calibfast.models.forward import Normalize
    from calibfast.training.dataset import QuestionRows
    from calibfast.training.log import Event, RunLog

_EVENT = "training-questions"


class Until(TrainerCallback):
    """Scores the training questions after each epoch, logs the accuracy, and stops where it is high enough.

    Args:
        accuracy: How high.
        rows: The training questions.
        normalize: Of their options' log-likelihoods.
        log: The run's.
    """

    def __init__(self, accuracy: float, rows: QuestionRows, normalize: Normalize, log: RunLog) -> None:
        self._accuracy, self._rows, self._normalize, self._log = accuracy, rows, normalize, log

    @override
    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if (epoch := ended_epoch(state)) is None:
            return
        scores = score_encoded(kwargs["model"], self._rows.encoded, normalize=self._normalize)
        accuracy = float(np.mean(scores.argmax(axis=1) == np.array(self._rows.answers)))
        self._log.write(_EVENT, epoch=epoch, accuracy=accuracy)
        if accuracy >= self._accuracy:
            control.should_training_stop = True


def reached(accuracy: float, events: Sequence[Event]) -> int | None:
    """The epoch after which a run of this log was accurate enough, or None."""
    return next((each["epoch"] for each in events if each["event"] == _EVENT and each["accuracy"] >= accuracy), None)
