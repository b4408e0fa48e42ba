"""Confidence intervals that cover as often as they say.

Which construction a metric gets follows from its law, and `Interval.method` names it. `benches/coverage.py` measures
how often each covers; its table stands in docs/intervals.md.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from calibfast import _core
from calibfast.errors import InputError
from calibfast.metrics import catalogue
from calibfast.metrics.accumulator import to_bins
from calibfast.metrics.arrays import widened
from calibfast.metrics.hybrid_resampling import invert
from calibfast.metrics.interval_methods import HYBRID, KNOWN, Interval, Setting, known_interval, warn
from calibfast.metrics.kde import default_bandwidth
from calibfast.metrics.row_draws import RowDraws
from calibfast.metrics.rows import read_rows
from calibfast.metrics.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Metric = Callable[..., float]

BOOTSTRAP = "percentile bootstrap"

_ALIASES = {"ece": "conf_ece", "classwise_ece": "cw_ece"}
# Norms of residuals by other means than bins: biased upwards as ECE is, and inverted as it is.
_NORMS = (
    "smece",
    "ks_error",
    "ecce",
    "ecce_range",
    "mmce",
    "skce",
    "kde_ece",
    "equal_mass_ece",
    "sweep_ece",
    "debiased_rmsce",
    "overconfidence_error",
    "underconfidence_error",
)
_OF_ALL_OPTIONS = ("skce", "kde_ece")


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
      weights and clusters: the same with jointly normal cells. The interval of mce is conservative where several
      bins may be the worst, and a warning says so.
    - Other errors of the predicted option (smece, ks_error, ecce, mmce, skce, kde_ece, equal_mass_ece, sweep_ece ...):
      the same over rows; many times slower. Below 1,000 rows a warning says how far to trust it.
    - Any other number of a report by name, any function, and these errors with weights or clusters: bootstrap over rows
      or clusters, percentile method. It is honest for what is smooth (cox_slope) and not for a calibration error near
      zero; where resampling moves the metric, as it does there, a warning says so.

    Args:
        metric: Name of a number in a report of `calibfast.evaluate(metrics="all")`, "ece" or "classwise_ece", or a
            function metric(p, y, weights=..., **metric_kwargs) -> float.
        p: (N,) confidences, or (N, K) options; see `calibfast.evaluate`.
        y: (N,) correctness, or (N,) labels.
        level: Between 0 and 1. Default .95.
        method: "bootstrap" resamples rows whatever the metric is.
        replicates: Simulated samples.
        clusters: (N,) what rows are drawn together by (document, user, question template ...): whole clusters vary.
        seed: Of the simulation. The order of the rows does not matter.
        bins: Of the metrics that have bins of equal width, or of edges; others have their own number.
        logits: Whether `p` holds logits. Never guessed.
        mask: (N, K) bool, True where an option is present.
        weights: (N,) of rows drawn independently: they weigh, they do not repeat.
        ignore_index: Rows with this `y` are left out.
        **metric_kwargs: For the metric itself.

    Raises:
        InputError: Something breaks its contract, there are fewer than 10 rows (clusters), the metric is undefined, or
            infinite.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.uniform(0.5, 1, 1000)
        >>> ece = interval("ece", p, rng.random(1000) < p)
        >>> ece.low, round(ece.high, 2), round(ece.estimate, 2)
        (0.0, 0.05, 0.02)
    """
    if method not in ("default", "bootstrap"):
        raise InputError(f"method is 'default' or 'bootstrap', got {method!r}")
    setting = Setting(level, replicates, seed)
    rows = read_rows(p, y, logits=logits, mask=mask, weights=weights, ignore_index=ignore_index)
    sample = Sample.of(rows, to_bins(bins), clusters=clusters)
    name = _ALIASES.get(metric, metric) if isinstance(metric, str) else ""
    function = metric if callable(metric) else _named(name, sample.bins)
    if method == "default" and not metric_kwargs:
        if name in KNOWN:
            return known_interval(sample, name, setting)
        if name in _NORMS and sample.weights is None and sample.clusters is None:
            return _inverted(name, function, sample, setting)
    return _bootstrap(function, sample, setting, metric_kwargs)


def _bootstrap(function: Metric, sample: Sample, setting: Setting, kwargs: dict[str, Any]) -> Interval:
    rows, rng = sample.rows, np.random.default_rng(setting.seed)
    p: NDArray[Any] = sample.confidence if rows.form == "confidence" else widened(rows.values)
    y = rows.labels
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
    bias, spread = float(values.mean()) - estimate, float(values.std())
    if abs(bias) > spread / 4:
        warn(
            f"resampling moves the metric by {bias:+.2g}, {abs(bias) / max(spread, 1e-300):.1f} standard errors: the "
            "percentile interval is off by as much (Efron & Tibshirani 1993, 10.3)"
        )
    low, high = np.quantile(values, [(1 - setting.level) / 2, (1 + setting.level) / 2])
    return Interval(float(low), float(high), estimate, setting.level, BOOTSTRAP)


def _inverted(name: str, function: Metric, sample: Sample, setting: Setting) -> Interval:
    if name in _OF_ALL_OPTIONS and sample.rows.form != "confidence":
        raise InputError(f"{name} of all options has no honest interval; give the confidences of the predicted one")
    confidence, correct = sample.confidence, sample.correct.astype(np.uint8)
    if len(confidence) < 1000:
        warn(f"{name}: below 1,000 rows its 95% interval covers 88 to 99, and here are {len(confidence)} rows")
    simulated = function
    if name == "kde_ece":  # to find a bandwidth takes many times as long as the estimate
        pairs = read_rows(confidence, correct).distinct_options(name)
        simulated = partial(function, bandwidth=default_bandwidth(pairs, None))
    state = _core.State(15)
    state.update(confidence[:, np.newaxis], correct, form="confidence")
    cells = RowDraws(simulated, function, confidence, correct, state, setting.replicates, setting.seed)
    return Interval(*invert(cells, setting.level), cells.estimate, setting.level, f"{HYBRID}, rows drawn")


def _named(name: str, bins: int | list[float]) -> Metric:
    import calibfast

    if name in KNOWN:
        return lambda p, y, **rows: getattr(calibfast.evaluate(p, y, bins=bins, **rows), name)
    known = [(part, metric) for metric in catalogue.CATALOGUE for part in catalogue.names(metric)]
    if name not in dict(known):
        raise InputError(f"there is no metric {name!r}; known: {', '.join((*KNOWN, *dict(known)))}")
    metric = dict(known)[name]
    entry = catalogue.CATALOGUE[metric]

    def number(p: ArrayLike, y: ArrayLike, **rows: Any) -> float:
        found = entry.function(p, y, **({"bins": bins} if entry.bins else {}), **rows)
        return float(getattr(found, name.removeprefix(f"{metric}_")) if entry.parts else found)

    return number
