"""What a run folder says about how its model is to be asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from calibfast.data.overlap import overlap
from calibfast.errors import InputError
from calibfast.recalibration.temperature import TemperatureScaling
from calibfast.training.fit import TEMPERATURE_FILE
from calibfast.training.run import QUESTIONS_FILE, RESULT_FILE
from calibfast.whole import reading_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibfast.data.questions import Question
    from calibfast.models.forward import Normalize
    from calibfast.models.prompt import Scoring


@dataclass(frozen=True)
class FinishedRun:
    """A folder that `calibfast train` made.

    Attributes:
        folder: The folder.
        trains: Whether weights were trained: a `temperature` alone goes with the model as it is.
        scoring: How questions were asked in training.
        normalize: How their options' log-likelihoods were normalised.
        temperature: What scores are to be divided by, or None.
        trained: Fingerprints of the questions trained on.
        held_out: Fingerprints of the held-out questions.
    """

    folder: Path
    trains: bool
    scoring: Scoring
    normalize: Normalize
    temperature: float | None
    trained: frozenset[str]
    held_out: frozenset[str]

    def check_unseen(self, questions: Sequence[Question]) -> None:
        """Refuse to test a temperature on the questions that it was fitted to.

        Raises:
            InputError: There are such among the questions.
        """
        shared = overlap(questions, self.held_out) if self.temperature is not None else []
        if shared:
            raise InputError(
                f"{len(shared)} of the {len(questions)} questions, the first of them '{shared[0].id}', are among those "
                f"that the temperature of {self.folder} was fitted to; test on others"
            )


def read_run(folder: str | Path) -> FinishedRun | None:
    """Read a run folder; None where the folder is something else, such as an adapter of another maker.

    Raises:
        InputError: The run's files are damaged.
    """
    folder = Path(folder)
    if not (folder / RESULT_FILE).is_file():
        return None
    with reading_back(folder):
        config = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))["config"]
        scaling = folder / TEMPERATURE_FILE
        questions = json.loads((folder / QUESTIONS_FILE).read_text(encoding="utf-8"))
        return FinishedRun(
            folder=folder,
            trains=config["method"] != "temperature",
            scoring=cast("Scoring", config.get("scoring", "letter")),
            normalize=cast("Normalize", config.get("normalize", "sum")),
            temperature=TemperatureScaling.from_json(scaling.read_text(encoding="utf-8")).temperature
            if scaling.is_file()
            else None,
            trained=frozenset(questions["trained"]),
            held_out=frozenset(questions["held_out"]),
        )
