"""Columns of any library that speaks Arrow's C data interface, as NumPy arrays: copied only where needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def is_arrow(data: object) -> bool:
    """Whether the data is an Arrow column or table; those of pandas are NumPy arrays, and come with their index."""
    speaks = hasattr(data, "__arrow_c_array__") or hasattr(data, "__arrow_c_stream__")
    return speaks and type(data).__module__.partition(".")[0] != "pandas"


def from_arrow(data: Any, name: str) -> NDArray[Any]:
    """(N,) numbers of a column; (N, K) of a column of lists, or of a table's columns.

    Raises:
        InputError: A row is null, or lists differ in length.
        MissingExtraError: pyarrow is not installed, and the library itself cannot hand over NumPy arrays.
    """
    try:
        import pyarrow as pa
    except ImportError:
        if hasattr(data, "__array__"):
            return np.asarray(data)
        raise MissingExtraError("Arrow data", "io") from None
    if not hasattr(data, "__arrow_c_stream__"):
        return _numbers(pa.array(data), name)
    chunks = pa.chunked_array(data)
    return _numbers(chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks(), name)


def _numbers(column: Any, name: str) -> NDArray[Any]:
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):  # tensors are lists inside
        column = column.storage
    if column.null_count:
        raise _null(column, name, 1)
    if pa.types.is_struct(column.type):
        parts = zip(column.type, column.flatten(), strict=True)
        return np.stack([_numbers(part, f"{name}, column {field.name!r},") for field, part in parts], axis=1)
    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths = plain(column.value_lengths())
        width = int(lengths[0]) if len(lengths) else 0
        for row in np.flatnonzero(lengths != width)[:1].tolist():
            raise InputError(
                f"{name} at row {row} is {lengths[row]} values, at row 0 {width}; pad absent options with -inf logits",
                row,
            )
    else:
        return plain(column)
    values = column.flatten()
    if values.null_count:
        raise _null(values, name, width)
    return plain(values).reshape(len(column), width)


def is_numeric(kind: Any) -> bool:
    """Whether an Arrow type is one of integers, floats or booleans."""
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def plain(array: Any) -> NDArray[Any]:
    """The values of an Arrow array without nulls: numbers where they lie, others as NumPy has them.

    `to_numpy` loads pandas, which takes longer than most files, and ten times as long for booleans.
    """
    import pyarrow as pa

    if pa.types.is_boolean(array.type):
        bits, start = np.frombuffer(array.buffers()[1], np.uint8), array.offset
        return np.unpackbits(bits, count=start + len(array), bitorder="little")[start:].view(np.bool_)
    if is_numeric(array.type):
        return np.from_dlpack(array)
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _null(values: Any, name: str, width: int) -> InputError:
    row, option = divmod(int(np.argmax(plain(values.is_null()))), width)
    at = f"row {row}" if width == 1 else f"row {row}, column {option}"
    return InputError(f"{name} at {at} is null; drop the row, or fill it", row, None if width == 1 else option)
