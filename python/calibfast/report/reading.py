"""What the numbers of a page say, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibfast.report.study import FOLDS
from calibfast.report.table import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibfast.metrics import Comparison, Report
    from calibfast.report.study import Study, Temperature


def reading(study: Study) -> list[str]:
    """Sentences on one model, the most important first."""
    report = study.report
    said = [sentence(report), _fullest_bin(report), _worth(report)]
    if study.temperature is not None:
        said.append(_temperature(report, study.temperature))
    if report.auroc is not None:
        said.append(_ranking(report, dict(study.risk_coverage)))
    if report.groups:
        name, share = next(iter(harm(report).items()))
        says = f"says {report.groups[name].mean_confidence:.0%}, right {report.groups[name].accuracy:.0%}"
        said.append(f"Of {len(report.groups):,} groups, {name} does the most harm ({share:.0%} of it): {says}.")
    return said


def compared(name: str, first: str, found: Comparison) -> str:
    """One sentence on a model beside the first."""
    parts = []
    for metric, words in (("conf_ece", "conf-ECE"), ("accuracy", "accuracy"), ("brier", "Brier score")):
        part = found.metrics[metric]
        if part.low is None or part.high is None or part.p_value is None:
            continue
        way = "lower" if part.difference < 0 else "higher"
        if part.low <= 0 <= part.high:
            parts.append(f"{words} not clearly different")
        else:
            low, high = sorted((abs(part.low), abs(part.high)))
            parts.append(f"{words} {way} by {abs(part.difference):.3f} ({low:.3f} to {high:.3f})")
    return f"{name} beside {first}, on the same {found.n:,} questions: {'; '.join(parts)}."


def p_text(p_value: float) -> str:
    """A p-value to three decimals."""
    return f"{p_value:.3f}" if p_value >= 0.0005 else "< 0.001"


def harm(report: Report) -> dict[str, float]:
    """Each group's share of all groups' rows times conf-ECE, the largest first."""
    whole = sum(part.n * part.conf_ece for part in report.groups.values()) or 1.0
    shares = {name: part.n * part.conf_ece / whole for name, part in report.groups.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _fullest_bin(report: Report) -> str:
    fullest = max(report.reliability, key=lambda part: part.count)
    share = fullest.count / sum(part.count for part in report.reliability)
    return (
        f"Most often ({share:.0%} of the rows) it says {fullest.lower:.0%} to {fullest.upper:.0%}, "
        f"and then it is right {fullest.accuracy:.0%} of the time."
    )


def _worth(report: Report) -> str:
    base = report.base_rate["brier"]
    assert base is not None
    than = "worse" if report.brier > base else "better" if report.brier < base else "no better"
    advice = ": taken at its word, it does harm" if report.brier > base else ""
    return (
        f"Its Brier score, {report.brier:.3f}, is {than} than the {base:.3f} of always saying "
        f"{report.accuracy:.0%}{advice}."
    )


def _temperature(report: Report, found: Temperature) -> str:
    better = found.conf_ece < report.conf_ece
    does = "brings" if better else "would take"
    return (
        f"A temperature of {found.temperature:.2f} {does} conf-ECE from {report.conf_ece:.3f} to "
        f"{found.conf_ece:.3f} on rows that it was not fitted on ({FOLDS}-fold), and leaves every answer as it is."
    )


def _ranking(report: Report, curve: Mapping[float, float]) -> str:
    half = min(curve, key=lambda coverage: abs(coverage - 0.5))
    return (
        f"Confidence ranks a right answer above a wrong one {report.auroc:.0%} of the time: of the surer half "
        f"{curve[half]:.0%} are wrong, of all {1 - report.accuracy:.0%}."
    )
