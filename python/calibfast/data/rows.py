"""The rows of a file of questions, pairs or texts, each with its place, one at a time."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from calibfast.errors import InputError, MissingExtraError, first_line
from calibfast.io.json_records import head, json_array, json_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

SHOWN_ROWS = 10
"""Of the rows that are left out."""
_TRIVIAQA = re.compile(r'\s*\{\s*"Data"\s*:')
"""How the set's own files begin."""


def read_rows(path: Path, what: str) -> Iterator[tuple[int, Any]]:
    """Each row and its place: the line on which it begins, or in Parquet its position, from 1.

    Args:
        path: A `.jsonl` file (one JSON object a line) or a `.json` file (a list of objects), also with `.gz` or
            `.zst`; or a `.parquet` file.
        what: What the file is called where its name is wrong, such as "a question file".

    Raises:
        InputError: The file has another ending, cannot be read, or is damaged; a line that is no JSON is damage.
        MissingExtraError: Parquet or Zstandard, without pyarrow.
    """
    suffixes = [suffix for suffix in path.suffixes if suffix not in (".gz", ".zst")]
    if path.suffix == ".parquet":
        rows = _parquet(path)
    elif suffixes and suffixes[-1] in (".jsonl", ".json"):
        rows = _json(path)
    else:
        raise InputError(f"{path}: {what} ends in .jsonl or .json, perhaps with .gz or .zst behind it, or in .parquet")
    try:
        yield from rows
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def parse_rows(
    path: Path,
    rows: Iterable[tuple[int, Any]],
    parse: Callable[[Any, Path, int], T],
    *,
    what: str,
    limit: int | None,
    skipped: list[InputError] | None,
) -> list[T]:
    """What the rows of a file say.

    Args:
        path: The file.
        rows: Each row and its place.
        parse: Makes something of a row, the file and the place.
        what: What is made, such as "questions".
        limit: Make this many at most, or None.
        skipped: Where it is given, rows of which nothing can be made are left out, and their errors are put here.

    Raises:
        InputError: Nothing can be made of a row, or the file holds none.
    """
    made: list[T] = []
    for line, row in rows:
        try:
            made.append(parse(row, path, line))
        except InputError as error:
            if skipped is None:
                raise InputError(
                    f"{error}; correct the row, or leave bad rows out (--skip-bad-rows)", row=error.row
                ) from None
            skipped.append(error)
        if len(made) == limit:
            break
    if not made:
        raise InputError(f"{path} holds no {what}" + (f"; the first row: {skipped[0]}" if skipped else ""))
    return made


def describe_skipped(path: str | Path, skipped: Sequence[InputError]) -> str:
    """The rows of a file that were left out: their number, and what is wrong with the first ten.

    Args:
        path: The file.
        skipped: The errors, at least one.
    """
    noun = "row" if len(skipped) == 1 else "rows"
    lines = [str(error).removeprefix(f"{path}, ") for error in skipped[:SHOWN_ROWS]]
    if len(skipped) > SHOWN_ROWS:
        lines.append(f"and {len(skipped) - SHOWN_ROWS} more")
    return "\n  ".join([f"left out {len(skipped)} {noun} of {path}:", *lines])


@contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """A Parquet file of pyarrow, whose damage is named while it is read.

    Raises:
        InputError: The file is damaged.
        MissingExtraError: pyarrow is not installed.
        OSError: The file cannot be opened.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("reading .parquet files", "io") from None
    try:
        with path.open("rb") as raw, pq.ParquetFile(raw) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(f"{path}: the Parquet file is damaged or none at all ({first_line(error)})") from None


def _json(path: Path) -> Iterator[tuple[int, Any]]:
    yield from json_array(path, "Data") if _TRIVIAQA.match(head(path)) else json_values(path)


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    with open_parquet(path) as file:
        rows = (row for batch in file.iter_batches(batch_size=1000) for row in batch.to_pylist())
        yield from enumerate(rows, start=1)
