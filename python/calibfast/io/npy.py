"""`.npy` files, read in blocks.

A memory map would count every page that was touched as resident memory, and a file that shrinks while it is
read would kill the process; plain reads of a block do neither.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import tokenize
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from zipfile import ZipExtFile

import numpy as np
from numpy.lib import format as npy_format

from calibfast.errors import InputError, first_line
from calibfast.io.partial import Counted
from calibfast.io.source import Block, block_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from calibfast.io.source import File

# All that NumPy's reading of a header raises; the last two on brackets within brackets.
_DAMAGE = (ValueError, TypeError, SyntaxError, EOFError, tokenize.TokenError, RecursionError, MemoryError)

UNNAMED = "array"
"""The name of the array of a `.npy` file, which has none."""


class NpyArray:
    """An array in the `.npy` format, inside a file or a `.npz` archive.

    Args:
        where: What messages call the array.
        open_: Opens the bytes of the array, which seek where the array is in Fortran order.
        size: How many bytes there are.

    Raises:
        InputError: The bytes are no array, or not as many as the header promises.
    """

    def __init__(self, where: str, open_: Callable[[], BinaryIO], size: int) -> None:
        self.where = where
        self._open = open_
        if size == 0:
            raise InputError(f"{where}: the file is empty")
        with open_() as file:
            magic = file.read(len(npy_format.MAGIC_PREFIX))
            if magic != npy_format.MAGIC_PREFIX:
                hint = "; it looks like a .npz archive, name it so" if magic[:2] == b"PK" else ""
                raise InputError(f"{where}: no NumPy array inside, although the name says .npy{hint}")
            try:
                self.shape, self.fortran, self.dtype = _header(file)
            except _DAMAGE as error:
                reason = first_line(error)
                raise InputError(f"{where}: the header of the array is damaged ({reason}); save it again") from None
            self._start = file.tell()
        promised = self._start + math.prod(self.shape) * self.dtype.itemsize
        if min(self.shape, default=0) < 0 or (promised != size and self.dtype.kind != "O"):
            raise InputError(
                f"{where}: the header promises {promised} bytes (shape {self.shape} of {self.dtype}), the file "
                f"has {size}: {'cut off' if size < promised else 'a wrong header or a second array'}; save it again"
            )

    def check(self) -> None:
        """Refuse what holds no predictions: objects, records, complex numbers, zero rows, odd shapes."""
        if self.dtype.kind not in "fiubUS" or self.dtype.itemsize == 0:
            raise InputError(
                f"{self.where}: holds {self.dtype.name} values, expected numbers; objects and records are "
                "never unpickled; save plain float, integer or bool arrays"
            )
        if len(self.shape) not in (1, 2):
            raise InputError(f"{self.where}: has shape {self.shape}, expected (N,) or (N, K)")
        if 0 in self.shape:
            raise InputError(f"{self.where}: has shape {self.shape}: no rows to measure")

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def open(self) -> Cursor:
        """A cursor before the first row."""
        file = self._open()
        if self.fortran and isinstance(file, ZipExtFile):
            # Columns in Fortran order lie far apart, and going back in a compressed stream means unpacking it
            # again: such an array is unpacked once, to a file.
            with file as packed:
                file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - the cursor closes it
                shutil.copyfileobj(packed, file)
        return Cursor(self, file, self._start)


class Cursor:
    """Reads an array from its first row on; a context manager that closes the file."""

    def __init__(self, array: NpyArray, file: BinaryIO, start: int) -> None:
        self.where = array.where
        self._array = array
        self._file = file
        self._start = start
        self._row = 0
        file.seek(start)

    def __enter__(self) -> Cursor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def take(self, rows: int) -> NDArray[Any]:
        """The next rows, in the machine's own byte order; fewer at the end of the array."""
        array = self._array
        rows = min(rows, array.shape[0] - self._row)
        if array.fortran and len(array.shape) == 2:
            values = np.empty((rows, array.shape[1]), array.dtype, order="F")
            for k in range(array.shape[1]):
                self._file.seek(self._start + (k * array.shape[0] + self._row) * array.dtype.itemsize)
                values[:, k] = self._read(rows)
        else:
            values = self._read(rows * math.prod(array.shape[1:])).reshape(rows, *array.shape[1:])
        self._row += rows
        return values.astype(array.dtype.newbyteorder("="), copy=False)

    def _read(self, count: int) -> NDArray[Any]:
        values = np.empty(count * self._array.dtype.itemsize, np.uint8)
        view, done = values.data, 0
        while done < len(view):
            got = self._file.readinto(view[done:])  # type: ignore[attr-defined]
            if not got:
                raise InputError(f"{self.where}: ended while it was read; was it being written?")
            done += got
        return values.view(self._array.dtype)


class NpyFile:
    """A `.npy` file: one unnamed array or, of (N, 2) without labels beside it, `confidence` and `correct`.

    Args:
        path: The file.
        pair: Whether an (N, 2) array is confidence and correctness.
    """

    def __init__(self, path: File, *, pair: bool = False) -> None:
        self.path = path
        self.array = NpyArray(str(path), lambda: path.open("rb"), Counted.of(path).size)
        self.array.check()
        self._pair = pair and self.array.shape[1:] == (2,)
        self.dims = {"confidence": 1, "correct": 1} if self._pair else {UNNAMED: len(self.array.shape)}

    def rows(self, _name: str = UNNAMED) -> int:
        """Number of rows."""
        return self.array.shape[0]

    def width(self, _name: str = UNNAMED) -> int:
        """Number of options."""
        return self.array.shape[1]

    def blocks(self, _names: Sequence[str]) -> Iterator[Block]:
        """The array, or its two columns."""
        with self.array.open() as cursor:
            while len(values := cursor.take(block_rows(self.array.row_bytes))):
                # Side by side in memory is what the core is fast on.
                columns = tuple(map(np.ascontiguousarray, values.T)) if self._pair else (values,)
                yield Block(columns, len(values), None)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    file.seek(0)
    version = npy_format.read_magic(file)
    # Version 3.0 differs from 2.0 only in the encoding of the field names of records, which are refused.
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format version {version[0]}.{version[1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the file was written by Python 2, which is no fault
        return read(file)
