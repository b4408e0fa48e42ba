"""Running text from files, a piece at a time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from calibfast.data.rows import open_parquet
from calibfast.errors import InputError
from calibfast.io.json_records import json_records
from calibfast.io.text import open_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

PIECE = 1 << 16
"""Characters that are read at once."""
LONGEST = 1 << 20
"""Characters of a piece at most: what has neither lines nor spaces is cut there."""
_PARQUET_ROWS = 64


class Piece(NamedTuple):
    """A part of a text.

    Attributes:
        text: The part. Pieces of one text, put together, are the text.
        first: Whether a new text begins here.
    """

    text: str
    first: bool


def read_texts(path: str | Path, key: str = "text") -> Iterator[Piece]:
    """Read texts without ever holding a long one whole.

    A text is cut before the first word of a line, or before a space where it has no lines: tokenizers cut there, too.
    What has neither is cut every million characters or so.

    Args:
        path: `.jsonl` (one object a line, each a text) or `.parquet` (each row a text); any other file is one text.
            Text and JSONL may be compressed (`.gz`, `.zst`).
        key: The field or column of the text. Default "text".

    Raises:
        InputError: The file cannot be read, or a row has no text; the message names its line.
    """
    path = Path(path)
    suffixes = [suffix for suffix in path.suffixes if suffix not in (".gz", ".zst")]
    kind = suffixes[-1].lower() if suffixes else ""
    try:
        if kind == ".parquet":
            for text in _parquet(path, key):
                yield from _pieces(io.StringIO(text))
        elif kind == ".jsonl":
            for text in _jsonl(path, key):
                yield from _pieces(io.StringIO(text))
        else:
            with open_text(path) as file:
                yield from _pieces(file)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _jsonl(path: Path, key: str) -> Iterator[str]:
    for line, row in json_records(path):
        text = row.get(key)
        if not isinstance(text, str):
            raise InputError(f"{path}, line {line}: no text in the field '{key}'; name the field by --text-key")
        yield text


def _parquet(path: Path, key: str) -> Iterator[str]:
    with open_parquet(path) as file:
        names = file.schema_arrow.names
        if key not in names:
            raise InputError(
                f"{path}: no column '{key}', which would hold the texts; name one of {', '.join(names)} by --text-key"
            )
        batches = file.iter_batches(batch_size=_PARQUET_ROWS, columns=[key])
        texts = (text for batch in batches for text in batch.column(0).to_pylist())
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputError(f"{path}, row {row}: no text in the column '{key}'", row=row)
            yield text


def _pieces(file: TextIO) -> Iterator[Piece]:
    rest, first = "", True
    while more := file.read(PIECE):
        rest += more
        if cut := _cut(rest):
            yield Piece(rest[:cut], first)
            rest, first = rest[cut:], False
    if rest:
        yield Piece(rest, first)


def _cut(text: str) -> int:
    """The last place where a line begins with a word, else where a word ends, else the end of much text; 0 to wait."""
    at = len(text) - 1
    while (at := text.rfind("\n", 0, at)) >= 0:
        if not text[at + 1].isspace():
            return at + 1
    space = text.rfind(" ")
    if space > 0:
        return space
    return len(text) if len(text) >= LONGEST else 0
