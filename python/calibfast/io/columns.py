"""What the columns of a file become: confidences, option scores, labels, right or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError
from calibfast.io.source import Column, Ragged
from calibfast.metrics.groups import Coded, coded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibfast.io.source import File

_EMPTY = {"", "nan", "None"}
_RIGHT_OR_WRONG = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Place:
    """Where a block of a column stands in its file; it words the errors."""

    path: File
    name: str
    first_row: int = 0
    lines: Sequence[int] | None = None

    def error(self, row: int, problem: str, column: int | None = None) -> InputError:
        """An error at a row of the block."""
        at = f"line {self.lines[row]}" if self.lines is not None else f"row {self.first_row + row}"
        return InputError(f"{self.path}: {at}, '{self.name}': {problem}", self.first_row + row, column)

    def refusal(self, problem: str) -> InputError:
        """An error of the column as a whole."""
        return InputError(f"{self.path}: '{self.name}' {problem}")


def confidences(column: Column, place: Place) -> NDArray[Any]:
    """One float a row; text is read in double precision."""
    if isinstance(column, list):
        return _parsed(column, float, np.float64, place, "is no number")
    return _floats(_one_a_row(column, place), place)


def scores(column: Column, width: int, absent: float, place: Place) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Option scores as (N, width) floats, and which options are present where rows differ in their number."""
    if isinstance(column, Ragged):
        values, lengths = _floats(column.values, place), column.lengths
        present = np.arange(width) < lengths[:, None]
        padded = np.full(present.shape, absent, dtype=values.dtype)
        padded[present] = values
        return padded, None if present.all() else present
    if not isinstance(column, np.ndarray) or column.ndim != 2:
        raise place.refusal("has one value a row, expected one per option")
    return _floats(column, place), None


def ragged(cells: Sequence[Any], place: Place) -> Ragged:
    """Lists of numbers, one a row."""
    for row, cell in enumerate(cells):
        if not isinstance(cell, list | tuple) or not cell:
            raise place.error(row, f"is {cell!r}, expected a list of numbers, one per option")
    lengths = np.fromiter(map(len, cells), np.int64, len(cells))
    try:
        values = np.array(list(map(float, chain.from_iterable(cells))), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        for row, cell in enumerate(cells):
            for k, value in enumerate(cell):
                if not _is(float, value):
                    hint = (
                        " (an absent option is -inf in logits, or left off at the end)" if value in (None, "") else ""
                    )
                    raise place.error(row, f"option {k} is {value!r}, which is no number{hint}", k) from None
        raise
    return Ragged(values, lengths)


def labels(column: Column, place: Place) -> NDArray[Any]:
    """The index of the right option, one integer a row; whole floats are taken as integers."""
    if isinstance(column, list):
        return _parsed(column, _int64, np.int64, place, "is no option's index (0, 1, ...)")
    values = _one_a_row(column, place)
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (values == np.trunc(values)) & (np.abs(values) < 2**53)
        if not whole.all():
            row = int(np.argmin(whole))
            raise place.error(row, f"{values[row]} is no option's index (0, 1, ...)")
        return values.astype(np.int64)
    if values.dtype.kind not in "iub":
        raise place.refusal(f"holds text such as {values[0].item()!r}, expected the index of an option (0, 1, ...)")
    return values


def correct(column: Column, place: Place) -> NDArray[Any]:
    """Right or wrong, one number a row; the core refuses what is neither 0 nor 1."""
    if isinstance(column, list):
        column = _parsed(column, _right_or_wrong, np.float64, place, "is neither 0 nor 1 (true, false)")
    values = _one_a_row(column, place)
    if values.dtype.kind not in "biuf":
        raise place.refusal(f"holds text such as {values[0].item()!r}, expected 0 and 1")
    return values


def agree(pred: Column, label: Column, pred_place: Place, label_place: Place) -> NDArray[np.bool_]:
    """Whether the prediction is the label; both are integers, or both are names."""
    if _is_integers(pred) and _is_integers(label):
        return np.asarray(pred == label, dtype=np.bool_)
    a, b = canonical(pred, pred_place), canonical(label, label_place)
    return np.fromiter((x == y for x, y in zip(a, b, strict=True)), np.bool_, len(a))


def canonical(column: Column, place: Place) -> list[str]:
    """Labels as text in which 1, 1.0 and "1" are the same."""
    return Grouping()(column, place).texts()


class Grouping:
    """Blocks of a column as text in which 1, 1.0 and "1" are the same, each name once.

    Names that a block shares with the last one, as those of an Arrow dictionary, are looked at once.
    """

    def __init__(self) -> None:
        self._seen: list[str] | None = None
        self._names: list[str] = []
        self._places, self._empty = np.empty(0, np.int64), list[int]()

    def __call__(self, column: Column, place: Place) -> Coded:
        """The groups of a block.

        Raises:
            InputError: A row's value is empty.
        """
        names, codes = coded(column if isinstance(column, list | Coded) else _one_a_row(column, place))
        if names is None or _is_integers(column):
            return Coded(names, codes)
        if names is not self._seen:
            self._seen, self._names, self._places = names, names, np.arange(len(names))
            if (found := list(map(_canonical, names))) != names or len(set(found)) < len(found):
                merged, self._places = coded(found)
                self._names = merged or []
            self._empty = [self._names.index(name) for name in _EMPTY.intersection(self._names)]
        places = self._places[codes]
        if self._empty and (empty := np.isin(places, self._empty)).any():
            raise place.error(int(np.argmax(empty)), "is empty; every row needs a value")
        return Coded(self._names, places)


def _is_integers(column: Column) -> bool:
    return isinstance(column, np.ndarray) and column.dtype.kind in "iub"


def _canonical(text: str) -> str:
    if text[:1].isalpha():  # no number, which is soon seen
        return text.strip()
    try:
        return str(_index(text))
    except (ValueError, OverflowError):
        return text.strip()


def _index(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = float(value)
    if value != int(value):
        raise ValueError(value)
    return int(value)


def _int64(value: Any) -> np.int64:
    return np.int64(_index(value))


def _right_or_wrong(value: Any) -> float:
    named = _RIGHT_OR_WRONG.get(value.strip().lower()) if isinstance(value, str) else None
    return float(value) if named is None else named


def _is(kind: Callable[[Any], Any], value: Any) -> bool:
    try:
        kind(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _parsed(cells: list[Any], kind: Callable[[Any], Any], dtype: Any, place: Place, problem: str) -> NDArray[Any]:
    try:
        return np.array(list(map(kind, cells)), dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        for row, value in enumerate(cells):
            if not _is(kind, value):
                shown = "the cell is empty" if value in (None, "") else f"{value!r} {problem}"
                raise place.error(row, shown) from None
        raise


def _one_a_row(column: Column, place: Place) -> NDArray[Any]:
    if isinstance(column, Ragged) or not isinstance(column, np.ndarray) or column.ndim != 1:
        raise place.refusal("has one value per option, expected one value a row")
    return column


def _floats(values: NDArray[Any], place: Place) -> NDArray[Any]:
    if values.dtype.kind != "f" or values.dtype.itemsize > 8:
        raise place.refusal(f"holds {values.dtype}, expected float16, float32 or float64; convert it when you save it")
    return values


def presence(column: Column, shape: tuple[int, ...], place: Place) -> NDArray[np.bool_]:
    """Which options are present, as (N, K) booleans."""
    if not isinstance(column, np.ndarray) or column.dtype.kind != "b" or column.shape != shape:
        raise place.refusal(f"should hold booleans of the shape of the predictions, {shape[1]} a row")
    return column


def renormalised(p: NDArray[Any], keep: int, place: Place) -> NDArray[np.float64]:
    """Probabilities of the first options over their sum; checked first, as that would hide what is wrong."""
    wide = p.astype(np.float64)
    outside = ~((wide >= 0) & (wide <= 1))
    if outside.any():
        row, column = (int(i) for i in np.argwhere(outside)[0])
        raise place.error(row, f"option {column} is {p[row, column]}, no probability; logits take --logits", column)
    # The core's tolerance: half a unit for each value, four for the exponential, the division and the sum.
    sums = wide.sum(axis=1)
    off = np.abs(sums - 1) > (p.shape[1] / 2 + 4) * np.finfo(p.dtype).eps
    if off.any():
        row = int(np.argmax(off))
        raise place.error(
            row, f"the probabilities sum to {sums[row]}, not to 1 within the rounding of {p.dtype} (--dtype)"
        )
    wide = wide[:, :keep]
    sums = wide.sum(axis=1, keepdims=True)
    if not sums.all():
        raise place.error(int(np.argmin(sums)), f"the first {keep} options have no probability; use the logits")
    return np.asarray(wide / sums)


def equals(column: Column, value: int, place: Place) -> NDArray[np.bool_]:
    """Where a label is a certain number."""
    if _is_integers(column):
        return np.asarray(column == value, dtype=np.bool_)
    return np.array([text == str(value) for text in canonical(column, place)], dtype=np.bool_)
