"""Where in its epochs a training stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import TrainerState


def ended_epoch(state: TrainerState) -> int | None:
    """The number, from 1, of the epoch that has just ended; None within one, as where it was interrupted."""
    epoch = float(state.epoch or 0)
    return int(epoch) if epoch.is_integer() else None
