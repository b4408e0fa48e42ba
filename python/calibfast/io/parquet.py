"""`.parquet` files, read in blocks of rows, of the columns that are needed alone.

Polars decodes numbers and booleans three times as fast as pyarrow, but takes in whole row groups. So pyarrow reads
lists and huge row groups, which may not fit in memory; texts; what is not worth the start of Polars; remote files, of
which Polars would fetch every byte; and what Polars stumbles over, to say which row group is damaged.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibfast.errors import MissingExtraError
from calibfast.io.arrow_table import ArrowTable
from calibfast.io.source import BLOCK_BYTES
from calibfast.metrics.arrow import is_numeric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WORTH_POLARS = 1 << 20
_WORTH_THREADS = 1 << 17
_FEW_TEXTS = 1 << 16
_GROUP_BYTES = 16 * BLOCK_BYTES


class ParquetFile(ArrowTable):
    """The columns of a Parquet file."""

    def _opened(self) -> tuple[Any, int]:
        with self._open() as file:
            schema, metadata = file.schema_arrow, file.metadata
            self._numbers = {field.name for field in schema if is_numeric(field.type)}
            groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
            self._group_rows = max((group.num_rows for group in groups), default=0)
            columns = [groups[0].column(k) for k in range(metadata.num_columns)] if groups else []
            self._repetitive = [column.path_in_schema for column in columns if _has_few_texts(column)]
            return schema, metadata.num_rows

    def _batches(self, names: list[str], rows: int) -> Iterator[Any]:
        done, path = 0, self.path
        values = len(names) * self._group_rows
        fits = self._numbers.issuperset(names) and 8 * values <= _GROUP_BYTES
        if fits and (self._rows or 0) >= _WORTH_POLARS and isinstance(path, Path):
            for batch in self._groups(path, names):
                yield batch
                done += batch.num_rows
            if done == self._rows:
                return
        threads = values >= _WORTH_THREADS
        with self._open([name for name in names if name in self._repetitive]) as file:
            for group in range(file.num_row_groups):
                with self._damage(f"row group {group}: "):
                    for batch in file.iter_batches(rows, [group], names, use_threads=threads):
                        if done < batch.num_rows:
                            yield batch.slice(done)
                        done = max(0, done - batch.num_rows)

    def _groups(self, path: Path, names: list[str]) -> Iterator[Any]:
        """Row groups by Polars, as far as it comes."""
        try:
            import polars as pl
        except ImportError:
            raise MissingExtraError("reading .parquet files", "io") from None
        with suppress(pl.exceptions.PolarsError, pl.exceptions.PanicException, self._pa.ArrowException, OSError):
            frames = pl.scan_parquet(path, glob=False).select(names).collect_batches(engine="streaming")
            with self._pa.RecordBatchReader.from_stream(frames) as reader:
                yield from reader

    @contextmanager
    def _open(self, coded: Sequence[str] = ()) -> Iterator[Any]:
        import pyarrow.parquet as pq

        with self.path.open("rb") as raw, pq.ParquetFile(raw, read_dictionary=coded) as file:
            yield file


def _has_few_texts(column: Any) -> bool:
    """Whether a column's texts stand once in a short dictionary: it is then handed over with their places in that."""
    if column.physical_type != "BYTE_ARRAY" or not column.has_dictionary_page:
        return False
    return int(column.data_page_offset - column.dictionary_page_offset) < _FEW_TEXTS
