"""Calibration of the k most likely options together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibfast.errors import InputError
from calibfast.metrics.functions import ece
from calibfast.metrics.rows import RowArguments, read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike
    from typing_extensions import Unpack


def top_k_ece(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    k: int,
    bins: int | Sequence[float] = 10,
    **rows: Unpack[RowArguments],
) -> float:
    """ECE of the k most likely options taken together, in [0, 1]: within-top-k calibration (Gupta et al. 2021).

    Confidence is the sum of the k largest probabilities (of tied options, the lower index first), right is a label
    among them. `k=1` is `ece`. A function of the bins' state once the k options are summed. Weights have a meaning.

    Args:
        probs: (N, K) options.
        labels: (N,) labels.
        k: How many options, from 1 to K.
        bins: As for `ece`.
        **rows: See `RowArguments`.

    Raises:
        InputError: `k` is outside 1 to K, or the rows break their contract.

    Examples:
        >>> round(top_k_ece([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2]], [1, 2], k=2), 3)
        0.45
    """
    read = read_rows(probs, labels, **rows)
    matrix = read.probabilities("top_k_ece")
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= matrix.shape[1]:
        raise InputError(f"k is a whole number from 1 to the {matrix.shape[1]} options, got {k!r}")
    order = np.argsort(np.where(read.predictions.present(), -matrix, np.inf), axis=1, kind="stable")[:, :k]
    confidence = np.minimum(np.take_along_axis(matrix, order, axis=1).sum(axis=1), 1.0)
    values, weights = read.predictions.values, read.predictions.weights
    if read.predictions.form == "probabilities" and values.dtype.kind == "f":
        confidence = confidence.astype(values.dtype)  # edges are those of the input's type
    right = (order == read.predictions.labels[:, np.newaxis]).any(axis=1)
    return ece(confidence, right, bins=bins, weights=weights, threads=read.threads)
