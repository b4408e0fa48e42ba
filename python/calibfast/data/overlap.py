"""Questions that two files share, known by what they ask and not by their names."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from calibfast.data.questions import Question


def fingerprint(question: Question) -> str:
    """What a question asks, in 64 hexadecimal digits.

    It is the SHA-256 of the text and the set of the options, where neither case nor white space counts: a copy with
    another name, another spacing or its options in another order has the same one. The right answer is no part of it.
    """
    asked = [_plain(question.question), sorted({_plain(choice) for choice in question.choices})]
    return sha256(json.dumps(asked).encode()).hexdigest()


def overlap(questions: Iterable[Question], others: Collection[str]) -> list[Question]:
    """Those of some questions that others ask, too.

    A fit on rows that also stand in the test file has seen what it is tested on.

    Args:
        questions: The questions.
        others: The others' fingerprints, as a set where they are many.

    Returns:
        The shared ones, in their order.
    """
    return [question for question in questions if fingerprint(question) in others]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
