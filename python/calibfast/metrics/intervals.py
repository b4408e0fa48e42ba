"""Confidence intervals that cover as often as they say.

Which construction a metric gets follows from its law, and `Interval.method` names it. `benches/coverage.py` measures
how often each covers; its table stands in docs/intervals.md.
"""

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
