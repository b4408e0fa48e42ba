"""Ctrl-C while a model trains: the update at hand is finished and a checkpoint written."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback
from typing_extensions import override

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments


class StopOnInterrupt(TrainerCallback):
    """Asks the Trainer to save and stop after the first Ctrl-C; the second ends the process as ever.

    Attributes:
        asked: Whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)

    @override
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.asked:
            control.should_save = control.should_training_stop = True

    def restore(self) -> None:
        """Give Ctrl-C back its usual meaning."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _note(self, _number: int, _frame: Any) -> None:
        self.asked = True
        self.restore()
