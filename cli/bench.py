"""`calibfast bench`: calibfast beside plain NumPy and other packages on this machine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calibfast.cli.output import Format, OutputFormat, write
from calibfast.errors import InputError

if TYPE_CHECKING:
    from calibfast.benchmark import Timing


def bench(
    sizes: Annotated[
        str, typer.Option(help="Numbers in each input (rows times options), with commas between.", metavar="N,...")
    ] = "1e3,1e5,1e7",
    peers: Annotated[
        bool, typer.Option("--peers", help="Also time other packages: torchmetrics, netcal, sklearn ... if installed.")
    ] = False,
    case: Annotated[str, typer.Option(help="Only the cases whose name holds this.", metavar="TEXT")] = "",
    bins: Annotated[int, typer.Option(help="Number of bins.", min=1)] = 10,
    threads: Annotated[int | None, typer.Option(help="Threads for calibfast (NumPy uses one).", min=1)] = None,
    format: OutputFormat = Format.table,  # noqa: A002
    plot: Annotated[Path | None, typer.Option(help="Also draw the ratios (.png, .pdf, .svg).", metavar="FILE")] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="An earlier --format json: exit with 1 if a ratio to NumPy has become worse.", metavar="JSON"
        ),
    ] = None,
) -> None:
    """Time calibfast, the best plain NumPy code and other packages side by side.

    Every case is checked to agree before it is timed. calibfast's time is in nanoseconds per number read, the other
    columns are how many times as long it took: read sums the same bytes with as many threads, and ceiling, NumPy's time
    over that of read, is the most that the column numpy could show. Times vary with the machine and its load, so the
    ratios are what to quote.

    calibfast bench --peers --sizes 1e3,1e6
    """
    from rich.console import Console
    from rich.progress import track

    from calibfast.benchmark import CASES, facts, run, slower
    from calibfast.report.rows import render_rows

    numbers, before = _sizes(sizes), _earlier(against) if against else []
    chosen = [each for each in CASES if case in each.name]
    if not chosen:
        raise typer.BadParameter(f"{case!r} is in none of {', '.join(c.name for c in CASES)}", param_hint="'--case'")
    timings = list(
        track(
            run(numbers, cases=chosen, bins=bins, threads=threads, peers=peers),
            total=len(chosen) * len(numbers),
            description="timing",
            console=Console(stderr=True),
            transient=True,
        )
    )
    machine = facts()
    if format is Format.json:
        write(json.dumps({"machine": machine, "timings": [asdict(timing) for timing in timings]}, indent=2) + "\n")
    else:
        others = list(dict.fromkeys(name for timing in timings for name in timing.times))
        rows = [
            {
                "case": t.case,
                "rows": t.rows,
                "calibfast_ns": t.calibfast,
                **{name: t.times.get(name) for name in others},
                "ceiling": t.ceiling,
            }
            for t in timings
        ]
        write(render_rows(rows, format.value))
        print(", ".join(f"{name} {value}" for name, value in machine.items()), file=sys.stderr)
    if plot is not None:
        from calibfast.benchmark.picture import draw

        draw(timings, plot)
    if lost := slower(timings, before):
        for line in lost:
            print(line, file=sys.stderr)
        raise typer.Exit(1)


def _sizes(text: str) -> list[int]:
    try:
        sizes = sorted({int(float(part)) for part in text.split(",")})
    except (ValueError, OverflowError):
        sizes = []
    if not sizes or sizes[0] < 1:
        raise typer.BadParameter(f"{text!r} is no list of numbers from 1, such as 1e3,1e6", param_hint="'--sizes'")
    return sizes


def _earlier(path: Path) -> list[Timing]:
    from calibfast.benchmark import Timing

    try:
        return [Timing(**timing) for timing in json.loads(path.read_text(encoding="utf-8"))["timings"]]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not what `calibfast bench --format json` prints") from None
