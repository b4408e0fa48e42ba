"""Models as a LaTeX table, and text that LaTeX takes as it is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibfast.report.render import METRICS
from calibfast.report.table import NAMES, size_of

if TYPE_CHECKING:
    from calibfast.report.study import Studies

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def escape(text: str) -> str:
    """Text without what LaTeX would take for a command."""
    return "".join(_ESCAPED.get(character, character) for character in text)


def latex(studies: Studies) -> str:
    """Metrics down, models across with 95% intervals, and each further model's difference to the first.

    It needs the package booktabs.
    """
    first, *others = studies.models
    heads = [escape(first.name), *(head for each in others for head in (escape(each.name), "difference"))]
    lines = [
        r"\begin{tabular}{l" + "r" * len(heads) + "}",
        r"\toprule",
        " & ".join(["metric", *heads]) + r" \\",
        r"\midrule",
    ]
    for metric in METRICS:
        if getattr(first.report, metric) is None:
            continue
        cells = [_cell(getattr(first.report, metric), first.report.ci.get(metric))]
        for each in others:
            part = studies.comparisons[each.name].metrics.get(metric)
            cells.append(_cell(getattr(each.report, metric), each.report.ci.get(metric)))
            if part is None or part.low is None or part.high is None:
                cells.append("")
            else:
                cells.append(_cell(part.difference, (part.low, part.high), "+"))
        lines.append(" & ".join([NAMES[metric], *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [f"% {study.name}: {size_of(study.report)}, {study.report.bins} bins" for study in studies.models]
    return "\n".join(lines) + "\n"


def _cell(value: float, interval: tuple[float, float] | None, sign: str = "") -> str:
    ends = "" if interval is None else " {\\scriptsize [" + ", ".join(f"${end:{sign}.4f}$" for end in interval) + "]}"
    return f"${value:{sign}.4f}$".replace("inf", r"\infty") + ends
