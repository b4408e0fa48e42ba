"""Two models on the same questions: the difference of every metric, its interval, and a test that there is none."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError
from calibfast.metrics.accumulator import to_bins
from calibfast.metrics.hybrid_resampling import NormalCells, invert, median_unbiased
from calibfast.metrics.interval_methods import SKEW, Setting
from calibfast.metrics.limit_laws import normal_tail
from calibfast.metrics.residual_cells import Residuals, normal_draws
from calibfast.metrics.rows import Rows, read_rows
from calibfast.metrics.sample import Sample, coded, sort_keys
from calibfast.metrics.score_intervals import normal_quantile, skew_corrected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from calibfast.metrics.accumulator import Norm

    Floats = NDArray[np.float64]

RECOVERED = "variance recovered (Zou & Donner 2008) from two hybrid resampling intervals"
PERMUTATION = "paired permutation"
DELONG_PAIRED = "DeLong 1988, paired"
_MOST_NUMBERS = 200_000_000  # rows x cells
_EXCHANGES = 64  # replicates at once


@dataclass(frozen=True)
class Difference:
    """One metric of two models.

    Attributes:
        a: Of the first model.
        b: Of the second.
        difference: b - a.
        low: Lower end of the interval of the difference; None where it has none (an infinite NLL).
        high: Upper end.
        p_value: Of the test that the models are alike; None with the interval.
        interval_method: How the interval is made.
        test_method: How the p-value is made.
    """

    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    interval_method: str
    test_method: str


@dataclass(frozen=True)
class Comparison:
    """Two models on the same questions.

    Attributes:
        n: Questions.
        clusters: Clusters that were drawn as wholes; None for single rows.
        level: Of the intervals.
        metrics: A difference by the metric's name in `Report`.
    """

    n: int
    clusters: int | None
    level: float
    metrics: dict[str, Difference]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain dictionaries and numbers."""
        return asdict(self)

    def to_json(self, indent: int | None = None) -> str:
        """The comparison as JSON; what is not finite is a string."""
        found = self.to_dict()
        for part in found["metrics"].values():
            part |= {k: str(v) for k, v in part.items() if isinstance(v, float) and not math.isfinite(v)}
        return json.dumps(found, indent=indent, allow_nan=False)


def compare(
    p_a: ArrayLike,
    p_b: ArrayLike,
    y: ArrayLike,
    *,
    y_b: ArrayLike | None = None,
    bins: int | Sequence[float] = 10,
    level: float = 0.95,
    replicates: int = 1000,
    clusters: ArrayLike | None = None,
    seed: int = 0,
    logits: bool = False,
    mask: ArrayLike | None = None,
    ignore_index: int | None = None,
) -> Comparison:
    """Compare two models, or one before and after, question by question.

    Intervals are paired: means by the skewness-corrected normal of the differences by row (Hall 1992), AUROC by
    DeLong et al. (1988), binned errors by a parametric bootstrap of both models' bins together around bias-corrected
    truths, as the plug-in's bias is not the same for a calibrated model and for one that is not.

    Tests ask whether the two models could have changed places on every question (each cluster) without anybody's
    noticing: McNemar's exact test for accuracy, paired permutations otherwise, the normal law for AUROC. They test more
    than the one metric: models may be told apart by a test though an interval holds 0, and the other way round.

    Args:
        p_a: (N,) confidences or (N, K) options of the first model.
        p_b: The same of the second, its rows about the same questions in the same order.
        y: (N,) labels; for confidences, whether the first model is right.
        y_b: (N,) for confidences whether the second model is right; by default as the first.
        bins: Number of equal-width bins, or their edges.
        level: Of the intervals.
        replicates: Bootstrap samples and permutations.
        clusters: (N,) what rows are drawn together by (document, subject ...): whole clusters vary and change places.
        seed: Of both. The order of the questions does not matter.
        logits: Whether predictions are logits. Never guessed.
        mask: (N, K) bool, True where an option is present.
        ignore_index: Rows with this `y` are left out.

    Raises:
        InputError: Something breaks its contract, the models do not fit each other, or there are fewer than 10 rows.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.uniform(0.5, 1, 2000)
        >>> right = rng.random(2000) < p
        >>> found = compare(p, np.sqrt(p), right).metrics["conf_ece"]
        >>> found.low > 0.05, found.p_value < 0.01
        (True, True)
    """
    setting = Setting(level, replicates, seed)
    first = read_rows(p_a, y, logits=logits, mask=mask, ignore_index=ignore_index)
    second = read_rows(p_b, y if y_b is None else y_b, logits=logits, mask=mask, ignore_index=ignore_index)
    pair = _Pair(*_paired(first, second, to_bins(bins), clusters), setting)
    return Comparison(pair.n, None if clusters is None else pair.units, level, pair.differences())


def _paired(first: Rows, second: Rows, bins: int | list[float], clusters: ArrayLike | None) -> tuple[Sample, Sample]:
    a, b = first.predictions, second.predictions
    if len(a.labels) != len(b.labels):
        raise InputError(f"the models answer {len(a.labels)} and {len(b.labels)} questions, expected the same ones")
    if (a.form == "confidence") != (b.form == "confidence"):
        raise InputError("one model has confidences and the other options; give confidences of both (and y, y_b)")
    if a.form != "confidence" and (a.labels != b.labels).any():
        row = int(np.flatnonzero(a.labels != b.labels)[0])
        raise InputError(f"the labels at row {row} are {a.labels[row]} and {b.labels[row]}", row)
    if first.kept is not None and second.kept is not None and not np.array_equal(first.kept, second.kept):
        raise InputError("ignore_index leaves out different rows in y and y_b")
    code = None if clusters is None else coded(np.asarray(clusters), first)
    keys = [*sort_keys(second), *sort_keys(first)]
    order = np.lexsort(keys if code is None else [code, *keys])
    return Sample.ordered(first, bins, order, code), Sample.ordered(second, bins, order, code)


class _Pair:
    """Two samples of the same rows, in the same order."""

    def __init__(self, a: Sample, b: Sample, setting: Setting) -> None:
        self._a, self._b, self._setting = a, b, setting
        self.n = len(a.correct)
        self.units = self.n if a.clusters is None else int(a.clusters.max()) + 1

    def differences(self) -> dict[str, Difference]:
        top = self._a.residuals(classwise=False), self._b.residuals(classwise=False)
        found = {name: self._mean(name) for name in ("accuracy", "mean_confidence", "signed_gap")}
        found["conf_ece"] = self._binned(*top, "l1")
        if self._a.rows.form != "confidence":
            classes = self._a.residuals(classwise=True), self._b.residuals(classwise=True)
            if self.n * classes[0].width <= _MOST_NUMBERS:
                found["cw_ece"] = self._binned(*classes, "l1")
        found |= {"mce": self._binned(*top, "max"), "rmsce": self._binned(*top, "l2")}
        found |= {"brier": self._mean("brier"), "nll": self._mean("nll")}
        with suppress(InputError):  # all right, or all wrong
            found["auroc"] = self._auroc()
        return found

    def _exchanged(self, change: Floats) -> Floats:
        """(B, J) sums over the units that change places, the same for every metric."""
        rng, parts = np.random.default_rng([self._setting.seed, 1]), []
        for start in range(0, self._setting.replicates, _EXCHANGES):
            size = min(_EXCHANGES, self._setting.replicates - start)
            parts.append(rng.integers(0, 2, (size, self.units), dtype=np.int8).astype(np.float64) @ change)
        return np.concatenate(parts)

    def _by_unit(self, rows: Floats) -> Floats:
        if self._a.clusters is None:
            return rows
        sums = np.zeros((self.units, *rows.shape[1:]))
        np.add.at(sums, self._a.clusters, rows)
        return sums

    def _mean(self, name: str) -> Difference:
        a, b = self._a.values(name), self._b.values(name)
        means = float(a.mean()), float(b.mean())
        if math.inf in means:
            return Difference(*means, means[1] - means[0], None, None, None, "infinite", "infinite")
        change = b - a
        difference = float(change.mean())
        low, high = skew_corrected(difference, self._by_unit((change - difference) / self.n), self._setting.level)
        if name == "accuracy" and self._a.clusters is None:
            p_value, test = _mcnemar(int((change < 0).sum()), int((change > 0).sum())), "McNemar, exact"
        else:
            sums = self._by_unit(change)
            simulated = sums.sum() - 2 * self._exchanged(sums)
            p_value, test = _share_beyond(simulated, float(sums.sum())), PERMUTATION
        return Difference(*means, difference, low, high, p_value, SKEW, test)

    def _auroc(self) -> Difference:
        (a, of_a), (b, of_b) = self._a.auroc(), self._b.auroc()
        error = math.sqrt(float((self._by_unit(of_b - of_a) ** 2).sum()))
        half = normal_quantile(self._setting.level) * error
        p_value = 2 * normal_tail(abs(b - a) / error) if error > 0 else 1.0
        return Difference(a, b, b - a, b - a - half, b - a + half, p_value, DELONG_PAIRED, DELONG_PAIRED)

    def _binned(self, a: Residuals, b: Residuals, norm: Norm) -> Difference:
        everything, width = slice(None), a.width
        gap_a, gap_b = (self._by_unit(x.dense(x.outcome - x.p, everything)) for x in (a, b))
        row_a, row_b = (self._by_unit(x.dense(np.ones((1, 1)), everything)) for x in (a, b))
        sums = [gap_a.sum(axis=0), row_a.sum(axis=0), gap_b.sum(axis=0), row_b.sum(axis=0)]

        def error(gap: Floats, rows: Floats) -> Floats:
            if norm == "l1":
                return np.asarray(np.abs(gap).sum(axis=-1) / (self.n * a.classes))
            each = gap / np.maximum(rows, 1)
            if norm == "max":
                return np.asarray(np.abs(each).max(axis=-1))
            return np.asarray(np.sqrt((gap * each).sum(axis=-1) / self.n))

        estimate_a, estimate_b = float(error(*sums[:2])), float(error(*sums[2:]))
        difference = estimate_b - estimate_a
        moved = self._exchanged(np.hstack([gap_b - gap_a, row_b - row_a]))
        gap, rows = moved[:, :width], moved[:, width:]
        exchanged = error(sums[2] - gap, sums[3] - rows) - error(sums[0] + gap, sums[1] + rows)

        mean_a, mean_b = sums[0] / self.n, sums[2] / self.n
        size = self._by_unit(np.ones(self.n))[:, np.newaxis]
        off = np.hstack([gap_a - size * mean_a, gap_b - size * mean_b]) / self.n
        covariance = off.T @ off
        spread = covariance[np.diag_indices(2 * width)]
        # Cells of hits alone, or of misses, are not sure.
        smooth = np.concatenate([a.smoothed(), b.smoothed()])
        least = smooth * (1 - smooth) * np.concatenate([sums[1], sums[3]]) / self.n**2
        covariance[np.diag_indices(2 * width)] = np.maximum(spread, least)
        noise = normal_draws(covariance, self._setting.replicates, self._setting.seed)
        parts = []
        for mean, rows, errors in ((mean_a, sums[1], noise[:, :width]), (mean_b, sums[3], noise[:, width:])):
            full = rows > 0
            parts.append(NormalCells(mean[full], rows[full] / self.n, errors[:, full], scale=1 / a.classes, norm=norm))
        center = [median_unbiased(cells) for cells in parts]
        # Two lower ends that are safe for the worst truth would make the difference's interval far too wide.
        ends = [invert(cells, self._setting.level, sparse=False) for cells in parts]
        simulated = [cells.replicates(cells.truth(value)) for cells, value in zip(parts, center, strict=True)]
        correlation = float(np.corrcoef(simulated[0], simulated[1]).item(1))
        low, high = _mover(center, ends, correlation)
        return Difference(
            estimate_a,
            estimate_b,
            difference,
            low,
            high,
            _share_beyond(exchanged, difference),
            RECOVERED,
            PERMUTATION,
        )


def _mover(center: list[float], ends: list[tuple[float, float]], correlation: float) -> tuple[float, float]:
    """The interval of b - a from those of a and b: each distance to an end is z standard errors at that end.

    An end at zero is nobody's standard error, as errors stop there: such distances are added whole, which is
    conservative.
    """
    (a, b), ((a_low, a_high), (b_low, b_high)) = center, ends

    def distance(stopped: float, x: float, y: float) -> float:
        return x + y if stopped == 0 else math.sqrt(max(0.0, x * x - 2 * correlation * x * y + y * y))

    low, high = distance(b_low, b - b_low, a_high - a), distance(a_low, b_high - b, a - a_low)
    return b - a - low, b - a + high


def _share_beyond(simulated: Floats, observed: float) -> float:
    beyond = np.count_nonzero(np.abs(simulated) >= abs(observed) * (1 - 1e-9))
    return float((1 + beyond) / (1 + len(simulated)))


def _mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact binomial test of the rows on which one model alone is right (McNemar 1947)."""
    n, few = only_a + only_b, min(only_a, only_b)
    log_half = n * math.log(2)
    tail = sum(
        math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - log_half) for k in range(few + 1)
    )
    return min(1.0, 2 * tail)
