"""Time the metrics that need the rows, beside NumPy's sort of the same array.

    python benches/rows.py [ROWS]        # 10 million by default; writes docs/results/metrics-speed.md

Every result is checked against one computed another way before its time is written down.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import calibfast

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[1] / "docs" / "results" / "metrics-speed.md"
PAIRED = 100_000
BUDGET = 10  # times the sort
INTERVAL = 0.05  # seconds for an interval of 1,000 replicates from a state
REPEATS = 3


def seconds(work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> tuple[float, Any]:
    """The best of a few runs, and the result."""
    times, result = [], None
    for _ in range(REPEATS):
        began = clock()
        result = work()
        times.append(clock() - began)
    return min(times), result


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    rng = np.random.default_rng(0)
    # First, while the peak of memory is still low.
    before = peak_mb()
    pairs = []
    p = rng.dirichlet([0.5] * 4, PAIRED)
    y = np.array([rng.choice(4, p=row) for row in p])
    for name, work in [
        ("skce, 4 options", lambda: calibfast.skce(p, y)),
        ("skce, confidences", lambda: calibfast.skce(p.max(axis=1), p.argmax(axis=1) == y)),
        ("kde_ece, 4 options", lambda: calibfast.kde_ece(p, y)),
        ("kde_ece, confidences", lambda: calibfast.kde_ece(p.max(axis=1), p.argmax(axis=1) == y)),
    ]:
        began = time.perf_counter()
        result = work()
        # The rows are calibrated. The errors of the densities go with N^(-2 / (K + 3)).
        assert abs(result) < (1e-3 if name.startswith("skce") else 0.1), (name, result)
        pairs.append(f"| {name} | {time.perf_counter() - began:.1f} | {peak_mb() - before:.0f} |")
    lines, slow = [], []
    for dtype in (np.float32, np.float64):
        p = rng.random(rows).astype(dtype)
        y = rng.random(rows) < p**1.5
        gap = float(p.mean(dtype=np.float64)) - float(y.mean())
        sort, ordered = seconds(lambda p=p: np.sort(p))
        brier = float(np.mean((p.astype(np.float64) - y) ** 2))
        assert (ordered[1:] >= ordered[:-1]).all()
        # All residuals tend to one side, so these errors are that of the mean, or next to it.
        for name, work, check in [
            ("smece", lambda p=p, y=y: calibfast.smece(p, y), lambda e, g=gap: abs(e - g) < 1e-3),
            ("corp", lambda p=p, y=y: calibfast.corp(p, y), lambda e, b=brier: abs(e.score - b) < 1e-9),
            ("equal_mass_ece", lambda p=p, y=y: calibfast.equal_mass_ece(p, y), lambda e, g=gap: abs(e - g) < 1e-3),
            ("sweep_ece", lambda p=p, y=y: calibfast.sweep_ece(p, y), lambda e, g=gap: abs(e - g) < 1e-3),
            ("ks_error", lambda p=p, y=y: calibfast.ks_error(p, y), lambda e, g=gap: abs(e - g) < 1e-3),
            ("mmce", lambda p=p, y=y: calibfast.mmce(p, y), lambda e, g=gap: 0.5 * g < e < g),
            ("auroc", lambda p=p, y=y: calibfast.auroc(p, y), lambda e: 0.5 < e < 1),
        ]:
            best, result = seconds(work)
            assert check(result), (name, result)
            slow += [name] if best > BUDGET * sort else []
            lines.append(f"| {name} | {np.dtype(dtype)} | {best:.2f} | {sort:.2f} | {best / sort:.1f} |")
    intervals = []
    for bins in (10, 15, 100):
        cells = []
        for norm in ("l1", "l2", "max"):
            state = calibfast.CalibrationError(bins, norm=norm).update(p, y)
            best, found = seconds(lambda state=state: state.interval(replicates=1000), time.process_time)
            assert found.low < found.high
            assert found.estimate > gap - 1e-9, (bins, norm, found)
            slow += [f"interval of {norm} from {bins} bins"] if best > INTERVAL else []
            cells.append(f"{best * 1000:.0f}")
        intervals.append(f"| {bins} | {' | '.join(cells)} |")
    text = f"""# How fast the metrics over rows are

`python benches/rows.py`, which checks every result before it times it. {platform.machine()},
{len(os.sched_getaffinity(0))} processors, NumPy {np.__version__}, Python {platform.python_version()}.

{rows:,} rows, seconds (best of {REPEATS}), beside `np.sort` of the same array; the aim is below {BUDGET} times it.

| metric | type | seconds | np.sort | times |
|---|---|---|---|---|
{chr(10).join(lines)}

{PAIRED:,} rows, all pairs, in memory that grows with the rows alone: seconds, and MB of peak memory beyond what the
process had before.

| metric | seconds | MB |
|---|---|---|
{chr(10).join(pairs)}

Intervals from the state of {rows:,} rows, milliseconds of one processor; the aim is below {INTERVAL * 1000:.0f}. Each
inverts some thirty tests with 1,000 replicates each.

| bins | ECE | RMSCE | MCE |
|---|---|---|---|
{chr(10).join(intervals)}
"""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
