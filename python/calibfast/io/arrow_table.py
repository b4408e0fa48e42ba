"""What Parquet files and Arrow files share: columns that come in record batches of pyarrow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError, MissingExtraError, first_line
from calibfast.io.columns import Place
from calibfast.io.source import Block, Column, Ragged, block_rows, families
from calibfast.metrics.arrow import is_numeric, plain
from calibfast.metrics.groups import Coded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibfast.io.source import File

_SCAN_ROWS = 4096


class ArrowTable(ABC):
    """The columns of a table that pyarrow reads.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, path: File) -> None:
        try:
            import pyarrow as pa
        except ImportError:
            raise MissingExtraError(f"reading {path.suffix} files", "io") from None
        self.path = path
        self._pa = pa
        with self._damage():
            schema, self._rows = self._opened()
        if self._rows == 0:
            raise InputError(f"{path}: no rows to measure")
        self._names: list[str] = schema.names
        self._families = families(self._names)
        self.dims = {field.name: 2 if _is_list(pa, field.type) else 1 for field in schema}
        self.dims |= dict.fromkeys(self._families, 2)
        self._widths: dict[str, int] = {}
        self._texts_of: dict[str, tuple[Any, list[str]]] = {}

    @abstractmethod
    def _opened(self) -> tuple[Any, int | None]:
        """The schema, and the number of rows where the file tells it."""

    @abstractmethod
    def _batches(self, names: list[str], rows: int) -> Iterator[Any]:
        """The named columns as record batches of so many rows at most."""

    def rows(self, _name: str) -> int | None:
        """Number of rows."""
        return self._rows

    def width(self, name: str) -> int:
        """Number of options; lists of differing lengths are read once through to find the longest."""
        if name in self._families:
            return len(self._families[name])
        if name not in self._widths:
            columns = (block.columns[0] for block in self._read([name], _SCAN_ROWS))
            self._widths[name] = max(
                int(column.lengths.max()) if isinstance(column, Ragged) else np.asarray(column).shape[1]
                for column in columns
            )
        return self._widths[name]

    def blocks(self, names: Sequence[str]) -> Iterator[Block]:
        """The named columns."""
        values = sum(self.width(name) if self.dims[name] == 2 else 1 for name in names)
        return self._read(names, block_rows(8 * values))

    def _read(self, names: Sequence[str], rows: int) -> Iterator[Block]:
        members = [member for name in names for member in self._families.get(name, [name])]
        first_row = 0
        with self._damage():
            for batch in self._batches(members, rows):
                columns: list[Column] = []
                for name in names:
                    place = Place(self.path, name, first_row)
                    parts = [self._column(batch.column(m), place) for m in self._families.get(name, [name])]
                    if name in self._families:
                        texts = [part.texts() if isinstance(part, Coded) else part for part in parts]
                        columns.append(np.stack(texts, axis=1))
                    else:
                        columns.append(parts[0])
                yield Block(tuple(columns), batch.num_rows, None)
                first_row += batch.num_rows

    def _column(self, array: Any, place: Place) -> Column:
        pa = self._pa
        coded = pa.types.is_dictionary(array.type)
        if coded and (not _is_text(pa, array.type.value_type) or array.dictionary.null_count):
            array = array.dictionary_decode()
        if array.null_count:
            raise place.error(int(np.argmax(plain(array.is_null()))), "is null")
        if _is_text(pa, array.type):
            array = array.dictionary_encode()
        if pa.types.is_dictionary(array.type):
            codes = plain(array.indices).astype(np.int64, copy=False)
            return Coded(self._texts(place.name, array.dictionary), codes)
        if _is_list(pa, array.type):
            values = array.flatten()
            if values.null_count:
                raise place.refusal(
                    "has a null in one of its lists; an absent option is -inf in logits, or left off at the end"
                )
            if not pa.types.is_floating(values.type):
                raise place.refusal(f"holds lists of {values.type}, expected lists of floats")
            numbers = plain(values)
            if pa.types.is_fixed_size_list(array.type):
                return numbers.reshape(len(array), -1)
            return Ragged(numbers, plain(array.value_lengths()).astype(np.int64))
        if str(array.type) == "string_view":
            return list(array.to_pylist())
        if is_numeric(array.type):
            return plain(array)
        raise place.refusal(f"holds {array.type}, expected numbers, booleans, text or lists of floats")

    def _texts(self, name: str, dictionary: Any) -> list[str]:
        """The texts of a dictionary: the same list for the same texts, which blocks mostly share."""
        if name not in self._texts_of or not self._texts_of[name][0].equals(dictionary):
            self._texts_of[name] = dictionary, dictionary.to_pylist()
        return self._texts_of[name][1]

    @contextmanager
    def _damage(self, where: str = "") -> Iterator[None]:
        """Say of a damaged file which it is, and where."""
        try:
            yield
        except (self._pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            kind = type(self).__name__.removesuffix("File")
            problem = f"the {kind} file is damaged or none at all ({first_line(error)})"
            raise InputError(f"{self.path}: {where}{problem}") from None


def _is_list(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_text(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
