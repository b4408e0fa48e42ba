"""Questions as training rows, and rows as batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.utils.data import Dataset

from calibfast.models.batch import make_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibfast.data.questions import Question
    from calibfast.models.batch import Batch
    from calibfast.models.encoding import EncodedQuestion


@dataclass(frozen=True)
class Row:
    """A training question: its place, by which the E-step's target is found, its tokens, and its right option."""

    index: int
    encoded: EncodedQuestion
    answer: int


class QuestionRows(Dataset[Row]):
    """Tokenised questions, one row each."""

    def __init__(self, encoded: Sequence[EncodedQuestion], questions: Sequence[Question]) -> None:
        self.encoded = encoded
        self.answers = [question.answer for question in questions]

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> Row:
        return Row(index, self.encoded[index], self.answers[index])


@dataclass(frozen=True)
class Collator:
    """Makes rows what `make_batch` gives, with `answer` (B,) and `index` (B,) int64.

    Attributes:
        answer_only: Whether to leave out the wrong options. The answer is option 0 then.
        packed: See `make_batch`.
    """

    answer_only: bool
    packed: bool

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Lay out B rows."""
        if self.answer_only:
            rows = [Row(row.index, row.encoded.only(row.answer), 0) for row in rows]
        batch = make_batch([row.encoded for row in rows], packed=self.packed)
        batch["answer"] = torch.tensor([row.answer for row in rows])
        batch["index"] = torch.tensor([row.index for row in rows])
        return batch
