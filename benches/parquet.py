"""Parquet through `calibfast.stream`, beside Polars' streaming mean of the confidence column alone.

    python benches/parquet.py [ROWS]        # 100 million by default, in 64 files of 0.7 to 1 GB together

What bounds the ratio is timed, too: decoding both columns without counting, and counting rows in memory.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

import calibfast

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = 64
ROUNDS = 5
COLUMNS = ["confidence", "correct"]


def write(folder: Path, rows: int) -> None:
    """The same tables by pyarrow (snappy, row groups of 2^20) and by Polars (zstd, smaller ones)."""
    rng = np.random.default_rng(0)
    for k in range(FILES):
        p = rng.random(rows, dtype=np.float32)
        subject = rng.choice(["algebra", "law", "virology"], rows)
        columns = {"id": np.arange(rows), "subject": subject, "confidence": p, "correct": rng.random(rows) < p}
        table = pl.DataFrame(columns)
        table.write_parquet(folder / "polars" / f"{k:02}.parquet", mkdir=True)
        (folder / "pyarrow").mkdir(exist_ok=True)
        pq.write_table(table.to_arrow(), folder / "pyarrow" / f"{k:02}.parquet")


def mean(folder: Path) -> None:
    pl.scan_parquet(folder).select(pl.col("confidence").mean()).collect(engine="streaming")


def by_polars(folder: Path) -> None:
    for _ in pl.scan_parquet(folder).select(COLUMNS).collect_batches(engine="streaming"):
        pass


def by_pyarrow(folder: Path) -> None:
    def read(path: Path) -> None:
        with pq.ParquetFile(path) as file:
            for _ in file.iter_batches(1 << 20, columns=COLUMNS):
                pass

    with ThreadPoolExecutor() as pool:
        list(pool.map(read, folder.iterdir()))


def in_memory(folder: Path) -> None:
    table = pl.concat(pl.read_parquet(path, columns=COLUMNS) for path in sorted(folder.iterdir())[:4])
    p, y = (table[name].to_numpy() for name in COLUMNS)
    calibfast.stream((p, y) for _ in range(FILES // 4))


WORK: dict[str, Callable[[Path], Any]] = {
    "Polars: mean": mean,
    "calibfast.stream": calibfast.stream,
    "Polars: both columns": by_polars,
    "pyarrow: both columns": by_pyarrow,
    "calibfast, in memory": in_memory,
}


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory(dir=".") as name:
        write(Path(name), rows // FILES)
        for folder in (Path(name) / "pyarrow", Path(name) / "polars"):
            times: dict[str, list[tuple[float, float]]] = {what: [] for what in WORK}
            for _ in range(1 + ROUNDS):
                for what, work in WORK.items():
                    began, cpu = time.perf_counter(), time.process_time()
                    work(folder)
                    times[what].append((time.perf_counter() - began, time.process_time() - cpu))
            print(f"written by {folder.name}, ns a row and times the mean:")
            first: list[float] = []
            for what, took in times.items():
                found = [statistics.median(clock) / rows * 1e9 for clock in zip(*took[1:], strict=True)]
                first = first or found
                wall, cpu = (f"{ns:5.1f} ({ns / of:.1f})" for ns, of in zip(found, first, strict=True))
                print(f"{what:24}{wall} by the clock {cpu} of processors")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB at most")


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if sys.argv[1:] else 10**8)
