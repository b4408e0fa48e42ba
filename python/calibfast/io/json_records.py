"""JSON objects one after the other: one a line, or as the elements of an array."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TextIO

from calibfast.errors import InputError
from calibfast.io.text import open_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1 << 20
_ARRAY = re.compile(r"\s*\[\s*(?=\{)")
_GAP_END = re.compile(r"[^\s,]|\Z")


class FieldError(Exception):
    """A field of an object is not as it must be; who knows file and line says where."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"'{field}': {problem}")


def json_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file, each with the line on which it begins; they are read one at a time.

    Raises:
        InputError: The file is cut off, or holds something else.
    """
    with open_text(path) as file:
        array = _ARRAY.match(file.read(_CHUNK))
    with open_text(path) as file:
        for line, record in _elements(path, file, array[0]) if array else _lines(path, file):
            if not isinstance(record, dict):
                kind = type(record).__name__
                raise InputError(f"{path}: line {line}: a JSON {kind}, expected an object {{...}} a line")
            yield line, record


def _lines(path: Path, file: TextIO) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            long = "a JSON object over several lines; expected one a line, or an array of them"
            raise InputError(
                f"{path}: line {number}: {long if line.strip() == '{' else f'no JSON ({error})'}"
            ) from None


def _elements(path: Path, file: TextIO, opening: str) -> Iterator[tuple[int, Any]]:
    decoder, buffer, end = json.JSONDecoder(), "", 0
    line = 1 + file.read(len(opening)).count("\n")
    while True:
        start = _GAP_END.search(buffer, end).start()  # type: ignore[union-attr]  # the end of the text is one
        line += buffer.count("\n", end, start)
        if buffer.startswith("]", start):
            if (buffer[start + 1 :] + file.read(_CHUNK)).strip():
                raise InputError(f"{path}: line {line}: more follows after the end of the array; keep each in its file")
            return
        try:
            record, end = decoder.raw_decode(buffer, start)
        except (ValueError, RecursionError) as error:
            # Perhaps the element goes on. What is read grows with it, so that a long one is not parsed often.
            chunk = file.read(max(_CHUNK, len(buffer) - start))
            if not chunk:
                raise InputError(f"{path}: line {line}: no JSON, or the file is cut off ({error})") from None
            buffer, end = buffer[start:] + chunk, 0
            continue
        yield line, record
        line += buffer.count("\n", start, end)
