"""Reports held against thresholds, as a pipeline does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibfast.errors import InputError
from calibfast.report.render import METRICS
from calibfast.report.table import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calibfast.metrics import Report


@dataclass(frozen=True)
class Check:
    """A metric that should not be above a threshold.

    Attributes:
        row: The task or group that it is of; empty for a file as a whole.
        metric: Its name, as in the JSON of a report.
        value: What it is.
        interval: Its 95% interval, where that decides.
        threshold: What it should not be above.
    """

    row: str
    metric: str
    value: float
    interval: tuple[float, float] | None
    threshold: float

    @property
    def failed(self) -> bool:
        """Whether the value is above the threshold; where there is an interval, whether all of it is."""
        return (self.value if self.interval is None else self.interval[0]) > self.threshold

    def __str__(self) -> str:
        said = f"{NAMES.get(self.metric, self.metric)} {self.value:.6g}"
        if self.interval is not None:
            said += f" (95% interval {self.interval[0]:.6g} to {self.interval[1]:.6g})"
        verdict = "is above" if self.failed else "is not above" if self.interval is None else "is not clearly above"
        return f"{self.row}: {said} {verdict} {self.threshold:g}".removeprefix(": ")


def check(reports: Mapping[str, Report], thresholds: Sequence[tuple[str, float]], *, ci: bool = False) -> list[Check]:
    """Hold reports and those of their groups against thresholds.

    Args:
        reports: By task; one of a file as a whole has an empty name.
        thresholds: Metrics and what they should not be above.
        ci: Whether the lower end of the 95% interval is compared instead of the value.

    Returns:
        A check for each report or group and each threshold. A group that lacks the metric has none.

    Raises:
        InputError: A report has no such metric, or it could not be measured, or it has no interval.

    Example:
        >>> import calibfast
        >>> report = calibfast.evaluate([0.9, 0.8, 0.7], [1, 0, 1])
        >>> print(check({"": report}, [("conf_ece", 0.05)])[0])
        conf-ECE 0.4 is above 0.05
    """
    return [
        found
        for task, report in reports.items()
        for metric, threshold in thresholds
        for found in _of_a_report(task, report, metric, threshold, ci)
    ]


def _of_a_report(task: str, report: Report, metric: str, threshold: float, ci: bool) -> Iterator[Check]:
    known = [*METRICS, *report.metrics]
    if metric not in known:
        raise InputError(f"there is no metric '{metric}' in the result; there are {', '.join(known)} (--metrics)")
    whole = _one(task, report, metric, threshold, ci)
    if whole is None:
        where = f"{task}: " if task else ""
        if ci and _value(report, metric) is not None:
            raise InputError(f"{where}{metric} has no interval; leave --ci out, or check {', '.join(report.ci)}")
        raise InputError(f"{where}{metric} could not be measured: {report.not_measured.get(metric, 'see the table')}")
    yield whole
    for group, part in report.groups.items():
        row = f"{task}, {group}".removeprefix(", ")
        if found := _one(row, part, metric, threshold, ci):
            yield found


def _one(row: str, report: Report, metric: str, threshold: float, ci: bool) -> Check | None:
    value, interval = _value(report, metric), report.ci.get(metric) if ci else None
    return None if value is None or (ci and interval is None) else Check(row, metric, value, interval, threshold)


def _value(report: Report, metric: str) -> float | None:
    value: float | None = getattr(report, metric) if metric in METRICS else report.metrics.get(metric)
    return value
