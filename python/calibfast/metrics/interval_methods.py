"""The intervals of a report's metrics, each by the construction that its law asks for."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibfast import _core
from calibfast.errors import CalibfastWarning, InputError
from calibfast.metrics.hybrid_resampling import BinCounts, invert
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
DELONG = "DeLong 1988 on logits"

_BINNED: dict[str, Norm] = {"conf_ece": "l1", "rmsce": "l2", "mce": "max"}
_MEANS = ("mean_confidence", "signed_gap", "brier", "nll")
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
    """How intervals are made."""

    level: float = 0.95
    replicates: int = 1000
    seed: int = 0


def interval(self, name: str, setting: Setting) -> Interval:
    """The interval of a metric of `KNOWN`.

    Raises:
        InputError: The metric is undefined for these rows, or infinite.
    """
    simple = self.weights is None and self.clusters is None
    if name == "accuracy" and simple:
        low, high = wilson(float(self.correct.mean()), len(self.correct), setting.level)
        return Interval(low, high, float(self.correct.mean()), setting.level, WILSON)
    if name == "auroc":
        return self._auroc(setting)
    if name == "aurc":
        return self._normal(name, *self.aurc(), setting)
    if name == "cw_ece" and self.rows.form == "confidence":
        raise InputError("cw-ECE needs the probabilities of all options, got confidences alone")
    if name in _BINNED and simple:
        state = _core.State(self.bins, norm=_BINNED[name])
        state.update(self.rows.values, self.rows.labels, form=self.rows.form, mask=self.rows.mask)
        return from_bins(_BINNED[name], *state.bins(), setting)
    if name in _BINNED or name == "cw_ece":
        residuals = self.residuals(classwise=name == "cw_ece").compact()
        if len(self.correct) < 10 * residuals.width:
            _warn(
                f"{name}: {len(self.correct)} rows for {residuals.width} classes x bins; with fewer than ten for "
                "each, its 95% interval covers some 92"
            )
        cells = normal_cells(
            residuals, _BINNED.get(name, "l1"), self.weights, self.clusters, setting.replicates, setting.seed
        )
        return Interval(*invert(cells, setting.level), cells.estimate, setting.level, f"{HYBRID}, normal cells")
    return self._mean(name, self.values(name), setting)


def _mean(self, name: str, values: Floats, setting: Setting) -> Interval:
    if not np.isfinite(values).all():
        raise InputError(f"{name} is infinite: a row gives its outcome probability 0, and no interval holds that")
    w = np.ones(len(values)) if self.weights is None else self.weights
    total = float(w.sum())
    estimate = float((w * values).sum()) / total
    influence = w * (values - estimate) / total
    return self._normal(name, estimate, influence, setting)

def _normal(self, name: str, estimate: float, influence: Floats, setting: Setting) -> Interval:
    if self.clusters is not None:
        influence = np.bincount(self.clusters, weights=influence).astype(np.float64)
    if np.abs(influence).max() <= 1e-14:  # rounding apart, zero
        _warn(f"all rows have the same {name}: its interval has no width, which no {len(influence)} rows can prove")
    least, most = _RANGES[name]
    low, high = skew_corrected(estimate, influence, setting.level)
    return Interval(max(low, least), min(high, most), estimate, setting.level, SKEW)


def _auroc(self, setting: Setting) -> Interval:
    estimate, influence = self.auroc()
    few = int(min(self.correct.sum(), (1 - self.correct).sum()))
    if few < FEWEST:
        _warn(f"AUROC's interval rests on {few} rows of the rarer outcome; trust it from {FEWEST}")
    if self.clusters is not None:
        influence = np.bincount(self.clusters, weights=influence).astype(np.float64)
    error = normal_quantile(setting.level) * math.sqrt(float((influence**2).sum()))
    if not 0 < estimate < 1 or error == 0:
        low, high = wilson(estimate, few, setting.level)
        return Interval(low, high, estimate, setting.level, f"{WILSON} on the rarer outcome")
    center, half = math.log(estimate / (1 - estimate)), error / (estimate * (1 - estimate))
    low, high = (1 / (1 + math.exp(-x)) for x in (center - half, center + half))
    return Interval(low, high, estimate, setting.level, DELONG)


def from_bins(norm: Norm, count: NDArray[np.int64], accuracy: Floats, confidence: Floats, setting: Setting) -> Interval:
    """The interval of ECE, RMSCE or MCE from the bins' counts, accuracies and mean confidences."""
    cells = BinCounts(count, accuracy, confidence, norm=norm, replicates=setting.replicates, seed=setting.seed)
    fewest = int(count[count > 0].min())
    if norm == "max" and fewest < 30:
        _warn(f"MCE's interval is conservative: one of its bins has {fewest} rows; use fewer bins, or equal-mass ones")
    return Interval(*invert(cells, setting.level), cells.estimate, setting.level, HYBRID)


def warn(message: str) -> None:
    """Warn whoever called the library."""
    warnings.warn(message, CalibfastWarning, stacklevel=4)
