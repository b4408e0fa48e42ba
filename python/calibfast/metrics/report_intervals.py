"""The 95% intervals of a report: two that its state gives at no cost, and those of all its metrics, over the rows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from calibfast.errors import InputError
from calibfast.metrics.interval_methods import KNOWN, WILSON, Setting, known_interval
from calibfast.metrics.sample import FEWEST, Sample
from calibfast.metrics.score_intervals import normal_quantile, wilson

if TYPE_CHECKING:
    from calibfast.metrics.report import Report
    from calibfast.metrics.rows import Rows

_LEVEL = 0.95


def state_intervals(
    n: int, accuracy: float, signed_gap: float, spread: float
) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """Wilson (1927) for the accuracy; normal for the mean of confidence - correct, whose mean square is `spread`."""
    ci, method = {"accuracy": wilson(accuracy, n, _LEVEL)}, {"accuracy": WILSON}
    if n > 1:
        error = normal_quantile(_LEVEL) * math.sqrt(max(0.0, spread - signed_gap**2) / (n - 1))
        ci["signed_gap"], method["signed_gap"] = (signed_gap - error, signed_gap + error), "normal"
    return ci, method


def with_intervals(report: Report, rows: Rows, bins: int | list[float]) -> Report:
    """The report with an interval for each of its metrics that has one; see `calibfast.interval`.

    A metric that is undefined or infinite has none; with fewer rows than an interval needs, the report stays as it is.
    """
    if len(rows.predictions.labels) < FEWEST:
        return report
    sample, setting = Sample.of(rows, bins), Setting(_LEVEL)
    ci, method = {}, {}
    for name in KNOWN:
        try:
            found = known_interval(sample, name, setting)
        except InputError:
            continue
        ci[name], method[name] = (found.low, found.high), found.method
    return replace(report, ci=ci, ci_method=method)
