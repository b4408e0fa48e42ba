"""The numbers of a report that go where others are logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calibfast.metrics import Report

NAMES = ("conf_ece", "cw_ece", "accuracy", "nll", "brier")


def numbers(report: Report) -> dict[str, float]:
    """Calibration errors, and beside them what a constant guess does not win; without what has no meaning."""
    found = {name: getattr(report, name) for name in NAMES}
    return {name: value for name, value in found.items() if value is not None}
