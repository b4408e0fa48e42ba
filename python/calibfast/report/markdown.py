"""Models as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from calibfast.report.definitions import DEFINITIONS, FURTHER_NAMES
from calibfast.report.reading import compared, harm, p_text, reading
from calibfast.report.render import METRICS
from calibfast.report.table import NAMES, bin_labels, interval_of, number, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from calibfast.metrics import Report
    from calibfast.report.study import Studies, Study


def markdown(studies: Studies) -> str:
    """What the page says, without its charts; text from files is no markup."""
    lines = [f"# Calibration of {plain(', '.join(study.name for study in studies.models))}", ""]
    if studies.comparisons:
        lines += _side_by_side(studies)
    for study in studies.models:
        lines += _model(study)
    return "\n".join(lines).rstrip("\n") + "\n"


def _side_by_side(studies: Studies) -> list[str]:
    first, *others = studies.models
    found = studies.comparisons
    lines = ["## Side by side", "", *(f"- {plain(compared(name, first.name, found[name]))}" for name in found), ""]
    heads = ["metric", plain(first.name)]
    for other in others:
        heads += [plain(other.name), "difference", "95% interval", "p"]
    rows = []
    for metric in METRICS:
        row = [NAMES[metric], number(getattr(first.report, metric))]
        for other in others:
            row.append(number(getattr(other.report, metric)))
            part = found[other.name].metrics.get(metric)
            if part is None or part.low is None or part.high is None or part.p_value is None:
                row += ["", "", ""]
            else:
                row += [f"{part.difference:+.4f}", f"{part.low:+.4f} to {part.high:+.4f}", p_text(part.p_value)]
        if any(row[1:]):
            rows.append(row)
    return [*lines, *table_lines(heads, rows), ""]


def _model(study: Study) -> list[str]:
    report = study.report
    lines = [f"## {plain(study.name)}", "", f"{plain(study.source)}; {size_of(report)}", ""]
    lines += [*(f"- {plain(said)}" for said in reading(study)), ""]
    lines += [*table_lines(["metric", "value", "95% interval", "base rate", "is"], _metrics(report)), ""]
    bins = zip(bin_labels(report.reliability), report.reliability, strict=True)
    rows = [[label, f"{part.count:,}", number(part.confidence), number(part.accuracy)] for label, part in bins]
    lines += [*table_lines(["bin", "rows", "mean confidence", "accuracy"], rows), ""]
    if report.groups:
        groups = [
            [plain(name), f"{part.n:,}", *(number(getattr(part, metric)) for metric in _OF_A_GROUP), f"{share:.1%}"]
            for (name, share) in harm(report).items()
            for part in (report.groups[name],)
        ]
        heads = ["group", "rows", *(NAMES[metric] for metric in _OF_A_GROUP), "harm (share of rows x conf-ECE)"]
        lines += [*table_lines(heads, groups), ""]
    return lines


_OF_A_GROUP = ("mean_confidence", "accuracy", "conf_ece", "brier")


def _metrics(report: Report) -> Iterable[list[str]]:
    for metric, definition in DEFINITIONS.items():
        value = report.metrics[metric] if metric in FURTHER_NAMES else getattr(report, metric)
        if value is not None:
            name = NAMES.get(metric) or FURTHER_NAMES[metric]
            method = f" Interval: {report.ci_method[metric]}." if metric in report.ci_method else ""
            base = number(report.base_rate.get(metric))
            yield [name, number(value), interval_of(report, metric), base, plain(definition + method)]


def table_lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; all columns but the first, and one headed "is", are numbers."""
    aligned = ["---", *("---:" if head != "is" else "---" for head in heads[1:])]
    return ["| " + " | ".join(cells) + " |" for cells in (heads, aligned, *rows)]


def plain(text: str) -> str:
    """Text that Markdown and HTML take for nothing else."""
    return re.sub(r"([\\`*_\[\]#+!|<>~&])", r"\\\1", " ".join(text.split()))
