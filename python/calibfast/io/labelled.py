"""Rows of a prediction file that a condition picks, as arrays, for what is fitted and tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError
from calibfast.io.predictions import read_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibfast.io.source import File


@dataclass(frozen=True)
class LabelledRows:
    """Predictions and what was right.

    Attributes:
        p: (N,) confidences, or (N, K) probabilities or logits.
        y: (N,) right or wrong beside confidences, else the index of the right option; empty where the file has no
            labels, and needs none.
        mask: (N, K) which options are present, or None where all are.
        logits: Whether `p` holds logits.
    """

    p: NDArray[Any]
    y: NDArray[Any]
    mask: NDArray[np.bool_] | None
    logits: bool


def read_labelled_rows(
    path: File,
    *,
    key: str | None = None,
    label_key: str | None = None,
    logits: bool = False,
    options: int | None = None,
    where: str | None = None,
    labels_needed: bool = True,
) -> LabelledRows:
    """Read a prediction file as `read_predictions` does, the rows of `where` alone.

    Args:
        path: The file.
        key: Name of the predictions, where it is another.
        label_key: Name of the labels, where it is another.
        logits: Whether `key` holds logits.
        options: Keep the first K options of each row, renormalised.
        where: "column=value": the rows in which that column has that value.
        labels_needed: Whether a file without labels is refused.

    Raises:
        InputError: The file breaks its contract (the message says where), or `where` picks no row.
    """
    column, equals, value = (where or "").partition("=")
    if where is not None and not (column and equals):
        raise InputError(f"{where!r} picks no rows; say column=value, such as half=1")
    file = read_predictions(
        path,
        key=key,
        label_key=label_key,
        group_key=column or None,
        logits=logits,
        options=options,
        labels_needed=labels_needed,
    )
    if file.labelled:
        file.evaluate()  # names file, row and line of what breaks the contract
    parts = []
    for p, y, mask, _, groups in file:
        chosen = np.ones(len(p), np.bool_)
        if groups is not None:
            chosen = np.array([text == value for text in groups.texts()])
        present = np.ones(p.shape, np.bool_) if mask is None else mask
        parts.append((p[chosen], y[chosen] if file.labelled else y, present[chosen]))
    p, y, present = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if len(p) == 0:
        raise InputError(f"{path}: no row has {where}")
    return LabelledRows(p, y, None if file.kind == "confidence" or present.all() else present, file.kind == "logits")
