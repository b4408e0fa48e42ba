"""Confidence intervals that cover as often as they say.

Which construction a metric gets follows from its law, and `Interval.method` names it. `benches/coverage.py` measures
how often each covers; its table stands in docs/intervals.md.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from calibfast import _core
from calibfast.errors import CalibfastWarning, InputError
from calibfast.metrics.accumulator import to_bins
from calibfast.metrics.arrays import widened
from calibfast.metrics.hybrid_resampling import BinCounts, invert
from calibfast.metrics.residual_cells import Residuals, cell_of, class_residuals, normal_cells
from calibfast.metrics.row_draws import RowDraws
from calibfast.metrics.rows import Rows, read_rows
from calibfast.metrics.score_intervals import normal_quantile, skew_corrected, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from calibfast.metrics.accumulator import Norm
    from calibfast.metrics.arrays import Predictions

    Floats = NDArray[np.float64]
    Metric = Callable[..., float]

HYBRID = "hybrid resampling (Chuang & Lai 2000)"
SKEW = "normal with skewness correction (Hall 1992)"
WILSON = "Wilson 1927"
DELONG = "DeLong 1988 on logits"
BOOTSTRAP = "percentile bootstrap"

_BINNED: dict[str, Norm] = {"conf_ece": "l1", "rmsce": "l2", "mce": "max"}
_ALIASES = {"ece": "conf_ece", "classwise_ece": "cw_ece"}
_MEANS = ("mean_confidence", "signed_gap", "brier", "nll")
# Norms of residuals by other means than bins: biased upwards as ECE is, and inverted as it is.
_NORMS = (
    "smece",
    "ks_error",
    "ecce",
    "mmce",
    "kde_ece",
    "equal_mass_ece",
    "overconfidence_error",
    "underconfidence_error",
)
_RANGES = {
    "accuracy": (0.0, 1.0),
    "mean_confidence": (0.0, 1.0),
    "signed_gap": (-1.0, 1.0),
    "brier": (0.0, 2.0),
    "nll": (0.0, math.inf),
    "aurc": (0.0, 1.0),
}
FEWEST = 10  # rows, or clusters: with fewer the spread of a sample says nothing


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


def interval(
    metric: str | Metric,
    p: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.95,
    method: Literal["default", "bootstrap"] = "default",
    replicates: int = 1000,
    clusters: ArrayLike | None = None,
    seed: int = 0,
    bins: int | Sequence[float] = 10,
    logits: bool = False,
    mask: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    ignore_index: int | None = None,
    **metric_kwargs: Any,
) -> Interval:
    """An interval for the value that a metric would have on all the rows that these are a sample of.

    For ECE, RMSCE and MCE that value is the error of the bins used: what lies within a bin cannot be seen.

    - accuracy: Wilson (1927). mean_confidence, signed_gap, brier, nll, aurc (and accuracy with weights or clusters):
      normal with the skewness correction of Hall (1992). auroc: DeLong et al. (1988) on the scale of logits.
    - ece, rmsce, mce: hybrid resampling from the bins' counts (`calibfast.metrics.hybrid_resampling`); classwise_ece,
      weights and clusters: the same with jointly normal cells. The interval of mce is conservative where bins have few
      rows, and a warning says so.
    - smece, ks_error, ecce, mmce, kde_ece of the predicted option: the same over rows; many times slower.
    - Any other metric of calibfast by name, and any function: bootstrap over rows or clusters, percentile method.
      It is honest for what is smooth (the slope of log-odds) and not for a calibration error near zero.

    Args:
        metric: Name of a metric of `calibfast.evaluate` or of a function of calibfast, or a function
            metric(p, y, weights=..., **metric_kwargs) -> float.
        p: (N,) confidences, or (N, K) options; see `calibfast.evaluate`.
        y: (N,) correctness, or (N,) labels.
        level: Between 0 and 1. Default .95.
        method: "bootstrap" resamples rows whatever the metric is.
        replicates: Simulated samples.
        clusters: (N,) what rows are drawn together by (document, user, question template ...): whole clusters vary.
        seed: Of the simulation. The order of the rows does not matter.
        bins: Of the metrics that have bins.
        logits: Whether `p` holds logits. Never guessed.
        mask: (N, K) bool, True where an option is present.
        weights: (N,) of rows drawn independently: they weigh, they do not repeat.
        ignore_index: Rows with this `y` are left out.
        **metric_kwargs: For the metric itself.

    Raises:
        InputError: Something breaks its contract, there are fewer than 10 rows (clusters), the metric is undefined, or
            infinite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.uniform(0.5, 1, 1000)
        >>> ece = interval("ece", p, rng.random(1000) < p)
        >>> ece.low, round(ece.high, 2), round(ece.estimate, 2)
        (0.0, 0.05, 0.02)
    """
    if not 0 < level < 1:
        raise InputError(f"level is between 0 and 1, got {level}")
    if replicates < 100:
        raise InputError(f"replicates is at least 100, got {replicates}")
    if method not in ("default", "bootstrap"):
        raise InputError(f"method is 'default' or 'bootstrap', got {method!r}")
    rows = read_rows(p, y, logits=logits, mask=mask, weights=weights, ignore_index=ignore_index)
    sample = Sample.of(rows, to_bins(bins), clusters=clusters)
    setting = Setting(level, replicates, seed)
    name = _ALIASES.get(metric, metric) if isinstance(metric, str) else None
    if method == "default" and name is not None and not metric_kwargs:
        if name in KNOWN:
            return sample.interval(name, setting)
        if name in _NORMS:
            return _inverted(_named(name), sample, setting)
    function = metric if callable(metric) else _named(_ALIASES.get(metric, metric))
    if name in (*_BINNED, "cw_ece"):
        metric_kwargs = {"bins": bins, **metric_kwargs}
    return _bootstrap(function, sample, setting, metric_kwargs)


KNOWN = ("accuracy", *_MEANS, *_BINNED, "cw_ece", "auroc", "aurc")
"""Metrics of a report that have an interval of their own."""


@dataclass(frozen=True)
class Setting:
    """How intervals are made."""

    level: float = 0.95
    replicates: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Sample:
    """Rows in an order that the caller's has no part in, with what intervals are made of."""

    rows: Predictions
    bins: int | list[float]
    confidence: Floats
    correct: Floats
    weights: Floats | None
    clusters: NDArray[np.intp] | None

    @classmethod
    def of(
        cls,
        given: Rows,
        bins: int | list[float],
        *,
        clusters: ArrayLike | None = None,
    ) -> Sample:
        """Check the rows and sort them.

        Raises:
            InputError: Something breaks its contract, or there are too few rows or clusters.
        """
        code = None if clusters is None else coded(np.asarray(clusters), given)
        order = np.lexsort([key for key in (given.predictions.weights, code) if key is not None] + sort_keys(given))
        return cls.ordered(given, bins, order, code)

    @classmethod
    def ordered(
        cls, given: Rows, bins: int | list[float], order: NDArray[np.intp], clusters: NDArray[np.intp] | None
    ) -> Sample:
        """Take checked rows in an order.

        Raises:
            InputError: There are too few rows.
        """
        given.sorted()  # checks every value
        confidence, correct = given.top()
        if len(confidence) < FEWEST:
            raise InputError(f"an interval needs at least {FEWEST} rows, got {len(confidence)}")
        rows = given.predictions.take(order)
        return cls(
            rows,
            bins,
            confidence[order],
            correct[order].astype(np.float64),
            None if rows.weights is None else rows.weights.astype(np.float64),
            None if clusters is None else clusters[order],
        )

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

    def residuals(self, *, classwise: bool) -> Residuals:
        """Outcome - confidence by row and cell: the bins of the predicted option, or of every class."""
        if classwise:
            return class_residuals(self.rows, self.bins)
        if self.rows.form == "confidence":
            cell, width = cell_of(self.rows.values, self.bins)
        else:
            top = _core.assign(self.rows.values, self.bins, form=self.rows.form, mask=self.rows.mask)
            cell, width = top[:, np.newaxis], len(_core.State(self.bins).edges) - 1
        return Residuals(cell, self.confidence[:, np.newaxis], self.correct[:, np.newaxis], 1, width)

    def values(self, name: str) -> Floats:
        """What a metric is the mean of, by row."""
        if name == "accuracy":
            return self.correct
        if name == "mean_confidence":
            return self.confidence
        if name == "signed_gap":
            return self.confidence - self.correct
        if self.rows.form == "confidence":
            if name == "brier":
                return (self.confidence - self.correct) ** 2
            right = np.where(self.correct > 0, self.confidence, 1 - self.confidence)
        else:
            probs = self.probabilities()
            right = probs[np.arange(len(probs)), self.rows.labels]
            if name == "brier":
                return np.asarray((probs**2).sum(axis=1) - 2 * right + 1)
        with np.errstate(divide="ignore"):
            return np.asarray(-np.log(right))

    def probabilities(self) -> Floats:
        """(N, K) probabilities in float64."""
        return _core.probabilities(self.rows.values, self.rows.labels, form=self.rows.form, mask=self.rows.mask)

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

    def auroc(self) -> tuple[float, Floats]:
        """AUROC and what each row adds to its error (the placements of DeLong et al. 1988).

        Raises:
            InputError: All rows are right, or all are wrong.
        """
        w = np.ones(len(self.correct)) if self.weights is None else self.weights
        right = self.correct > 0
        if not w[right].any() or not w[~right].any():
            raise InputError("AUROC compares right rows with wrong ones, and there is one kind alone")
        value, place = np.unique(self.confidence, return_inverse=True)
        at_right: Floats = np.bincount(place, w * right, len(value)) / w[right].sum()
        at_wrong: Floats = np.bincount(place, w * ~right, len(value)) / w[~right].sum()
        below_wrong, above_right = np.cumsum(at_wrong) - at_wrong / 2, 1 - np.cumsum(at_right) + at_right / 2
        estimate = float((at_right * below_wrong).sum())
        of_right = w * (below_wrong[place] - estimate) / w[right].sum()
        of_wrong = w * (above_right[place] - estimate) / w[~right].sum()
        return estimate, np.where(right, of_right, of_wrong)

    def aurc(self) -> tuple[float, Floats]:
        """AURC and what each row adds to its error: A = E_t[R(t)] with R(t) the risk of the share G(t) above t.

        A row of confidence p and loss l moves A by R(p) - A + E_t[(l - R(t)) / G(t); t <= p].
        """
        w = np.ones(len(self.correct)) if self.weights is None else self.weights
        w, loss = w / w.sum(), 1 - self.correct
        value, place = np.unique(self.confidence, return_inverse=True)
        at = np.bincount(place, w, len(value))
        above = np.cumsum(at[::-1])[::-1]
        risk = np.cumsum(np.bincount(place, w * loss, len(value))[::-1])[::-1] / above
        estimate = float((at * risk).sum())
        drawn, lost = np.cumsum(at / above), np.cumsum(at * risk / above)
        influence = risk[place] - estimate + loss * drawn[place] - lost[place]
        exact = _core.SortedRows(self.confidence, self.correct.astype(np.uint8), weights=self.weights).aurc()
        return exact, w * influence

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


def _bootstrap(function: Metric, sample: Sample, setting: Setting, kwargs: dict[str, Any]) -> Interval:
    rows, rng = sample.rows, np.random.default_rng(setting.seed)
    p: NDArray[Any] = sample.confidence if rows.form == "confidence" else widened(rows.values)
    y = rows.labels
    if rows.form != "confidence":
        if rows.form == "logits":
            kwargs = {"logits": True, **kwargs}
        if rows.mask is not None:
            kwargs = {"mask": rows.mask, **kwargs}
    base = np.ones(len(y)) if sample.weights is None else sample.weights
    units = np.arange(len(y)) if sample.clusters is None else sample.clusters
    size = int(units.max()) + 1
    weight = {} if sample.weights is None else {"weights": base}
    estimate = float(function(p, y, **weight, **kwargs))
    drawn = [
        function(p, y, weights=base * np.bincount(rng.integers(0, size, size), minlength=size)[units], **kwargs)
        for _ in range(setting.replicates)
    ]
    values = np.asarray(drawn, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"the metric is not finite in {np.count_nonzero(~np.isfinite(values))} of the replicates")
    low, high = np.quantile(values, [(1 - setting.level) / 2, (1 + setting.level) / 2])
    return Interval(float(low), float(high), estimate, setting.level, BOOTSTRAP)


def _inverted(function: Metric, sample: Sample, setting: Setting) -> Interval:
    if sample.weights is not None or sample.clusters is not None:
        return _bootstrap(function, sample, setting, {})
    state = _core.State(15)
    state.update(sample.confidence[:, np.newaxis], sample.correct.astype(np.uint8), form="confidence")
    cells = RowDraws(function, sample.confidence, sample.correct, state, setting.replicates, setting.seed)
    return Interval(*invert(cells, setting.level), cells.estimate, setting.level, f"{HYBRID}, rows drawn")


def _named(name: str) -> Metric:
    import calibfast

    if name in KNOWN:
        return lambda p, y, **rows: getattr(calibfast.evaluate(p, y, **rows), name)
    function: Metric | None = getattr(calibfast, name, None)
    if function is None or name.startswith("_") or not callable(function) or isinstance(function, type):
        raise InputError(f"there is no metric {name!r}; known: {', '.join(KNOWN)}, and calibfast's functions")
    return function


def sort_keys(rows: Rows) -> list[NDArray[Any]]:
    """What tells rows apart, for np.lexsort."""
    predictions = rows.predictions
    confidence = rows.top()[0]
    # Further options than these settle no tie that matters.
    options = [] if predictions.form == "confidence" else [*predictions.values.T[:64]]
    return [*options, predictions.labels, confidence]


def coded(clusters: NDArray[Any], rows: Rows) -> NDArray[np.intp]:
    """The clusters of the kept rows as numbers from 0.

    Raises:
        InputError: Their number is not that of the rows, or there are too few of them.
    """
    n = len(rows.predictions.labels)
    fits = len(clusters) == n if rows.kept is None else len(clusters) > rows.kept.max()
    if clusters.ndim != 1 or not fits:
        raise InputError(f"clusters have shape {clusters.shape}, expected ({n},), one for each row")
    if rows.kept is not None:
        clusters = clusters[rows.kept]
    names, code = np.unique(clusters, return_inverse=True)
    if len(names) < FEWEST:
        raise InputError(f"an interval over clusters needs at least {FEWEST} of them, got {len(names)}")
    return code.reshape(-1)


def _warn(message: str) -> None:
    warnings.warn(message, CalibfastWarning, stacklevel=4)
