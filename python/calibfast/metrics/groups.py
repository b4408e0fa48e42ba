"""Calibration of groups of rows: each one's error, the worst, and the multicalibration gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from calibfast.errors import InputError
from calibfast.metrics.accumulator import CalibrationError
from calibfast.metrics.functions import ece
from calibfast.metrics.rows import RowArguments, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from calibfast._core import Groups, State


@dataclass(frozen=True)
class GroupErrors:
    """A metric of every group.

    Attributes:
        errors: Group to the metric of its rows, in the order of their names.
        rows: Group to its number of rows.
        worst: The group with the largest error.
        gap: Multicalibration gap; see `group_errors`.
        gap_group: Where the gap is: the group ...
        gap_bin: ... and the bin of confidence.
    """

    errors: dict[str, float]
    rows: dict[str, int]
    worst: str
    gap: float
    gap_group: str
    gap_bin: tuple[float, float]


def group_errors(
    p: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    metric: Callable[..., float] = ece,
    bins: int | Sequence[float] = 10,
    **rows: Unpack[RowArguments],
) -> GroupErrors:
    """A metric for each group, the worst of them, and the multicalibration gap.

    The gap is the largest n_gm/N |acc_gm - conf_gm| over groups g and equal-width bins m: multicalibration
    (Hébert-Johnson et al. 2018) asks for a small gap on every group and level set of the prediction, here in the form
    that counts a cell by its share of all N rows, so that cells of a few rows do not decide. It is a function of the
    groups' states; whether the metric is depends on the metric. Weights have the meaning that they have for the metric.

    Args:
        p: (N,) confidences or (N, K) options.
        y: (N,) correctness or labels.
        groups: (N,) group of each row: any values, told apart by their text.
        metric: A function of this library: `ece`, `smece`, `debiased_rmsce` ...
        bins: Bins of the gap, as for `ece`; a metric has its own default (give `functools.partial(ece, bins=15)`).
        **rows: See `RowArguments`.

    Raises:
        InputError: `groups` does not have a value for each row, or the metric refuses the rows of a group, which the
            message names.

    Examples:
        >>> found = group_errors([0.9, 0.9, 0.6, 0.6], [True, True, False, False], ["law", "law", "art", "art"])
        >>> found.worst, round(found.errors["art"], 3), round(found.gap, 3)
        ('art', 0.6, 0.3)
    """
    read = read_rows(p, y, **rows)
    CalibrationError(bins).update(p, y, **rows).compute()  # what is wrong with a row is said of the row as given
    if np.shape(groups) != (len(np.asarray(y)),):
        raise InputError(f"groups have shape {np.shape(groups)}, expected ({len(np.asarray(y))},), one for each row")
    names = coded(groups) if read.kept is None else coded(groups).take(read.kept)
    errors: dict[str, float] = {}
    states: dict[str, State] = {}
    found = names.members()
    for name, chosen in found.items():
        part: Any = read.predictions.take(chosen)
        try:
            errors[name] = metric(part, part.labels, threads=read.threads)
            states[name] = CalibrationError(bins).update(part, part.labels)._state
        except InputError as error:
            raise InputError(f"group {name!r}: {error}", error.row, error.column) from None
    gap = multicalibration_gap(states)
    return GroupErrors(
        errors=errors,
        rows={name: len(chosen) for name, chosen in found.items()},
        worst=max(errors, key=lambda name: errors[name]),
        gap=gap.size,
        gap_group=gap.group,
        gap_bin=gap.bin,
    )


class Gap(NamedTuple):
    """The cell of a group and a bin that is furthest from calibrated, counted by its share of all rows."""

    size: float
    group: str
    bin: tuple[float, float]


def multicalibration_gap(states: Mapping[str, State]) -> Gap:
    """The largest n_gm/N |acc_gm - conf_gm| of states that share their edges; see `group_errors`."""
    whole = sum(float(state.totals()[0].sum()) for state in states.values())
    cells = []
    for name, state in states.items():
        _, hits, confidence = state.totals()
        gaps, edges = np.abs(hits - confidence) / whole, state.edges
        at = int(gaps.argmax())
        cells.append(Gap(float(gaps[at]), name, (edges[at], edges[at + 1])))
    return max(cells, key=lambda cell: cell.size)


class Coded(NamedTuple):
    """The group of each row.

    Attributes:
        names: Groups, each once; None where groups are integers, whose names are their digits.
        codes: The place in `names` of each row's group, or the group itself.
    """

    names: list[str] | None
    codes: NDArray[np.int64]

    def take(self, rows: NDArray[Any]) -> Coded:
        """The chosen rows; True and False choose, too."""
        return Coded(self.names, self.codes[rows])

    def texts(self) -> list[str]:
        """The name of each row's group."""
        codes = self.codes.tolist()
        return list(map(str, codes)) if self.names is None else [self.names[code] for code in codes]

    def members(self) -> dict[str, NDArray[np.int64]]:
        """The rows of every group that has some, in the order of their names."""
        names, codes = self
        if names is None:
            names, codes = _distinct(codes)
        order = np.argsort(codes.astype(np.min_scalar_type(len(names))), kind="stable")  # of 16 bits by radix
        ends = np.bincount(codes, minlength=len(names)).cumsum()
        rows = dict(zip(names, np.split(order, ends[:-1]), strict=True))
        return {name: rows[name] for name in sorted(rows, key=name_order) if len(rows[name])}


def name_order(name: str) -> tuple[bool, int, str]:
    """What to sort names of groups by: integers of 64 bits as such, then all other names as text."""
    digits = len(name) <= 20 and name.removeprefix("-").isdecimal() and name == str(int(name))
    integer = digits and -(1 << 63) <= int(name) < 1 << 63
    return (False, int(name), "") if integer else (True, 0, name)


def coded(groups: ArrayLike | Coded) -> Coded:
    """The groups of rows, told apart by their text."""
    if isinstance(groups, Coded):
        return groups
    values = np.array(groups, object) if isinstance(groups, list) else np.asarray(groups)
    if values.dtype.kind in "iu" and np.can_cast(values.dtype, np.int64):
        return Coded(None, values.astype(np.int64, order="C", copy=False))
    if values.dtype.kind in "ub":
        return Coded(*_distinct(values))
    places: dict[str, int] = {}
    found = [places.setdefault(name, len(places)) for name in map(str, values.ravel().tolist())]
    # Half a character, which JSON can hold and UTF-8 can't, is spelled out.
    names = [name.encode("utf-8", "backslashreplace").decode() for name in places]
    return Coded(names, np.array(found, dtype=np.int64).reshape(values.shape))


def _distinct(values: NDArray[Any]) -> tuple[list[str], NDArray[np.int64]]:
    distinct, codes = np.unique(values, return_inverse=True)
    return list(map(str, distinct.tolist())), codes


class GroupTable:
    """What is known of each of very many groups.

    Attributes:
        names: The groups, in order.
        n: Rows of each.
        accuracy: Of each.
        mean_confidence: Of each.
        conf_ece: Of each.
    """

    def __init__(self, groups: Groups) -> None:
        self.names, self.n, self.accuracy, self.mean_confidence, self.conf_ece = groups.table()

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GroupTable) and all(map(np.array_equal, vars(self).values(), vars(other).values()))

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    def rows(self, chosen: Iterable[int] | None = None) -> Iterator[dict[str, Any]]:
        """The groups, or those of certain places, as `group, n, accuracy, mean_confidence, signed_gap, conf_ece`."""
        for k in range(len(self)) if chosen is None else chosen:
            accuracy, mean_confidence = float(self.accuracy[k]), float(self.mean_confidence[k])
            yield {
                "group": self.names[k],
                "n": int(self.n[k]),
                "accuracy": accuracy,
                "mean_confidence": mean_confidence,
                "signed_gap": mean_confidence - accuracy,
                "conf_ece": float(self.conf_ece[k]),
            }

    def worst(self, count: int) -> list[dict[str, Any]]:
        """The groups whose rows times conf-ECE is largest: by conf-ECE alone, those of a row or two would be first."""
        return list(self.rows(np.argsort(-self.n * self.conf_ece, kind="stable")[:count].tolist()))
