"""Questions asked with their options in several orders, and how much the place of an option counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import factorial
from typing import TYPE_CHECKING

import numpy as np

from calibfast.evaluation.options import OptionScores
from calibfast.models.prompt import LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from calibfast.data.questions import Question


@dataclass(frozen=True)
class LetterBias:
    """How a letter fares when every option has had its place equally often.

    Attributes:
        letter: The letter.
        probability: What it was given, in the mean over the orders of each question that has it, then over these.
        uniform: What a model gives it that looks at the options alone: the mean of 1 / K of these questions.
    """

    letter: str
    probability: float
    uniform: float


def circular_orders(size: int, circles: int, row: int) -> NDArray[np.intp]:
    """Orders in which every option stands equally often at every place.

    An order and its rotations are a circle, of which K options have (K - 1)!.

    Args:
        size: K options.
        circles: How many; all of them where there are no more. The first is that of the question as it is, the others
            are drawn, none twice.
        row: The question's place, which decides the draw.

    Returns:
        (R, K) the option that stands at each place; the K rotations of a circle stand together.
    """
    draw = np.random.default_rng(row)
    found = {tuple(range(size)): None}  # in the order in which they were drawn
    while len(found) < min(circles, factorial(size - 1)):
        found[(0, *(1 + draw.permutation(size - 1)).tolist())] = None
    return np.array([np.roll(circle, -shift) for circle in found for shift in range(size)])


def ask_in_orders(questions: Sequence[Question], circles: int = 1) -> list[Question]:
    """Each question with its options in all `circular_orders`; with one circle, those of cyclic permutations."""
    return [
        replace(
            question,
            choices=tuple(question.choices[option] for option in order),
            answer=order.index(question.answer),
            truth=question.truth and tuple(question.truth[option] for option in order),
            votes=question.votes and tuple(question.votes[option] for option in order),
        )
        for row, question in enumerate(questions)
        for order in circular_orders(len(question.choices), circles, row).tolist()
    ]


def by_order(
    questions: Sequence[Question], scores: OptionScores, circles: int = 1
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Of each question of K options, the (R, K) orders that it was asked in, and log-probabilities by order and place.

    Args:
        questions: N questions.
        scores: Those of `ask_in_orders(questions, circles)`.
        circles: As there.
    """
    start = 0
    for row, question in enumerate(questions):
        orders = circular_orders(len(question.choices), circles, row)
        rows = scores.logits[start : start + len(orders), : orders.shape[1]].astype(np.float64)
        start += len(orders)
        yield orders, rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)


def average_orders(
    questions: Sequence[Question], scores: OptionScores, circles: int = 1
) -> tuple[OptionScores, list[LetterBias]]:
    """Put what the orders of each question gave together.

    Args:
        questions: N questions.
        scores: Those of `ask_in_orders(questions, circles)`.
        circles: As there.

    Returns:
        The N questions' scores: an option's probability is the mean over all orders, and a question's letter mass, too.
        And the letters' biases, from A on.
    """
    longest = scores.logits.shape[1]
    logits = np.full((len(questions), longest), -np.inf, dtype=np.float32)
    given, uniform, asked = np.zeros(longest), np.zeros(longest), np.zeros(longest)
    counts = []
    for row, (orders, logs) in enumerate(by_order(questions, scores, circles)):
        count, size = orders.shape
        by_option = np.take_along_axis(logs, orders.argsort(axis=1), axis=1)
        # In logarithms, as a probability that rounds to 0 would look like an option that is not there.
        logits[row, :size] = np.logaddexp.reduce(by_option, axis=0) - np.log(count)
        given[:size] += np.exp(logs).mean(axis=0)
        uniform[:size] += 1 / size
        asked[:size] += 1
        counts.append(count)
    first, mass = np.cumsum([0, *counts[:-1]]), None
    if scores.letter_mass is not None:
        mass = (np.add.reduceat(scores.letter_mass, first) / counts).astype(np.float32)
    averaged = OptionScores(
        logits=logits,
        labels=scores.labels[first],
        letter_mass=mass,
        ids=tuple(scores.ids[start] for start in first),
        subjects=tuple(scores.subjects[start] for start in first),
    )
    biases = [
        LetterBias(LETTERS[place], float(given[place] / asked[place]), float(uniform[place] / asked[place]))
        for place in range(longest)
    ]
    return averaged, biases
