"""Cross-fitting: the bins' accuracies from training questions that were answered by models that did not see them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calibfast.data.split import split_questions
from calibfast.errors import InputError
from calibfast.whole import open_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from calibfast.data.questions import Question
    from calibfast.training.config import TrainingConfig

FILE = "cross-fit.npz"


@dataclass(frozen=True)
class OutOfFold:
    """What two models said to the half of the questions that they did not train on.

    Attributes:
        labels: (N,) int64, index of the right option.
        scorings: (epochs + 1, N, K) float32 scores, before training and after every epoch.
    """

    labels: NDArray[np.int64]
    scorings: NDArray[np.float32]


def cross_fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    config: TrainingConfig,
    folder: Path | None,
    *,
    progress: bool,
) -> OutOfFold:
    """Train on each half of the questions by the same settings, and score the other half as the epochs go by.

    As a model that trained on a question knows its answer, the two halves stand in for questions that are new to the
    model that trains on both: q_m of an epoch is read off all of them, as that epoch's models scored them.

    Args:
        model: The model to start from; it comes back as it was.
        tokenizer: Its tokenizer.
        questions: The training questions.
        config: The settings of the run.
        folder: Where the scores are kept for a run that goes on, or None.
        progress: Whether to show the epochs on stderr.

    Raises:
        InputError: All weights are trained: there is no model to go back to.
    """
    from calibfast.training.fit import fit  # it calls this function

    if config.weights == "full":
        raise InputError("estep_data is 'cross-fit', which trains three adapters; it needs weights 'lora'")
    if folder is not None and (folder / FILE).exists():
        with np.load(folder / FILE) as saved:
            return OutOfFold(saved["labels"], saved["scorings"])
    halves = split_questions(questions, 0.5, config.seed)
    settings = replace(config, estep_data="held-out", until=None)
    labels, scorings = [], []
    for own, other in (halves, halves[::-1]):
        adapted, history = fit(model, tokenizer, own, other, settings, None, progress)
        model = adapted.unload()  # type: ignore[operator]
        labels.append(np.array([question.answer for question in other]))
        scorings.append(np.stack(history.scorings))
    width = max(each.shape[2] for each in scorings)
    padded = [np.pad(each, ((0, 0), (0, 0), (0, width - each.shape[2])), constant_values=-np.inf) for each in scorings]
    result = OutOfFold(np.concatenate(labels), np.concatenate(padded, axis=1))
    if folder is not None:
        with open_whole(folder / FILE) as file:
            np.savez(file, labels=result.labels, scorings=result.scorings)
    return result
