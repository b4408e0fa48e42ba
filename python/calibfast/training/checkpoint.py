"""Checkpoints that are there whole or not at all, and going on from one."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from typing_extensions import override

from calibfast.training.epoch import ended_epoch
from calibfast.whole import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from calibfast.training.estep_callback import EStepCallback
    from calibfast.training.held_out import HeldOutEvaluation
    from calibfast.training.log import RunLog

_ARRAYS, _VALUES = "calibfast.npz", "calibfast.json"


def is_complete(checkpoint: Path) -> bool:
    """Whether all of a checkpoint was written: the values come last, under their name in one step."""
    return (checkpoint / _VALUES).is_file()


def newest(folder: Path) -> Path | None:
    """The last whole checkpoint of a run, or None. What was left unfinished is removed."""
    found = sorted(folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in found:
        if not is_complete(path):
            shutil.rmtree(path)
    return next((path for path in reversed(found) if is_complete(path)), None)


def remove_all(folder: Path) -> None:
    """Remove a run's checkpoints, when it has ended well."""
    for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        shutil.rmtree(path)


class SaveAfterEpoch(TrainerCallback):
    """A checkpoint that falls due with an epoch's last update waits for its evaluation and its log."""

    @override
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if ended_epoch(state) is not None:
            control.should_save = False

    @override
    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if ended_epoch(state) is not None:
            control.should_save = True


@dataclass(frozen=True)
class Progress:
    """What a checkpoint holds beside weights, optimizer, schedule and random state, which are the Trainer's.

    Attributes:
        log: The run's.
        held_out: The evaluations so far.
        estep: The E-step's state, if the method has one.
        reference: Scores of the model that the training started from, if the method needs them.
        sums: Of the losses and the questions since they were last logged.
    """

    log: RunLog
    held_out: HeldOutEvaluation
    estep: EStepCallback | None
    reference: Tensor | None
    sums: dict[str, Tensor] = field(default_factory=dict)

    def complete(self, checkpoint: Path) -> None:
        """Add these to what the Trainer wrote, and let it take the place of older checkpoints."""
        arrays: dict[str, NDArray[np.generic]] = {"held_out": np.stack(self.held_out.scorings)}
        values: dict[str, object] = {
            "events": self.log.events,
            "sums": {name: float(total) for name, total in self.sums.items()},
        }
        if self.estep is not None:
            own, values["estep"] = self.estep.state()
            arrays |= own
        if self.reference is not None:
            arrays["reference"] = self.reference.numpy()
        with (checkpoint / _ARRAYS).open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        write_whole(checkpoint / _VALUES, json.dumps(values, allow_nan=False))
        for other in checkpoint.parent.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
            if other != checkpoint:
                shutil.rmtree(other)

    def restore(self, checkpoint: Path) -> None:
        """Go on from a whole checkpoint."""
        with np.load(checkpoint / _ARRAYS) as file:
            arrays = dict(file)
        values = json.loads((checkpoint / _VALUES).read_text(encoding="utf-8"))
        self.log.restore(values["events"])
        self.sums.update({name: torch.tensor(total) for name, total in values["sums"].items()})
        self.held_out.scorings.extend(arrays["held_out"])
        if self.estep is not None:
            self.estep.restore(arrays, values["estep"])
        if self.reference is not None:
            self.reference.copy_(torch.from_numpy(arrays["reference"]))
