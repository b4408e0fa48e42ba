"""docs/results/benchmark.md from what `calibfast bench --peers --format json` printed.

python benches/benchmark_page.py benches/results/MACHINE.json
"""

import json
import sys
from pathlib import Path

from calibfast.benchmark import Timing

ROOT = Path(__file__).parents[1]
HEAD = """# Benchmark

calibfast beside the fastest plain NumPy known to us (one weighted `bincount`, one thread; the usual `np.digitize`
with three counts takes about 4.5 times as long) and beside other packages, one after the other in the same run, each
result compared before it is timed. calibfast's time is in nanoseconds per number read; every other column is how many
times as long it took. *read* sums the same bytes by as many threads: nothing that looks at each number can be faster
than that, and so *ceiling*, NumPy's time over that of *read*, is the most that the column *numpy* could show. Short
calls are repeated for twenty milliseconds. Times vary with the machine and its load; quote ratios.

<!-- not run: it takes minutes; tests/cli/test_bench.py runs small sizes -->
```sh
calibfast bench --peers --sizes {sizes}
```

![How many times as long others took](benchmark.png)
"""


def page(path: Path) -> str:
    """The page of one machine."""
    found = json.loads(path.read_text(encoding="utf-8"))
    timings = [Timing(**timing) for timing in found["timings"]]
    numbers = sorted({t.rows for t in timings if t.case.endswith("confidences")})
    sizes = ",".join(f"{n:.0e}".replace("e+0", "e") for n in numbers)
    others = list(dict.fromkeys(name for t in timings for name in t.times))
    lines = [
        HEAD.format(sizes=sizes),
        ", ".join(f"{name} {value}" for name, value in found["machine"].items()) + ".",
        "",
    ]
    lines += ["| " + " | ".join(["work", "rows", "calibfast, ns", *others, "ceiling"]) + " |"]
    lines += ["|---" * (4 + len(others)) + "|"]
    for t in timings:
        times = [f"{time:.3g}" if time else "" for time in (*map(t.times.get, others), t.ceiling)]
        lines.append("| " + " | ".join([t.case, f"{t.rows:,}", f"{t.calibfast:.3g}", *times]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "results" / "benchmark.md").write_text(page(Path(sys.argv[1])), encoding="utf-8")
