"""Two models on the same questions."""

import json
import sys

import numpy as np
import pytest
from reference import calibration as reference
from reference.hall import hall
from scipy import stats

import calibfast
from calibfast import InputError, compare
from calibfast.metrics.compare import _mover, _share_beyond

RNG = np.random.default_rng(0)
N = 800
TRUTH = RNG.dirichlet([0.6] * 4, N)
LABELS = (TRUTH.cumsum(axis=1) < RNG.random((N, 1))).sum(axis=1)
NOISY = TRUTH * np.exp(RNG.normal(0, 0.4, TRUTH.shape))
A = NOISY / NOISY.sum(axis=1, keepdims=True)
B = A**2.5 / (A**2.5).sum(axis=1, keepdims=True)


def test_every_metric_is_that_of_the_reports():
    few = compare(A[:12], B[:12], LABELS[:12], replicates=100).metrics  # bins of one row
    for name in ("conf_ece", "cw_ece", "mce", "rmsce"):
        assert few[name].a == pytest.approx(getattr(calibfast.evaluate(A[:12], LABELS[:12]), name), abs=1e-12)
    found = compare(A, B, LABELS).metrics
    assert found["cw_ece"].low < found["cw_ece"].difference < found["cw_ece"].high < found["cw_ece"].low + 0.1
    first, second = calibfast.evaluate(A, LABELS), calibfast.evaluate(B, LABELS)
    assert {"accuracy", "conf_ece", "cw_ece", "mce", "rmsce", "brier", "nll", "auroc"} <= set(found)
    for name, part in found.items():
        assert (part.a, part.b) == pytest.approx((getattr(first, name), getattr(second, name)), abs=1e-12)
        assert part.difference == pytest.approx(part.b - part.a, abs=1e-12)
        assert part.low <= part.high


def test_order_seed_and_exchange():
    found = compare(A, B, LABELS)
    order = RNG.permutation(N)
    assert compare(A[order], B[order], LABELS[order]) == found
    back = compare(B, A, LABELS).metrics
    for name, part in found.metrics.items():
        assert back[name].difference == pytest.approx(-part.difference, abs=1e-12)
        if name == "mce":
            continue  # one bin or another is the largest, as the draws have it
        assert (-back[name].high, -back[name].low) == pytest.approx(
            (part.low, part.high), abs=0.05 * (part.high - part.low) + 1e-9
        )


def test_a_model_does_not_differ_from_itself():
    for part in compare(A, A, LABELS).metrics.values():
        assert part.difference == 0
        assert part.low <= 0 <= part.high
        assert part.p_value == 1


def test_what_differs_is_found_and_what_does_not_is_not():
    found = compare(A, B, LABELS).metrics
    assert found["conf_ece"].low > 0.05
    assert found["conf_ece"].p_value < 0.01
    assert found["accuracy"].p_value == 1  # the same option is first


def test_mcnemar():
    y_a, y_b = RNG.random(N) < 0.7, RNG.random(N) < 0.75
    p = np.full(N, 0.7)
    only_a, only_b = int((y_a & ~y_b).sum()), int((y_b & ~y_a).sum())
    found = compare(p, p, y_a, y_b=y_b).metrics["accuracy"]
    assert found.p_value == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)
    assert found.test_method == "McNemar, exact"


def test_settings():
    logits = {"logits": True, "ignore_index": -1, "mask": np.arange(4) < 3 + (RNG.random((N, 1)) < 0.5)}
    labels = np.where(RNG.random(N) < 0.1, -1, np.where(LABELS == 3, 0, LABELS))
    first, second = (np.where(logits["mask"], np.log(p), 9.0) for p in (A, B))
    found = compare(first, second, labels, replicates=200, **logits)
    kept = labels >= 0
    parts = [np.where(logits["mask"], p, 0)[kept] for p in (A, B)]
    parts = [p / p.sum(axis=1, keepdims=True) for p in parts]
    plain = compare(*parts, labels[kept], replicates=200, mask=logits["mask"][kept])
    assert found.n == plain.n == kept.sum()
    for name, part in found.metrics.items():
        other = plain.metrics[name]
        assert (part.a, part.b, part.low, part.high) == pytest.approx(
            (other.a, other.b, other.low, other.high), rel=1e-6
        )
    with pytest.raises(InputError, match="ignore_index leaves out different rows"):
        compare(A[:, 0], B[:, 0], labels, y_b=np.roll(labels, 1), ignore_index=-1)
    few = compare(A[:40], B[:40], LABELS[:40])
    assert few == compare(A[:40], B[:40], LABELS[:40], seed=0, replicates=1000, level=0.95, bins=10)
    assert few != compare(A[:40], B[:40], LABELS[:40], seed=1)
    assert few != compare(A[:40], B[:40], LABELS[:40], replicates=1001)
    assert json.loads(few.to_json(indent=2)) == json.loads(few.to_json()) == few.to_dict()
    assert few.to_json(indent=2).startswith('{\n  "n": 40')


@pytest.mark.parametrize("size", [1, 4])
def test_means_and_auroc_by_hand(size):
    rng, clusters = np.random.default_rng(7), np.arange(N) // size
    p_a, p_b = np.clip(A.max(axis=1) + rng.normal(0, 0.1, (2, N)), 0, 1)
    y_a, y_b = (A.argmax(axis=1) == LABELS) ^ (rng.random((2, N)) < 0.1)
    found = compare(p_a, p_b, y_a, y_b=y_b, clusters=clusters if size > 1 else None, replicates=2000).metrics

    def units(rows):
        return np.bincount(clusters, rows)

    for name, of in {"brier": lambda p, y: (p - y) ** 2, "accuracy": lambda p, y: 1.0 * y}.items():
        change = of(p_b, y_b) - of(p_a, y_a)
        part = found[name]
        assert (part.low, part.high) == pytest.approx(hall(change.mean(), units(change - change.mean()) / N), abs=1e-6)
        z = units(change).sum() / np.sqrt((units(change) ** 2).sum())
        assert part.p_value == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.05)
        assert 0.05 < part.p_value < 0.9

    def influence(p, y):
        above = (p[y][:, np.newaxis] > p[~y]) + 0.5 * (p[y][:, np.newaxis] == p[~y])
        moved = np.empty(N)
        moved[y] = (above.mean(axis=1) - above.mean()) / y.sum()
        moved[~y] = (above.mean(axis=0) - above.mean()) / (~y).sum()
        return above.mean(), moved

    (a, of_a), (b, of_b) = influence(p_a, y_a), influence(p_b, y_b)
    error, part = np.sqrt((units(of_b - of_a) ** 2).sum()), found["auroc"]
    assert part.difference == pytest.approx(b - a)
    assert (part.low, part.high) == pytest.approx((b - a - 1.959964 * error, b - a + 1.959964 * error), abs=1e-6)
    assert part.p_value == pytest.approx(2 * stats.norm.sf(abs(b - a) / error))


@pytest.mark.parametrize("size", [1, 4])
def test_p_values_are_those_of_models_that_change_places(size):
    first, second = A, A**1.15 / (A**1.15).sum(axis=1, keepdims=True)
    clusters = np.arange(N) // size
    found = compare(first, second, LABELS, clusters=clusters if size > 1 else None, bins=7).metrics
    errors = {
        "conf_ece": lambda p: reference.confidence_error(p, LABELS, 7, "l1"),
        "mce": lambda p: reference.confidence_error(p, LABELS, 7, "max"),
        "rmsce": lambda p: reference.confidence_error(p, LABELS, 7, "l2"),
        "cw_ece": lambda p: reference.classwise_error(p, LABELS, 7, "l1"),
    }
    rng = np.random.default_rng(5)
    swaps = [rng.integers(0, 2, N)[clusters, np.newaxis] for _ in range(200)]
    for name, error in errors.items():
        drawn = [error(np.where(swap, second, first)) - error(np.where(swap, first, second)) for swap in swaps]
        p_value = np.mean(np.abs(drawn) >= abs(error(second) - error(first)))
        assert found[name].p_value == pytest.approx(p_value, abs=0.1), name


def test_classes_are_left_out_where_they_would_fill_the_memory(monkeypatch):
    monkeypatch.setattr(sys.modules["calibfast.metrics.compare"], "_MOST_NUMBERS", 12 * 4 * 10)  # the function hides it
    assert "cw_ece" in compare(A[:12], B[:12], LABELS[:12], replicates=100).metrics
    assert "cw_ece" not in compare(A[:13], B[:13], LABELS[:13], replicates=100).metrics


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("bins", [1, 10])
def test_errors_far_from_zero_differ_as_signed_gaps_do(bins, size):
    """Where every bin is over-confident, ECE is the signed gap, whose interval is a mean's."""
    rng, clusters = np.random.default_rng(8), np.arange(N) // size
    p_a = rng.uniform(0.75, 1, N // size)[clusters]
    p_b = np.clip(p_a + rng.normal(0, 0.05, N), 0, 1)
    y_a = rng.random(N // size)[clusters] < 0.5
    y_b = np.where(rng.random(N) < 0.3, rng.random(N) < 0.4, y_a)
    for first, second in (((p_a, y_a), (p_b, y_b)), ((p_b, y_b), (p_a, y_a))):
        found = compare(
            first[0], second[0], first[1], y_b=second[1], bins=bins, replicates=4000,
            clusters=None if size == 1 else clusters,
        ).metrics  # fmt: skip
        gap = found["signed_gap"]
        for name in ("conf_ece", "mce", "rmsce") if bins == 1 else ("conf_ece",):
            assert found[name].difference == pytest.approx(gap.difference)
            assert (found[name].low, found[name].high) == pytest.approx(
                (gap.low, gap.high), abs=0.1 * (gap.high - gap.low)
            )


def test_the_recovered_interval_by_hand():
    (a, b), ends = (0.1, 0.25), [(0.07, 0.15), (0.22, 0.31)]
    low = np.sqrt(0.03**2 - 2 * 0.4 * 0.03 * 0.05 + 0.05**2)
    high = np.sqrt(0.06**2 - 2 * 0.4 * 0.06 * 0.03 + 0.03**2)
    assert _mover([a, b], ends, 0.4) == pytest.approx((0.15 - low, 0.15 + high))
    # An end at zero is nobody's standard error.
    assert _mover([a, b], [(0.0, 0.15), (0.0, 0.31)], 0.4) == pytest.approx((0.15 - 0.3, 0.15 + 0.16))
    assert _mover([a, a], [(0.05, 0.15)] * 2, 1.0) == pytest.approx((0, 0))


def test_the_same_difference_summed_in_another_order_is_a_tie():
    assert _share_beyond(np.array([1 - 1e-12, -1 - 1e-12, 1, 0.999]), -1.0) == 4 / 5


def test_clusters_widen():
    p_a, p_b = np.repeat(A, 5, axis=0), np.repeat(B, 5, axis=0)
    y, clusters = np.repeat(LABELS, 5), np.repeat(np.arange(N), 5)
    naive, honest = compare(p_a, p_b, y), compare(p_a, p_b, y, clusters=clusters)
    plain = compare(A, B, LABELS)
    assert (honest.n, honest.clusters) == (5 * N, N)
    for name in ("brier", "conf_ece", "auroc"):
        width = {k: c.metrics[name].high - c.metrics[name].low for k, c in (("n", naive), ("h", honest), ("p", plain))}
        assert width["n"] < 0.7 * width["p"]
        assert width["h"] == pytest.approx(width["p"], rel=0.2)


@pytest.mark.parametrize(("first", "second"), [(1.0, 1.0), (1.0, 2.0), (1.6, 2.0)])
def test_intervals_of_the_difference_cover_and_tests_keep_their_size(first, second):
    """At least: near zero the intervals of binned errors are conservative."""

    def sharp(c, g):
        return c**g / (c**g + (1 - c) ** g)

    c = np.random.default_rng(9).beta(4, 1.5, 1_000_000)

    def error(g):
        place = np.ceil(sharp(c, g) * 10).astype(int)
        return 0.0 if g == 1 else np.abs(np.bincount(place, c - sharp(c, g))).sum() / len(c)

    truth, covered, rejected = error(second) - error(first), 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        one, two = rng.beta(4, 1.5, 300), rng.beta(4, 1.5, 300)
        y_one, y_two = rng.random(300) < one, rng.random(300) < two
        metrics = compare(sharp(one, first), sharp(two, second), y_one, y_b=y_two, replicates=199, seed=seed).metrics
        covered += metrics["conf_ece"].low <= truth <= metrics["conf_ece"].high
        rejected += metrics["brier" if first == second else "accuracy"].p_value <= 0.05
    assert covered >= 60 * 0.85
    assert rejected <= 10


@pytest.mark.parametrize(
    ("p_a", "p_b", "y", "kwargs", "message"),
    [
        (A, B[:-1], LABELS, {"y_b": LABELS[:-1]}, "800 and 799 questions"),
        (A, B.max(axis=1), LABELS, {"y_b": np.ones(N, bool)}, "one model has confidences"),
        (A, B, LABELS, {"y_b": (LABELS + np.eye(1, N, 7, dtype=int)[0]) % 4}, "labels at row 7"),
        (A[:5], B[:5], LABELS[:5], {}, "at least 10 rows, got 5"),
        (A, B, LABELS, {"clusters": np.zeros(N)}, "at least 10 of them, got 1"),
        (A, B, LABELS, {"level": 0}, "level"),
    ],
)
def test_refused(p_a, p_b, y, kwargs, message):
    with pytest.raises(InputError, match=message):
        compare(p_a, p_b, y, **kwargs)


def test_an_infinite_loss_has_no_interval_and_json_is_valid():
    p = np.full(20, 1.0)
    found = compare(p, np.full(20, 0.9), np.arange(20) > 3)
    assert found.metrics["nll"].low is None
    assert json.loads(found.to_json())["metrics"]["nll"]["a"] == "inf"
    assert compare(p, p, np.arange(20) > 3).metrics["nll"].p_value is None
    assert "auroc" not in compare(p * 0.8, p * 0.9, np.ones(20, bool)).metrics
