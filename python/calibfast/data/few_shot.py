"""Solved questions to show before a question."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

from calibfast.data.overlap import fingerprint
from calibfast.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibfast.data.questions import Question


def few_shot_examples(questions: Sequence[Question], solved: Sequence[Question], count: int) -> list[list[Question]]:
    """Choose examples by their place, so that each run shows the same ones.

    A question's examples are the first of its own subject where there are solved ones of it, else the first of all.
    A question is never its own example.

    Args:
        questions: The questions to be asked.
        solved: Where the examples come from.
        count: Examples for each question, at least 1.

    Returns:
        For each question its examples, in their order.

    Raises:
        InputError: There are too few solved questions, or too few of a subject.
    """
    everything = [(fingerprint(example), example) for example in solved]
    by_subject = defaultdict(list)
    for mark, example in everything:
        by_subject[example.subject].append((mark, example))
    shown = []
    for question in questions:
        own = fingerprint(question)
        named = question.subject is not None and question.subject in by_subject
        pool = by_subject[question.subject] if named else everything
        examples = list(islice((example for mark, example in pool if mark != own), count))
        if len(examples) < count:
            what = f"of the subject '{question.subject}' " if named else ""
            raise InputError(
                f"question '{question.id}': {len(examples)} solved questions {what}can be shown before it, and "
                f"{count} are wanted; show fewer"
            )
        shown.append(examples)
    return shown
