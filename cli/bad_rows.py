"""Data files some of whose rows may be left out: the flag, and the reading."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from calibfast.errors import InputError

Row = TypeVar("Row")
SkipBadRows = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows", help="Leave out rows that are not as they must be, and list them.", rich_help_panel="Data"
    ),
]


def read_rows(
    read: Callable[..., list[Row]], path: Path, limit: int | None = None, *, skip_bad_rows: bool, **how: Any
) -> list[Row]:
    """What a reader of `calibfast.data` makes of a file; what is left out is listed on stderr."""
    from calibfast.data.rows import describe_skipped

    skipped: list[InputError] | None = [] if skip_bad_rows else None
    rows = read(path, limit, skipped=skipped, **how)
    if skipped:
        print(describe_skipped(path, skipped), file=sys.stderr)
    return rows
