"""Every case, timed side by side."""

from __future__ import annotations

import functools
import math
import os
import timeit
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.benchmark.cases import CASES
from calibfast.benchmark.peers import installed
from calibfast.errors import CalibfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from calibfast.benchmark.cases import Case

ROUNDS = 7
A_TURN = 0.02
"""Seconds that a tool's turn takes at least: shorter calls are repeated, their caches as in a loop."""
PATIENCE = 30.0
"""Seconds for one tool at one size: one that would take longer for a single run is left out, and others stop there."""
CHECKED_ROWS = 100_000
"""Rows on which a package's own convention, which works on one thread, is compared with it."""

_WORTH_A_THREAD = 1 << 20


@dataclass(frozen=True)
class Timing:
    """One case at one size.

    Attributes:
        case: Which.
        rows: How many.
        calibfast: Median wall time of calibfast, in nanoseconds per number read (a row has one, or one an option).
        times: How many times as long others took, by name: "read" is the sum of the same bytes as integers by
            as many threads, "numpy" the best plain NumPy code (one thread), and the packages. A tool that would
            take longer than `PATIENCE` is absent.
    """

    case: str
    rows: int
    calibfast: float
    times: dict[str, float]

    @property
    def ceiling(self) -> float | None:
        """How many times as long NumPy took as "read": the most that `times["numpy"]` could be."""
        return self.times["numpy"] / self.times["read"] if "numpy" in self.times else None


def run(
    sizes: Sequence[int],
    *,
    cases: Sequence[Case] = CASES,
    bins: int = 10,
    threads: int | None = None,
    peers: bool = False,
) -> Iterator[Timing]:
    """Time every case at every size, yielding each when it is done.

    Tools take turns, and what counts is the median over the turns. All are checked to agree first.

    Args:
        sizes: How many numbers each input has (rows times options), at least one.
        cases: Which.
        bins: Number of equal-width bins.
        threads: Threads for calibfast and for reading; NumPy uses one. Default: as everywhere.
        peers: Whether packages that do the work are timed, too, where they are installed.

    Raises:
        CalibfastError: A result differs by more than the rounding of the other's convention explains.
    """
    rng = np.random.default_rng(0)
    workers = threads or os.cpu_count() or 1
    for case in cases:
        expected: dict[str, float] = {}
        for size in sorted(sizes):
            rows = max(1, size // case.width)
            p, y = case.inputs(rng, rows)
            tools: dict[str, Callable[[], Any]] = {
                "calibfast": functools.partial(case.ours, p, y, bins=bins, threads=threads)
            }
            tools["read"] = functools.partial(_read, p, y, workers)
            if case.numpy:
                tools["numpy"] = functools.partial(case.numpy, p, y, bins=bins)
                _agree(case, "numpy", tools["numpy"](), tools["calibfast"](), 1e-5)
            for peer in installed(case.peers) if peers else ():
                few = p[:CHECKED_ROWS], y[:CHECKED_ROWS], bins
                _agree(case, peer.package, peer.work(*few)(), peer.ours(*few), peer.tolerance)
                tools[peer.package] = peer.work(p, y, bins)
            medians = _medians({name: tool for name, tool in tools.items() if expected.get(name, 0) * rows < PATIENCE})
            expected = {name: seconds / rows for name, seconds in medians.items()} | {
                name: expected[name] for name in expected if name not in medians
            }
            ours = medians.pop("calibfast")
            yield Timing(
                case.name,
                rows,
                ours * 1e9 / (rows * case.width),
                {name: seconds / ours for name, seconds in medians.items()},
            )


def _medians(tools: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of each, one after the other in every round, after a run that is not counted."""
    timers = {name: timeit.Timer(tool) for name, tool in tools.items()}
    first = {name: timer.timeit(1) for name, timer in timers.items()}
    times: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            if first[name] * (1 + len(times[name])) < PATIENCE:
                calls = math.ceil(A_TURN / first[name])
                times[name].append(timer.timeit(calls) / calls)
    return {name: float(np.median(taken or first[name])) for name, taken in times.items()}


def _agree(case: Case, name: str, theirs: float, ours: float, tolerance: float) -> None:
    if not abs(ours - theirs) <= tolerance:
        raise CalibfastError(f"{case.name}: calibfast says {ours}, {name} says {theirs}")


def _read(p: NDArray[Any], y: NDArray[Any], threads: int) -> int:
    """The sum of all bytes, taken as integers: what reading them costs at least."""

    def total(part: NDArray[Any]) -> int:
        return int(part.sum(dtype=np.uint64))

    words = [array.reshape(-1).view(np.uint8) for array in (p, y)]
    whole = [array[: len(array) // 8 * 8].view(np.uint64) for array in words]
    if p.nbytes < _WORTH_A_THREAD:
        return sum(map(total, whole))
    parts = [part for array in whole for part in np.array_split(array, threads)]
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(total, parts))
