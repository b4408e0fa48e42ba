"""Draws from a question file: some of its questions, and a held-out slice."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from calibfast.data.overlap import fingerprint
from calibfast.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibfast.data.questions import Question


def draw_questions(questions: Sequence[Question], count: int, seed: int) -> list[Question]:
    """Draw questions at random, as the head of a file may be unlike the rest.

    (Of the first 1,000 questions of OpenBookQA's training file 36% have the answer A, of all 28%: a model that is
    trained on the head learns a prior that is wrong everywhere else.)

    Args:
        questions: The questions.
        count: How many to draw, at least 1; all where there are no more.
        seed: The same seed draws the same ones.

    Returns:
        The drawn ones, in the file's order.

    Raises:
        InputError: The count is below 1.
    """
    if count < 1:
        raise InputError(f"limit is {count}; ask for at least 1 question")
    drawn = random.Random(seed).sample(range(len(questions)), min(count, len(questions)))  # noqa: S311
    return [questions[index] for index in sorted(drawn)]


def split_questions(questions: Sequence[Question], share: float, seed: int) -> tuple[list[Question], list[Question]]:
    """Draw a held-out slice. A question that stands in the file twice lands on one side only.

    Args:
        questions: The questions.
        share: Share of the questions to hold out, in (0, 1); met up to repeated questions.
        seed: The same seed draws the same slice.

    Returns:
        The questions to train on and those held out, each in the file's order and not empty.

    Raises:
        InputError: There are too few different questions.
    """
    copies_of: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        copies_of.setdefault(fingerprint(question), []).append(index)
    order = list(copies_of.values())
    random.Random(seed).shuffle(order)  # noqa: S311
    wanted = max(1, round(share * len(questions)))
    held_out: set[int] = set()
    for copies in order:
        if len(held_out) >= wanted:
            break
        held_out.update(copies)
    if len(held_out) == len(questions):
        raise InputError(
            f"{len(questions)} questions ({len(order)} different ones) are too few to hold {share:g} of them out"
        )
    return (
        [question for index, question in enumerate(questions) if index not in held_out],
        [question for index, question in enumerate(questions) if index in held_out],
    )
