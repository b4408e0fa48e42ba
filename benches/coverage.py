"""How often 95% intervals hold the truth, and how often 5% tests reject calibrated predictions.

    python benches/coverage.py                      the tables of docs/intervals.md, some thirty minutes on one core
    python benches/coverage.py --samples 50         a first look, three minutes
    python benches/coverage.py --part tests         one table

Confidences are drawn from a law and outcomes from an accuracy that is a known function of the confidence, so that the
true value of every metric is known up to the error of the 4 million draws that it is integrated with.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import calibfast
from calibfast import compare
from calibfast.errors import CalibfastWarning
from calibfast.metrics import hypothesis_tests as tests
from calibfast.metrics.interval_methods import Setting, known_interval
from calibfast.metrics.rows import read_rows
from calibfast.metrics.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BINS = 10
PARTS = ("intervals", "designs", "rows", "tests", "classes", "differences")
SIZES = (100, 300, 1_000, 10_000, 100_000)
METRICS = ("accuracy", "mean_confidence", "signed_gap", "brier", "nll", "auroc", "aurc", "conf_ece", "rmsce", "mce")
DESIGNS = ("weights", "clusters of 5")
ROW_SIZES = (100, 300, 1_000)
ROW_METRICS = {  # with the most rows that are simulated in bearable time
    "ks_error": 1_000,
    "mmce": 1_000,
    "equal_mass_ece": 1_000,
    "overconfidence_error": 1_000,
    "smece": 300,
    "kde_ece": 300,
}
TESTS: dict[str, Callable] = {
    "Hosmer-Lemeshow": tests.hosmer_lemeshow,
    "Spiegelhalter": tests.spiegelhalter,
    "ECCE-MAD": tests.ecce_test,
    "ECCE-R": lambda p, y, **k: tests.ecce_test(p, y, kind="range", **k),
    "T-Cal": tests.t_cal,
    "SKCE": tests.skce_test,
}


@dataclass(frozen=True)
class Shape:
    """A law of confidences and how often each is right."""

    confidence: tuple[float, float]  # of a beta law
    accuracy: Callable[[np.ndarray], np.ndarray]


def bump(p: np.ndarray) -> np.ndarray:
    return np.where((p > 0.6) & (p <= 0.7), p - 0.2, p)


SHAPES = {
    "calibrated": Shape((4, 1.5), lambda p: p),
    "over-confident": Shape((4, 1.5), lambda p: p**1.5),
    "under-confident": Shape((4, 1.5), lambda p: p**0.6),
    "one bin off": Shape((4, 1.5), bump),
    "LLM-like": Shape((12, 0.6), lambda p: 0.25 + 0.7 * (p - 0.25)),
    "LLM-like, calibrated": Shape((12, 0.6), lambda p: p),
}


class Truth:
    """The values that a shape's metrics have on all rows there could be."""

    def __init__(self, shape: Shape) -> None:
        p = np.random.default_rng(0).beta(*shape.confidence, 4_000_000)
        c = shape.accuracy(p)
        place = np.clip(np.ceil(p * BINS).astype(int) - 1, 0, BINS - 1)
        self.share = np.bincount(place, minlength=BINS) / len(p)
        # Where a shape is calibrated, its gaps are zero and not what draws make of them.
        self.gap = np.bincount(place, c - p, minlength=BINS) / np.maximum(self.share * len(p), 1)
        once = np.concatenate([p, p]), np.repeat([1, 0], len(p))
        report = calibfast.evaluate(*once, weights=np.concatenate([c, 1 - c]))
        self.values = {name: getattr(report, name) for name in METRICS[:5]}
        order = np.argsort(p)
        right, wrong = c[order] / c.sum(), (1 - c[order]) / (1 - c).sum()
        self.values["auroc"] = float((right * (np.cumsum(wrong) - wrong / 2)).sum())
        self.values["aurc"] = float((np.cumsum(1 - c[order[::-1]]) / np.arange(1, len(p) + 1)).mean())
        self.values["conf_ece"] = float((self.share * np.abs(self.gap)).sum())
        self.values["rmsce"] = float(np.sqrt((self.share * self.gap**2).sum()))

    def value(self, metric: str, p: np.ndarray) -> float:
        """The truth; MCE's is that of the bins that these confidences fall into."""
        if metric != "mce":
            return self.values[metric]
        seen = np.unique(np.clip(np.ceil(p * BINS).astype(int) - 1, 0, BINS - 1))
        return float(np.abs(self.gap[seen]).max())


def drawn(shape: Shape, n: int, seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """Confidences, and outcomes that are independent."""
    rng = np.random.default_rng([n, seed])
    p = rng.beta(*shape.confidence, n)
    return rng, p, rng.random(n) < shape.accuracy(p)


def coverage(
    shape: Shape, truth: Truth, n: int, samples: int, design: str | None = None
) -> dict[str, tuple[float, float]]:
    """By metric the share of intervals that lie above the truth, and below it.

    Weights say nothing of the outcomes; in a cluster two rows in four share their luck.
    """
    missed: dict[str, list[tuple[bool, bool]]] = {metric: [] for metric in METRICS}
    for seed in range(samples):
        rng, p, y = drawn(shape, n, seed)
        weights, clusters = (rng.exponential(size=n) if design == "weights" else None), None
        if design == "clusters of 5":
            clusters = np.arange(n) // 5
            luck = np.where(rng.random(n) < 0.5, rng.random(n)[clusters], rng.random(n))
            y = luck < shape.accuracy(p)
        sample = Sample.of(read_rows(p, y, weights=weights, threads=1), BINS, clusters=clusters)
        for metric in METRICS:
            if metric == "auroc" and y.all():
                continue  # a named error
            found = known_interval(sample, metric, Setting(replicates=300, seed=seed))
            value = truth.value(metric, p)
            missed[metric].append((found.low > value, found.high < value))
    return {metric: tuple(np.mean(sides, axis=0)) for metric, sides in missed.items()}


def rejections(name: str, shape: Shape, n: int, samples: int) -> float:
    rejected = 0
    for seed in range(samples):
        _, p, y = drawn(shape, n, seed)
        rejected += TESTS[name](p, y, seed=seed, replicates=99).p_value <= 0.05
    return rejected / samples


def class_coverage(classes: int, power: float, n: int, samples: int) -> tuple[float, float]:
    """Of class-wise ECE's intervals the share above the truth and below it; the model says p^power, renormalised."""

    def said(p: np.ndarray) -> np.ndarray:
        return p**power / (p**power).sum(axis=1, keepdims=True)

    p = np.random.default_rng(0).dirichlet([1.6 / classes] * classes, 1_000_000)
    place = np.clip(np.ceil(said(p) * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = [np.bincount(place[:, k], said(p)[:, k] - p[:, k]) / len(p) for k in range(classes)]
    truth = 0.0 if power == 1 else float(np.mean([np.abs(gap).sum() for gap in gaps]))
    missed = np.zeros(2)
    for seed in range(samples):
        rng = np.random.default_rng([n, seed])
        p = rng.dirichlet([1.6 / classes] * classes, n)
        y = np.minimum((p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), classes - 1)
        sample = Sample.of(read_rows(said(p), y), BINS)
        found = known_interval(sample, "cw_ece", Setting(replicates=300, seed=seed))
        missed += found.low > truth, found.high < truth
    return tuple(missed / samples)


def difference_coverage(first: float, second: float, n: int, samples: int) -> dict[str, tuple[float, float]]:
    """Of two models on the same answers that say c^g / (c^g + (1 - c)^g): coverage, and rejections, by metric."""

    def said(c: np.ndarray, power: float) -> np.ndarray:
        return c**power / (c**power + (1 - c) ** power)

    c = np.random.default_rng(0).beta(4, 1.5, 1_000_000)

    def truth(name: str, power: float) -> float:
        p = said(c, power)
        if name == "brier":
            return float((c * (1 - p) ** 2 + (1 - c) * p**2).mean())
        place = np.ceil(p * BINS).astype(int)
        return 0.0 if power == 1 else float(np.abs(np.bincount(place, c - p)).sum() / len(c))

    results = {name: np.zeros(2) for name in ("conf_ece", "brier")}
    values = {name: truth(name, second) - truth(name, first) for name in results}
    for seed in range(samples):
        rng = np.random.default_rng([n, seed])
        drawn = rng.beta(4, 1.5, n)
        y = rng.random(n) < drawn
        metrics = compare(said(drawn, first), said(drawn, second), y, replicates=199, seed=seed).metrics
        for name, counts in results.items():
            found = metrics[name]
            counts += found.low <= values[name] <= found.high, found.p_value <= 0.05
    return {name: tuple(counts / samples) for name, counts in results.items()}


def exchange_rejections(power: float, n: int, samples: int) -> dict[str, float]:
    """Of two models that are alike on independent rows, how often each test of `compare` tells them apart."""
    rejected = dict.fromkeys(("accuracy", "conf_ece", "brier", "auroc"), 0.0)
    for seed in range(samples):
        rng = np.random.default_rng([n, seed])
        c = rng.beta(4, 1.5, (2, n))
        y = rng.random((2, n)) < c
        p = c**power / (c**power + (1 - c) ** power)
        metrics = compare(p[0], p[1], y[0], y_b=y[1], replicates=199, seed=seed).metrics
        for name in rejected:
            rejected[name] += (metrics[name].p_value <= 0.05) / samples
    return rejected


def row_coverage(shape: Shape, metrics: Iterable[str], n: int, samples: int) -> dict[str, tuple[float, float]]:
    """As `coverage`, for errors whose samples are simulated row by row; the truth is that of 100,000 exact rows."""
    p = np.random.default_rng(0).beta(*shape.confidence, 100_000)
    once, right = (np.concatenate([p, p]), np.repeat([1, 0], len(p))), shape.accuracy(p)
    weights = np.rint(1e6 * np.concatenate([right, 1 - right]))
    missed = {}
    for metric in metrics:
        # KDE-ECE is the mean absolute gap in the limit; at 100,000 rows it would take minutes.
        value = np.abs(right - p).mean() if metric == "kde_ece" else getattr(calibfast, metric)(*once, weights=weights)
        value = 0.0 if (right == p).all() else value
        found = []
        for seed in range(samples):
            _, few, y = drawn(shape, n, seed)
            found.append(calibfast.interval(metric, few, y, replicates=100, seed=seed))
        missed[metric] = np.mean([i.low > value for i in found]), np.mean([i.high < value for i in found])
    return missed


def header(title: str, columns: list[str]) -> None:
    print(f"\n| {title} | rows | samples |", " | ".join(columns), "|")
    print("|---" * (len(columns) + 3) + "|", flush=True)


def row(name: str, n: int, samples: int, shares: Iterable[float]) -> None:
    print(f"| {name} | {n:,} | {samples:,} |", " | ".join(f"{share * 100:.1f}" for share in shares), "|", flush=True)


def held(missed: dict[str, tuple[float, float]]) -> list[float]:
    return [1 - above - below for above, below in missed.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--samples", type=int, default=1000, help="samples for a number; a third at 100,000 rows and of classes"
    )
    parser.add_argument("--part", choices=PARTS, help="one table alone; by default all")
    options = parser.parse_args()
    warnings.simplefilter("ignore", CalibfastWarning)
    began = time.monotonic()

    fewer = max(1, options.samples // 3)

    def samples(n: int) -> int:
        return options.samples if n <= 10_000 else fewer

    parts = PARTS if options.part is None else (options.part,)
    if "intervals" in parts:
        header("95% intervals", list(METRICS))
        for name, shape in SHAPES.items():
            truth = Truth(shape)
            for n in SIZES:
                row(name, n, samples(n), held(coverage(shape, truth, n, samples(n))))
    if "designs" in parts:
        header("95% intervals", list(METRICS))
        for name in ("calibrated", "over-confident"):
            truth = Truth(SHAPES[name])
            for design in DESIGNS:
                for n in SIZES[:4]:
                    found = coverage(SHAPES[name], truth, n, samples(n), design)
                    row(f"{name}, {design}", n, samples(n), held(found))
    if "rows" in parts:
        fewest = max(1, options.samples // 5)
        header("95% intervals", list(ROW_METRICS))
        for name in ("calibrated", "over-confident"):
            for n in ROW_SIZES:
                metrics = [metric for metric, most in ROW_METRICS.items() if n <= most]
                row(name, n, fewest, held(row_coverage(SHAPES[name], metrics, n, fewest)))
    if "tests" in parts:
        header("rejections by 5% tests", list(TESTS))
        for name in ("calibrated", "LLM-like, calibrated"):
            for n in SIZES:
                row(name, n, samples(n), [rejections(test, SHAPES[name], n, samples(n)) for test in TESTS])
    if "classes" in parts:
        header("95% intervals", ["cw_ece"])
        for classes in (2, 4, 10):
            for power, name in ((1.0, "calibrated"), (1.6, "over-confident")):
                for n in SIZES[:4]:
                    missed = class_coverage(classes, power, n, fewer)
                    row(f"{classes} classes, {name}", n, fewer, [1 - sum(missed)])
    if "differences" in parts:
        header("95% intervals of a difference", ["conf_ece", "brier"])
        for first, second in ((1.0, 1.2), (1.0, 2.0), (1.5, 2.0)):
            for n in (300, 3_000):
                found = difference_coverage(first, second, n, samples(n))
                row(f"sharpened {first:g} and {second:g}", n, samples(n), [covered for covered, _ in found.values()])
        header("rejections by 5% tests of a difference", ["accuracy", "conf_ece", "brier", "auroc"])
        for power in (1.0, 2.0):
            for n in (300, 3_000):
                row(f"both sharpened {power:g}", n, samples(n), exchange_rejections(power, n, samples(n)).values())

    error = 100 * np.sqrt(0.05 * 0.95 / options.samples)
    print(f"\nstandard error of a number from {options.samples} samples: {error:.1f}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
