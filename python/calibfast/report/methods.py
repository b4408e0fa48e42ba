"""What methods gave over seeds, in domain and out of it, as a table, JSON, CSV or LaTeX."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from statistics import mean, stdev
from textwrap import fill
from typing import TYPE_CHECKING, Literal

from calibfast.report.latex import escape
from calibfast.report.rows import render_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

Domain = Literal["in", "out"]
MethodsFormat = Literal["table", "json", "csv", "latex"]

MEASURED = ("conf_ece", "cw_ece", "accuracy", "nll", "brier")
_SHOWN = {"conf_ece": "conf-ECE", "cw_ece": "cw-ECE", "accuracy": "accuracy"}
_DOMAINS: dict[Domain, str] = {"in": "in domain", "out": "out of domain"}
_WIDE = 1000
"""Columns: numbers that are cut or folded say nothing, so the table is as wide as it must be."""


@dataclass(frozen=True)
class MethodRow:
    """One method in one domain.

    Attributes:
        method: Its name.
        domain: `in` or `out`.
        questions: Test questions of each seed.
        values: For each metric of `MEASURED`, a value for each seed, or one where seeds decide nothing.
        scaled: Whether the predictions are another row's at a temperature, which leaves their accuracy unchanged.
        reference: Whether it is shown for comparison alone, and is never the best.
    """

    method: str
    domain: Domain
    questions: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    scaled: bool = False
    reference: bool = False

    def mean(self, metric: str) -> float:
        """Mean over the seeds."""
        return mean(self.values[metric])

    def deviation(self, metric: str) -> float | None:
        """Sample standard deviation over the seeds, or None for one value."""
        values = self.values[metric]
        return stdev(values) if len(values) > 1 else None

    def to_dict(self) -> dict[str, object]:
        """Names, means and deviations."""
        row: dict[str, object] = {"method": self.method, "domain": self.domain, "questions": mean(self.questions)}
        for metric in MEASURED:
            row |= {metric: self.mean(metric), f"{metric}_deviation": self.deviation(metric)}
        return row


def render_methods(
    rows: Sequence[MethodRow],
    format: MethodsFormat = "table",  # noqa: A002
    *,
    seeds: Sequence[int],
    bins: int,
    color: bool = False,
) -> str:
    """Rows as text that ends with a newline.

    The best mean of each column is bold, but for rows that are shown for comparison alone, and for accuracies that are
    marked `=`: those of the row without the temperature.

    Args:
        rows: At least one, domain by domain.
        format: "table" and "latex" (which needs the package booktabs) show conf-ECE, cw-ECE and accuracy, as means and
            sample standard deviations over seeds. "json" and "csv" have all of `MEASURED`, with every digit.
        seeds: For the caption.
        bins: For the caption.
        color: Whether the table has escape codes; without them a star stands for bold.
    """
    if format == "csv":
        return render_rows([row.to_dict() for row in rows], "csv")
    if format == "json":
        facts = {"seeds": list(seeds), "bins": bins, "rows": [row.to_dict() | {"by_seed": row.values} for row in rows]}
        return json.dumps(facts, indent=2, allow_nan=False) + "\n"
    found = _Grid(rows, seeds, bins)
    return found.latex() if format == "latex" else found.table(color=color)


class _Grid:
    """Methods down, metrics of each domain across."""

    def __init__(self, rows: Sequence[MethodRow], seeds: Sequence[int], bins: int) -> None:
        self._rows = {(row.method, row.domain): row for row in rows}
        self._methods = list(dict.fromkeys(row.method for row in rows))
        self._domains = list(dict.fromkeys(row.domain for row in rows))
        sizes = [next(row for row in rows if row.domain == domain).questions for domain in self._domains]
        tested = ", ".join(
            f"{min(size):,}{'' if min(size) == max(size) else f' to {max(size):,}'} {_DOMAINS[domain]}"
            for domain, size in zip(self._domains, sizes, strict=True)
        )
        many = len(seeds) > 1
        over = "mean ± sample standard deviation over seeds" if many else "seed"
        self._caption = f"Test questions: {tested}; {over} {', '.join(map(str, seeds))}; {bins} bins; best in bold"
        if any(row.scaled for row in rows):
            self._caption += "; = unchanged by the temperature"
        self._best = {
            (domain, metric): (max if metric == "accuracy" else min)(
                row.mean(metric) for row in rows if row.domain == domain and not row.reference
            )
            for domain in self._domains
            for metric in _SHOWN
        }

    def cell(self, method: str, domain: Domain, metric: str) -> tuple[str, str, bool]:
        """Mean, what follows it, and whether it is the best."""
        row = self._rows[method, domain]
        unchanged = row.scaled and metric == "accuracy"
        deviation = row.deviation(metric)
        after = "" if deviation is None else f" ± {_number(deviation)}"
        best = row.mean(metric) == self._best[domain, metric] and not row.reference and not unchanged
        return _number(row.mean(metric)), after + (" =" if unchanged else ""), best

    def table(self, *, color: bool) -> str:
        """For a terminal."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        grid = Table(box=SIMPLE_HEAD, pad_edge=False)
        grid.add_column("\nmethod")
        for domain in self._domains:
            for place, name in enumerate(_SHOWN.values()):
                grid.add_column(f"{_DOMAINS[domain] if place == 0 else ''}\n{name}", no_wrap=True)
        for method in self._methods:
            cells = [self.cell(method, domain, metric) for domain in self._domains for metric in _SHOWN]
            texts = [
                Text.assemble((mean, "bold" if best else ""), "*" if best and not color else "", after)
                for mean, after, best in cells
            ]
            grid.add_row(Text(method), *texts)
        text = io.StringIO()
        console = Console(
            file=text,
            width=_WIDE,
            force_terminal=color,
            color_system="standard" if color else None,
            highlight=False,
            legacy_windows=False,
        )
        console.print(grid)
        table = "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip("\n")
        caption = self._caption if color else self._caption.replace("in bold", "marked *")
        return f"{table}\n\n{fill(caption, 100)}\n"

    def latex(self) -> str:
        """For a paper."""
        columns = len(_SHOWN)
        across = [rf"\multicolumn{{{columns}}}{{c}}{{{_DOMAINS[domain]}}}" for domain in self._domains]
        lines = [
            r"\begin{tabular}{l" + "c" * columns * len(self._domains) + "}",
            r"\toprule",
            " & ".join(["", *across]) + r" \\",
            " & ".join(["method", *(name for _ in self._domains for name in _SHOWN.values())]) + r" \\",
            r"\midrule",
        ]
        for method in self._methods:
            cells = [self.cell(method, domain, metric) for domain in self._domains for metric in _SHOWN]
            texts = [(rf"\textbf{{{mean}}}" if best else mean) + after for mean, after, best in cells]
            lines.append(" & ".join([escape(method), *texts]) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", f"% {self._caption}"]
        return "\n".join(lines).replace("±", r"$\pm$") + "\n"


def _number(value: float) -> str:
    """Three decimals, without the zero before them."""
    return f"{value:.3f}".removeprefix("0") if value >= 0 else f"{value:.3f}"
