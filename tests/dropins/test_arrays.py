"""Arrays and columns of other libraries: the same numbers, in place where they can be, nulls refused."""

from __future__ import annotations

import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch

import calibfast
from calibfast import InputError, MissingExtraError
from calibfast.metrics.arrays import to_numpy

RNG = np.random.default_rng(0)
P, HIT = RNG.random(60), RNG.random(60) < 0.5
PROBS, LABELS = RNG.dirichlet([1.0] * 3, 60), RNG.integers(0, 3, 60)


class ArrowArray:
    """A column of a library that knows the C data interface alone."""

    def __init__(self, column):
        self._column = column

    def __arrow_c_array__(self, requested_schema=None):
        return self._column.__arrow_c_array__(requested_schema)


class ArrowStream(ArrowArray):
    def __arrow_c_stream__(self, requested_schema=None):
        return self._column.__arrow_c_stream__(requested_schema)


class DLPackArray:
    """An array of a library that knows DLPack alone."""

    def __init__(self, array, device=None):
        self._array, self._device = array, device

    def __dlpack__(self, **options):
        if self._device is not None:
            raise BufferError("memory of another device")
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._device or self._array.__dlpack_device__()


OPTIONS = pa.FixedSizeListArray.from_arrays(pa.array(PROBS.ravel()), 3)
CONFIDENCES = {
    "pyarrow": pa.array(P),
    "pyarrow sliced": pa.array(np.append(0.5, P))[1:],
    "polars": pl.Series(P),
    "C array": ArrowArray(pa.array(P)),
    "C stream": ArrowStream(pa.chunked_array([pa.array(P)])),
    "DLPack": DLPackArray(P),
    "DLPack of torch": DLPackArray(torch.from_numpy(P)),
}
CHUNKS = ArrowStream(pa.chunked_array([P[:7], P[7:]]))


@pytest.mark.parametrize("name", CONFIDENCES)
def test_confidences_come_without_a_copy(name):
    column = CONFIDENCES[name]
    array = to_numpy(column, "predictions")
    np.testing.assert_array_equal(array, P)
    again = to_numpy(column, "predictions")
    assert np.shares_memory(array, again)
    assert calibfast.ece(column, pa.array(HIT)) == calibfast.ece(P, HIT)


@pytest.mark.parametrize(
    "table",
    [
        OPTIONS,
        ArrowArray(OPTIONS),
        pa.array(PROBS.tolist()),
        pl.Series(PROBS.tolist()),
        pl.Series(PROBS),
        pl.DataFrame(PROBS),
        pa.table(list(PROBS.T), names=["a", "b", "c"]),
        ArrowStream(pa.table(list(PROBS.T), names=["a", "b", "c"])),
        pa.record_batch(list(PROBS.T), names=["a", "b", "c"]),
        DLPackArray(PROBS),
    ],
    ids=lambda table: type(table).__name__,
)
def test_options(table):
    assert calibfast.ece(table, pl.Series(LABELS)) == calibfast.ece(PROBS, LABELS)


def test_other_types_and_chunks():
    assert calibfast.ece(CHUNKS, pl.Series(HIT)) == calibfast.ece(P, HIT)
    assert calibfast.ece(pa.array(P.astype(np.float16)), pa.array(HIT)) == calibfast.ece(P.astype(np.float16), HIT)
    weights = pa.array(np.arange(60), pa.uint8())
    assert calibfast.ece(pl.Series(P), HIT, weights=weights) == calibfast.ece(P, HIT, weights=np.arange(60))
    mask = np.ones((60, 3), bool)
    for given in (pl.Series(mask), DLPackArray(mask), torch.from_numpy(mask)):
        assert calibfast.ece(PROBS, LABELS, mask=given) == calibfast.ece(PROBS, LABELS)
    with pytest.raises(InputError, match="no rows"):
        calibfast.ece(pl.Series([], dtype=pl.Float64), pl.Series([], dtype=pl.Boolean))


@pytest.mark.parametrize(
    ("p", "y", "message", "row"),
    [
        (pa.array([0.5, None]), [1, 0], "predictions at row 1 is null; drop the row", 1),
        (pl.Series([0.5, None]), [1, 0], "predictions at row 1 is null", 1),
        ([0.5, 0.5, 0.5], pl.Series([True, False, None]), "correct at row 2 is null", 2),
        (PROBS[:2], pa.array([None, 1]), "labels at row 0 is null", 0),
        (pl.Series([[0.5, 0.5], None]), [1, 0], "predictions at row 1 is null", 1),
        (pl.Series([[0.5, 0.5], [0.5, None]]), [1, 0], "predictions at row 1, column 1 is null", 1),
        (pl.DataFrame({"a": [0.5, 1], "b": [None, 0]}), [1, 0], "predictions, column 'b', at row 0 is null", 0),
        (pl.Series([[0.5, 0.5], [1.0]]), [1, 0], "row 1 is 1 values, at row 0 2; pad absent options", 1),
        (pl.Series(["0.5"]), [1], "type object, expected numbers", None),
        (DLPackArray(P, device=(2, 0)), HIT, "cannot be read in place .*NumPy array", None),
        (DLPackArray(torch.from_numpy(P).bfloat16()), HIT, "cannot be read in place", None),
    ],
)
def test_refused(p, y, message, row):
    with pytest.raises(InputError, match=message) as caught:
        calibfast.ece(p, y)
    assert caught.value.row == row


def test_without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert calibfast.ece(pl.Series(P), pl.Series(HIT)) == calibfast.ece(P, HIT)
    with pytest.raises(MissingExtraError, match=r"pip install 'calibfast\[io\]'"):
        calibfast.ece(CHUNKS, HIT)
