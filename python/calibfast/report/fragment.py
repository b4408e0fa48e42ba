"""A report in a notebook: what it says, its charts and its metrics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from calibfast.report import charts
from calibfast.report.render import METRICS
from calibfast.report.table import NAMES, interval_of, number, sentence, size_of

if TYPE_CHECKING:
    from calibfast.metrics import Report

_STYLE = """
.calibfast { color-scheme: light dark; color: var(--ink); background: var(--paper); }
.calibfast { padding: 1em 1.2em; max-width: 60em; }
.calibfast .side { display: grid; grid-template-columns: repeat(auto-fit, minmax(16em, 1fr)); gap: 1.5em 2em; }
.calibfast .side { margin: 1em 0; }
.calibfast p { margin: 0; }
.calibfast table { border-collapse: collapse; font-size: .9em; background: none; color: inherit; }
.calibfast :is(th, td) { text-align: right; padding: .2em 0 .2em 2em; border: 0; background: none; }
.calibfast tr > :first-child { text-align: left; padding-left: 0; }
"""


def fragment(report: Report) -> str:
    """A report as HTML to stand in other HTML, without script; it needs NumPy and Typer alone."""
    style = (Path(__file__).parent / "charts.css").read_text(encoding="utf-8") + _STYLE
    histogram = charts.histogram(report.reliability, accuracy=report.accuracy, mean_confidence=report.mean_confidence)
    rows = "".join(
        f'<tr><th scope="row">{NAMES[metric]}</th><td>{number(getattr(report, metric))}</td>'
        f"<td>{interval_of(report, metric)}</td><td>{number(report.base_rate.get(metric))}</td></tr>"
        for metric in METRICS
        if getattr(report, metric) is not None
    )
    return (
        f'<div class="calibfast"><style>{style}</style><p><b>{sentence(report)}</b></p><p>{size_of(report)}</p>'
        f'<div class="side">{charts.confidence_diagram(report)}{histogram}</div>'
        "<table><thead><tr><th>metric</th><th>value</th><th>95% interval</th><th>base rate</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
