"""Predictions past memory: many files, or chunks, as one set of rows."""

from __future__ import annotations

import os
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from calibfast._core import State
from calibfast.errors import CalibfastWarning, InputError, StateError
from calibfast.io.files import prediction_files
from calibfast.io.partial import Partial, given, worded
from calibfast.io.predictions import Reading, read_predictions
from calibfast.metrics import Evaluation
from calibfast.metrics.accumulator import to_bins
from calibfast.metrics.evaluation import MAX_KEPT_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from calibfast.io.files import Files
    from calibfast.io.source import File
    from calibfast.metrics import Report

    Progress = Callable[[int, float], None]
    Elsewhere = Callable[..., Callable[[], Partial]]

_SECONDS = 5.0
"""Between two writings of a state."""


def measure_file(
    file: str | File,
    *,
    bins: int | Sequence[float] = 10,
    threads: int | None = 1,
    progress: Progress | None = None,
    metrics: str | Iterable[str] = (),
    ci: bool = False,
    keep_rows: bool = False,
    note: bool = True,
    **reading: Unpack[Reading],
) -> Partial:
    r"""One file as a state that merges with those of others, exactly and in any order, and travels as bytes.

    Args:
        file: The file.
        bins: Number of equal-width bins, or their edges.
        threads: Number of threads; None for all.
        progress: Called with the number of rows of each block that is done, and what share of the file they are.
        metrics: Names of further metrics, which need rows.
        ci: Whether metrics get intervals.
        keep_rows: Whether rows are kept for the metrics that need them; they do not travel.
        note: Whether to warn where the file holds further predictions.
        **reading: See `calibfast.io.read_predictions`.

    Raises:
        InputError: The file breaks its contract; the message says where.
        OSError: It cannot be read.

    Examples:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("a", "b"):
        ...     _ = (folder / f"{name}.csv").write_text("confidence,correct\n0.9,1\n0.6,0\n")
        >>> parts = [measure_file(file).to_bytes() for file in prediction_files(folder)]
        >>> from calibfast.io.partial import Partial
        >>> left, right = map(Partial.from_bytes, parts)
        >>> left.merge(right).evaluation.report().n
        4
    """
    predictions, told = read_predictions(file, **reading), 0.0
    if note and predictions.others:
        others = ", ".join(predictions.others)
        warnings.warn(
            f"{predictions.path}: read {predictions.used}; --key reads another: {others}",
            CalibfastWarning,
            stacklevel=2,
        )

    def advance(rows: int) -> None:
        nonlocal told
        share = rows / predictions.n if predictions.n else 0.0
        told += share
        if progress:
            progress(rows, share)

    counted = predictions.measure(
        bins=bins, threads=threads, progress=advance, metrics=metrics, ci=ci, keep_rows=keep_rows
    )
    counted.reading = given(reading)
    if progress:
        progress(0, 1 - told)
    return counted


def measure_files(
    files: Sequence[File],
    *,
    bins: int | Sequence[float] = 10,
    threads: int | None = None,
    progress: Progress | None = None,
    failed: Callable[[File, Exception], None] | None = None,
    state: Path | None = None,
    elsewhere: Elsewhere | None = None,
    **options: Any,
) -> Partial:
    """Several files as one, each measured by a thread of its own and merged in their order.

    Args:
        files: At least one; see `prediction_files`.
        bins: Number of equal-width bins, or their edges.
        threads: Number of threads, by default all. Changes no bit of the result.
        progress: As of `measure_file`, called by several threads.
        failed: Called with a file that cannot be measured and why; it is then left out. By default the error of the
            first such file ends it all.
        state: A file that holds what is counted, rewritten every few seconds, at the end and on an error. Files that it
            has are not read again, and rows are not kept.
        elsewhere: Starts `measure_file` of a file, with these arguments, on another machine than this, and returns what
            waits for its result; see `calibfast.engines.ray`. Rows stay there.
        **options: As of `measure_file`.

    Raises:
        InputError: A file breaks its contract, has changed since `state` counted it, or all are left out.
        StateError: `state` is damaged, of a newer version, or has other bins or options of reading.
        OSError: A file cannot be read, or `state` not be written.
    """
    total = Partial.read(state) if state and state.exists() else None
    if state and total:
        if total.evaluation.state.edges != State(to_bins(bins)).edges:
            held = len(total.evaluation.state.edges) - 1
            raise StateError(f"{state}: counts into other bins, {held} of them; ask for these, or name another state")
        reading = cast("Reading", {name: value for name, value in options.items() if name in Reading.__annotations__})
        if total.reading != given(reading):
            raise StateError(f"{state}: its files were read {worded(total.reading)}; read so, or name another state")
        left = [file for file in files if not total.has(file)]
        if progress:
            progress(total.n, len(files) - len(left))
        files = left
    threads = threads or _all_threads()
    workers = max(1, len(files) if elsewhere else min(threads, len(files)))
    stopped, written = Event(), monotonic()

    def advance(rows: int, share: float) -> None:
        if stopped.is_set():
            raise InterruptedError
        if progress:
            progress(rows, share)

    def start(file: File) -> Callable[[], Partial]:
        options["note"] = file is files[0]  # said once
        if elsewhere:
            return elsewhere(file, bins=bins, **options)
        keep = state is None and (total is None or total.n <= MAX_KEPT_ROWS)
        own = max(1, threads // workers)
        work = partial(measure_file, file, bins=bins, threads=own, progress=advance, keep_rows=keep, **options)
        return work if workers == 1 else pool.submit(work).result  # Ctrl-C reaches the main thread alone

    with ThreadPoolExecutor(workers) as pool:
        try:
            # No more files are ahead of the one that is merged than there are threads: their rows take memory.
            ahead = deque(start(file) for file in files[:workers])
            for position, file in enumerate(files):
                try:
                    part = ahead.popleft()()
                    if elsewhere:
                        advance(part.n, 1.0)
                    total = part if total is None else total.merge(part)
                except (InputError, OSError) as error:
                    if failed is None:
                        raise
                    failed(file, error)
                if state and total and monotonic() - written > _SECONDS:
                    total.write(state)
                    written = monotonic()
                if position + workers < len(files):
                    ahead.append(start(files[position + workers]))
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            if state and total:
                total.write(state)
    if total is None:
        raise InputError(f"none of the {len(files)} files could be measured")
    return total


def _all_threads() -> int:
    asked = os.environ.get("CALIBFAST_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else os.cpu_count() or 1


def stream(
    source: Files | Iterable[tuple[ArrayLike, ArrayLike]],
    *,
    bins: int | Sequence[float] = 10,
    threads: int | None = None,
    metrics: str | Iterable[str] = (),
    ci: bool = False,
    **reading: Unpack[Reading],
) -> Report:
    """Every metric of predictions that need not fit in memory, as `evaluate` gives them.

    The same bits come out for every order of files and chunks and every number of threads. AUROC, AURC and further
    metrics need the rows, which are kept for up to four million of them.

    Args:
        source: A file, a pattern (`shards/*.parquet`), a folder, a URL of these, or a list; or chunks (p, y) of arrays
            as `evaluate` takes them.
        bins: Number of equal-width bins ((m-1)/M, m/M], or edges that rise from 0 to 1. Default 10.
        threads: Default: CALIBFAST_NUM_THREADS, else all processors.
        metrics: "all", or names of further metrics; see `evaluate`.
        ci: Whether metrics get 95% intervals; see `evaluate`.
        **reading: How files are read (`key`, `label_key`, `dtype` ...; see `calibfast.io.read_predictions`); of chunks,
            `logits` and `ignore_index`.

    Raises:
        InputError: Something breaks its contract; the message names the file, and where in it.
        OSError: A file cannot be read.

    Examples:
        >>> chunks = (([0.95, 0.6], [True, correct]) for correct in (True, False))
        >>> report = stream(chunks)
        >>> report.n, report.accuracy
        (4, 0.75)
    """
    if not isinstance(source, (str, Path)):
        items: Iterator[Any] = iter(source)
        first = next(items, None)
        source = () if first is None else chain([first], items)
        if isinstance(first, tuple):
            evaluation, how = Evaluation(bins, metrics=metrics, ci=ci), cast("dict[str, Any]", reading)
            for p, y in source:
                evaluation.update(p, y, threads=threads, **how)
            return evaluation.report()
    files = prediction_files(cast("Files", source))
    return measure_files(files, threads=threads, bins=bins, metrics=metrics, ci=ci, **reading).report()
