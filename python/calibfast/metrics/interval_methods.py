"""The intervals of a report's metrics, each by the construction that its law asks for."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibfast import _core
from calibfast.errors import CalibfastWarning, InputError
from calibfast.metrics.hybrid_resampling import BinCounts, invert, rivals
from calibfast.metrics.residual_cells import normal_cells
from calibfast.metrics.sample import FEWEST, Sample
from calibfast.metrics.score_intervals import skew_corrected, student_quantile, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibfast.metrics.accumulator import Norm

    Floats = NDArray[np.float64]

HYBRID = "hybrid resampling (Chuang & Lai 2000)"
SKEW = "normal with skewness correction (Hall 1992)"
WILSON = "Wilson 1927"
DELONG = "DeLong 1988 on logits, Student's quantiles (Brunner & Munzel 2000)"

_BINNED: dict[str, Norm] = {"conf_ece": "l1", "rmsce": "l2", "mce": "max"}
_MEANS = ("mean_confidence", "signed_gap", "brier", "nll")
_WHICH_IS_WORST = "MCE's interval is conservative, it holds the truth 98 to 100 times of 100"
_RANGES = {
    "accuracy": (0.0, 1.0),
    "mean_confidence": (0.0, 1.0),
    "signed_gap": (-1.0, 1.0),
    "brier": (0.0, 2.0),
    "nll": (0.0, math.inf),
    "aurc": (0.0, 1.0),
}
KNOWN = ("accuracy", *_MEANS, *_BINNED, "cw_ece", "auroc", "aurc")
"""Metrics of a report that have an interval of their own."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        estimate: The metric itself. As binned errors are biased upwards, it can lie above the interval of what it
            estimates.
        level: How often such intervals hold the true value.
        method: How the interval is made.
    """

    low: float
    high: float
    estimate: float
    level: float
    method: str


@dataclass(frozen=True)
class Setting:
    """How intervals are made.

    Raises:
        InputError: The level or the number of replicates makes no sense.
    """

    level: float = 0.95
    replicates: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InputError(f"level is between 0 and 1, got {self.level}")
        if self.replicates < 100:
            raise InputError(f"replicates is at least 100, got {self.replicates}")


def known_interval(sample: Sample, name: str, setting: Setting) -> Interval:
    """The interval of a metric of `KNOWN`.

    Raises:
        InputError: The metric is undefined for these rows, or infinite.
    """
    simple = sample.weights is None and sample.clusters is None
    if name == "accuracy" and simple:
        low, high = wilson(float(sample.correct.mean()), len(sample.correct), setting.level)
        return Interval(low, high, float(sample.correct.mean()), setting.level, WILSON)
    if name == "auroc":
        return _auroc(sample, setting)
    if name == "aurc":
        return _normal(sample, name, *sample.aurc(), setting)
    if name == "cw_ece" and sample.rows.form == "confidence":
        raise InputError("cw-ECE needs the probabilities of all options, got confidences alone")
    if name in _BINNED and simple:
        state = _core.State(sample.bins, norm=_BINNED[name])
        state.update(sample.rows.values, sample.rows.labels, form=sample.rows.form, mask=sample.rows.mask)
        return from_bins(_BINNED[name], *state.bins(), setting)
    if name in _BINNED or name == "cw_ece":
        return _from_residuals(sample, name, setting)
    return _mean(sample, name, setting)


def from_bins(norm: Norm, count: NDArray[np.int64], accuracy: Floats, confidence: Floats, setting: Setting) -> Interval:
    """The interval of ECE, RMSCE or MCE from the bins' counts, accuracies and mean confidences."""
    cells = BinCounts(count, accuracy, confidence, norm=norm, replicates=setting.replicates, seed=setting.seed)
    rows = int(count.sum())
    if norm == "max" and (others := rivals(cells)):
        warn(f"{_WHICH_IS_WORST}: {others + 1} of its bins may be the worst")
    if norm != "max" and rows < 200:
        warn(f"the interval of a binned error is conservative below 200 rows, and here are {rows}")
    return Interval(*invert(cells, setting.level), cells.estimate, setting.level, HYBRID)


def warn(message: str) -> None:
    """Warn whoever called the library."""
    warnings.warn(message, CalibfastWarning, stacklevel=5)


def _from_residuals(sample: Sample, name: str, setting: Setting) -> Interval:
    residuals = sample.residuals(classwise=name == "cw_ece").compact()
    if sample.units < 20 * residuals.width:
        what = "rows" if sample.clusters is None else "clusters"
        warn(
            f"{name}: the rows say as much as {sample.units:.0f} {what} of one weight, for {residuals.width} classes x "
            "bins; with fewer than twenty for each, its 95% interval covers 92 to 99"
        )
    cells = normal_cells(
        residuals, _BINNED.get(name, "l1"), sample.weights, sample.clusters, setting.replicates, setting.seed
    )
    if name == "mce" and (others := rivals(cells)):
        warn(f"{_WHICH_IS_WORST}: {others + 1} of its bins may be the worst")
    return Interval(*invert(cells, setting.level), cells.estimate, setting.level, f"{HYBRID}, normal cells")


def _mean(sample: Sample, name: str, setting: Setting) -> Interval:
    values = sample.values(name)
    if not np.isfinite(values).all():
        raise InputError(f"{name} is infinite: a row gives its outcome probability 0, and no interval holds that")
    w = np.ones(len(values)) if sample.weights is None else sample.weights
    total = float(w.sum())
    estimate = float((w * values).sum()) / total
    return _normal(sample, name, estimate, w * (values - estimate) / total, setting)


def _normal(sample: Sample, name: str, estimate: float, influence: Floats, setting: Setting) -> Interval:
    influence = sample.by_unit(influence)
    if np.abs(influence).max() <= 1e-14:  # rounding apart, zero
        warn(f"all rows have the same {name}: its interval has no width, which no {len(influence)} rows can prove")
    least, most = _RANGES[name]
    units = sample.units
    if sample.weights is not None and units < 200:
        warn(
            f"{name}: with these weights the rows say as much as {units:.0f}; below 200 its 95% interval covers some 92"
        )
    low, high = skew_corrected(estimate, influence, setting.level, units)
    return Interval(max(low, least), min(high, most), estimate, setting.level, SKEW)


def _auroc(sample: Sample, setting: Setting) -> Interval:
    estimate, influence = sample.auroc()
    right = sample.correct > 0
    few = int(min(right.sum(), (~right).sum()))
    if few < FEWEST:
        warn(f"AUROC's interval rests on {few} rows of the rarer outcome; trust it from {FEWEST}")
    kinds = [influence[right], influence[~right]] if sample.clusters is None else [sample.by_unit(influence)]
    size = np.array([len(kind) for kind in kinds])
    variance = np.array([(kind**2).sum() for kind in kinds]) * size / np.maximum(size - 1, 1)
    error = math.sqrt(float(variance.sum()))
    if few < 2 or not 0 < estimate < 1 or error == 0:
        low, high = wilson(estimate, few, setting.level)
        return Interval(low, high, estimate, setting.level, f"{WILSON} on the rarer outcome")
    # As many degrees as two variances have that are estimated from few rows (Welch & Satterthwaite).
    degrees = error**4 / float((variance**2 / (size - 1)).sum())
    half = student_quantile(setting.level, degrees) * error / (estimate * (1 - estimate))
    low, high = (1 / (1 + math.exp(-math.log(estimate / (1 - estimate)) - side)) for side in (-half, half))
    return Interval(low, high, estimate, setting.level, DELONG)
