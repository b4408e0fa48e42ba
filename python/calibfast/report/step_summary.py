"""Reports and checks as Markdown, for the summary page of a step of GitHub Actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibfast.report.markdown import plain, table_lines
from calibfast.report.table import NAMES, interval_of, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibfast.metrics import Report
    from calibfast.report.checks import Check

_SHOWN = ("accuracy", "mean_confidence", "conf_ece", "brier", "nll")


def step_summary(reports: Mapping[str, Report], checks: Sequence[Check], name: str) -> str:
    """A table with a row for each report and its groups, then the checks; text from files is no markup.

    Args:
        reports: By task; one of a file as a whole has an empty name.
        checks: The checks.
        name: What was measured, say the file.
    """
    rows = []
    for task, report in reports.items():
        for group, part in {"": report, **report.groups}.items():
            values = [number(getattr(part, metric)) for metric in _SHOWN]
            title = ", ".join(filter(None, (task, group))) or "all"
            rows.append([plain(title), f"{part.n:,}", *values, interval_of(part, "conf_ece")])
    heads = ["", "rows", *(NAMES[metric] for metric in _SHOWN), "conf-ECE, 95%"]
    lines = [f"### Calibration of {plain(name)}", "", *table_lines(heads, rows), ""]
    for check in checks:
        sign = "❌" if check.failed else "❔" if check.undecided else "✅"
        lines.append(f"- {sign} {plain(str(check))}")
    return "\n".join(lines).rstrip("\n") + "\n\n"
