"""Rows of names and values (a benchmark, a comparison of methods) as text."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibfast.report.render import Format


def render_rows(rows: Sequence[Mapping[str, object]], format: Format = "table", *, width: int = 100) -> str:  # noqa: A002
    """Rows that share their names, as text that ends with a newline.

    Args:
        rows: At least one.
        format: "table": numbers to four significant places, aligned; "json": a list of objects; "csv": a line of
            names and a line for each row, with every digit.
        width: Columns of the terminal, for the table.

    Raises:
        ValueError: There is no such format.

    Example:
        >>> print(render_rows([{"method": "cft", "conf_ece": 0.0123456}], "csv"), end="")
        method,conf_ece
        cft,0.0123456
    """
    if format == "json":
        return json.dumps([{name: _finite(value) for name, value in row.items()} for row in rows], indent=2) + "\n"
    if format == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
    if format == "table":
        return _table(rows, width)
    raise ValueError(f"format is {format!r}, expected table, json or csv")


def _table(rows: Sequence[Mapping[str, object]], width: int) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, value in rows[0].items():
        table.add_column(name.replace("_", " "), justify="left" if isinstance(value, str) else "right", overflow="fold")
    for row in rows:
        table.add_row(*(_short(value) for value in row.values()))
    text = io.StringIO()
    Console(file=text, width=width, color_system=None, highlight=False, legacy_windows=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().strip("\n").splitlines()) + "\n"


def _short(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _finite(value: object) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
