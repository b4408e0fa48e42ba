"""What a model prefers whatever the content: a letter, at its place; and whether its letters say what its texts do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.evaluation.options import score_options
from calibfast.evaluation.permute import ask_in_orders, average_orders, by_order
from calibfast.metrics.interval_methods import SKEW, WILSON, Interval
from calibfast.metrics.sample import FEWEST
from calibfast.metrics.score_intervals import wilson
from calibfast.metrics.target import LEVEL, mean_interval, tce
from calibfast.models.prompt import LETTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from calibfast.data.questions import Question
    from calibfast.evaluation.options import OptionScores


@dataclass(frozen=True)
class LetterShare:
    """How a letter fares when every option has had its place equally often.

    Attributes:
        letter: The letter.
        probability: What it is given, in the mean over the orders of each question that has it, then over these.
        ci: Its 95% interval over questions; None where fewer than 10 have it.
        uniform: What a model gives it that looks at the options alone: the mean of 1 / K of these questions.
    """

    letter: str
    probability: float
    ci: tuple[float, float] | None
    uniform: float


@dataclass(frozen=True)
class OptionBias:
    """What decides a model's answers, if not the options.

    Attributes:
        n: Questions.
        circles: Circular orders of its options that a question was asked in, each from every option on; see
            `circular_orders`.
        letters: From A on.
        same_letter: Share of questions to which the answer is one letter in every order, whatever it names.
        same_option: Share of questions to which the answer is one option in every order, wherever it stands.
        entropy: Mean entropy of the options' distribution, by letter, divided by ln K: 1 where all are alike, 0 where
            one has it all.
        cloze_agreement: Share of questions to which letters, in the mean over the orders, and texts (summed
            log-likelihoods, the options not shown) give the same answer.
        cloze_distance: Mean total variation distance between these two distributions.
    """

    n: int
    circles: int
    letters: tuple[LetterShare, ...]
    same_letter: Interval
    same_option: Interval
    entropy: Interval
    cloze_agreement: Interval
    cloze_distance: float

    def to_dict(self) -> dict[str, Any]:
        """The result as plain dictionaries, lists and numbers."""
        return asdict(self)


def measure_bias(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    *,
    circles: int = 1,
    batch_size: int = 64,
    progress: bool = True,
) -> OptionBias:
    """Ask questions by letter in several orders of their options, and by the options' texts.

    A letter always stands at its own place, so what one draws and what the other does are not told apart.

    Args:
        model: A causal language model, with or without an adapter.
        tokenizer: Its tokenizer.
        questions: At least 10, as each result has an interval.
        circles: Circular orders of a question's options, each from every option on, so that every option has every
            place equally often. 1 (default) is that of the file: all cyclic orders. More are drawn, the same at every
            call; (K - 1)! are all K! orders of K options.
        batch_size: Questions in a forward pass at most. Default 64.
        progress: Whether to show a bar on stderr, if that is a terminal.

    Raises:
        InputError: The questions are fewer, or cannot be asked; see `score_options`.
    """
    orders = ask_in_orders(questions, circles)
    asked = score_options(model, tokenizer, orders, batch_size=batch_size, progress=progress)
    texts = score_options(model, tokenizer, questions, scoring="cloze", batch_size=batch_size, progress=progress)
    return option_bias(questions, asked, texts, circles)


def option_bias(
    questions: Sequence[Question], asked: OptionScores, texts: OptionScores, circles: int = 1
) -> OptionBias:
    """The same from scores.

    Args:
        questions: N questions.
        asked: Those of `ask_in_orders(questions, circles)`, by letter.
        texts: Those of the questions, by text.
        circles: As there.
    """
    same_letter, same_option, entropy = [], [], []
    given: list[list[float]] = [[] for _ in range(asked.logits.shape[1])]
    uniform: list[list[float]] = [[] for _ in given]
    for orders, logs in by_order(questions, asked, circles):
        size = orders.shape[1]
        places = logs.argmax(axis=1)
        same_letter.append(len(set(places)) == 1)
        same_option.append(len(set(orders[np.arange(len(orders)), places])) == 1)
        # 0 ln 0 is 0.
        entropy.append(float(-(np.exp(logs) * np.maximum(logs, -1e300)).sum(axis=1).mean() / np.log(size)))
        for place, probability in enumerate(np.exp(logs).mean(axis=0)):
            given[place].append(float(probability))
            uniform[place].append(1 / size)
    averaged, _ = average_orders(questions, asked, circles)
    agreed = averaged.logits.argmax(axis=1) == texts.logits.argmax(axis=1)
    return OptionBias(
        n=len(questions),
        circles=circles,
        letters=tuple(
            LetterShare(letter, float(np.mean(found)), _interval(np.array(found)), float(np.mean(fair)))
            for letter, found, fair in zip(LETTERS, given, uniform, strict=False)
        ),
        same_letter=_share(np.array(same_letter)),
        same_option=_share(np.array(same_option)),
        entropy=mean_interval(np.array(entropy), SKEW),
        cloze_agreement=_share(agreed),
        cloze_distance=tce(averaged.logits, texts.probs, logits=True),
    )


def _interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    if len(values) < FEWEST:
        return None
    found = mean_interval(values, SKEW)
    return found.low, found.high


def _share(found: NDArray[np.bool_]) -> Interval:
    mean = float(found.mean())
    return Interval(*wilson(mean, len(found), LEVEL), mean, LEVEL, WILSON)
