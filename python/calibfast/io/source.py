"""What every prediction file looks like from inside: named columns, read in blocks of rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from calibfast.io.remote import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from calibfast.metrics.groups import Coded

File: TypeAlias = "Path | RemoteFile"

BLOCK_BYTES = 16 << 20
"""How much of a file is in memory at a time."""


class Ragged(NamedTuple):
    """A list column: the values of all rows one after the other, and how many each row has."""

    values: NDArray[Any]
    lengths: NDArray[np.int64]


Column: TypeAlias = "NDArray[Any] | list[Any] | Coded | Ragged"
"""One value a row (1-D array; a list or codes where the file holds text), or one per option (2-D array, Ragged)."""


class Block(NamedTuple):
    """Some rows of the columns that were asked for."""

    columns: tuple[Column, ...]
    rows: int
    lines: Sequence[int] | None
    """The line of the file that each row stands on, where the file has lines."""


class Source(Protocol):
    """A prediction file. Every call of `blocks` reads it from the start."""

    @property
    def path(self) -> File:
        """The file."""

    @property
    def dims(self) -> Mapping[str, int]:
        """Name of each column -> 1 for one value a row, 2 for one value per option; others cannot be used."""

    def rows(self, name: str, /) -> int | None:
        """Number of rows of a column; None where only reading the file tells."""

    def width(self, name: str, /) -> int:
        """Number of options of a two-dimensional column, that of the longest row where rows differ."""

    def blocks(self, names: Sequence[str], /) -> Iterator[Block]:
        """The named columns, in their order."""


def seekable(path: File) -> Any:
    """What a reader of archives opens: the path, or a remote file's bytes."""
    return path.open("rb") if isinstance(path, RemoteFile) else path


def block_rows(row_bytes: int) -> int:
    """Number of rows that make up a block."""
    return max(1, BLOCK_BYTES // max(1, row_bytes))


def families(names: Iterable[str]) -> dict[str, list[str]]:
    """Group the columns `p0 .. pK-1` (or `p_0 .. p_K-1`) of a table under the name `p`.

    Examples:
        >>> families(["id", "p1", "p0", "q0"])
        {'p': ['p0', 'p1']}
    """
    found: dict[str, dict[int, str]] = {}
    plain = list(names)
    for name in plain:
        if match := re.fullmatch(r"(.*?[^\d_])_?(0|[1-9]\d{0,5})", name):
            found.setdefault(match[1], {})[int(match[2])] = name
    return {
        prefix: [members[k] for k in range(len(members))]
        for prefix, members in found.items()
        if len(members) > 1 and set(members) == set(range(len(members))) and prefix not in plain
    }
