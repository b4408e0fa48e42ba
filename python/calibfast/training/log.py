"""The log of a run: one JSON object for everything that happened, in order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike

Event = dict[str, Any]


class RunLog:
    """Events in memory and, as `log.jsonl`, in a folder, up to date after each of them.

    Args:
        folder: An existing folder, or None for memory alone.

    Attributes:
        events: What was written.
    """

    def __init__(self, folder: Path | None) -> None:
        self.events: list[Event] = []
        self._folder = folder
        if folder is not None:
            (folder / "log.jsonl").unlink(missing_ok=True)

    def write(self, event: str, **facts: Any) -> None:
        """Add an event. Its facts are plain JSON values."""
        self.events.append({"event": event, **facts})
        if self._folder is not None:
            with (self._folder / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.events[-1], allow_nan=False) + "\n")

    def save(self, name: str, **arrays: ArrayLike) -> None:
        """Write arrays beside the log, as an `.npz` file."""
        if self._folder is not None:
            with (self._folder / f"{name}.npz").open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    def restore(self, events: list[Event]) -> None:
        """Go on after these events, whatever was written behind them."""
        for event in events:
            self.write(**event)
