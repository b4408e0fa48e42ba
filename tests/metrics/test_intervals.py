"""Intervals: what they hold, what they do not depend on, and how often they are right."""

import warnings

import numpy as np
import pytest
from reference.hall import hall
from scipy import stats

import calibfast
from calibfast import CalibfastWarning, InputError, interval
from calibfast.metrics.hybrid_resampling import BinCounts, fewest, invert, median_unbiased, nearest
from calibfast.metrics.interval_methods import KNOWN
from calibfast.metrics.score_intervals import skew_corrected, student_quantile, wilson

RNG = np.random.default_rng(0)
N = 600
PROBS = RNG.dirichlet([0.5] * 4, N)
LABELS = (PROBS.cumsum(axis=1) < RNG.random((N, 1))).sum(axis=1)
CONFIDENCE = RNG.beta(4, 1.5, N)
CORRECT = RNG.random(N) < CONFIDENCE**1.3
OWN = [name for name in KNOWN if name != "cw_ece"]
pytestmark = pytest.mark.filterwarnings("ignore::calibfast.CalibfastWarning")


@pytest.mark.parametrize("name", [*KNOWN, "ks_error"])
def test_the_order_of_the_rows_does_not_matter_and_seeds_do_not_drift(name):
    order = np.random.default_rng(1).permutation(N)
    found = interval(name, PROBS, LABELS, replicates=200)
    assert interval(name, PROBS[order], LABELS[order], replicates=200) == found
    assert found.low < found.high
    assert found.level == 0.95


@pytest.mark.parametrize("name", KNOWN)
def test_clusters_and_weights_do_not_depend_on_the_order_either(name):
    order = np.random.default_rng(1).permutation(N)
    clusters, weights = np.arange(N) // 5, RNG.exponential(size=N)
    found = interval(name, PROBS, LABELS, clusters=clusters, weights=weights)
    again = interval(name, PROBS[order], LABELS[order], clusters=clusters[order], weights=weights[order])
    assert (again.low, again.high) == pytest.approx((found.low, found.high), rel=1e-9)


@pytest.mark.parametrize("name", OWN)
def test_the_estimate_is_the_metric(name):
    assert interval(name, CONFIDENCE, CORRECT).estimate == pytest.approx(
        getattr(calibfast.evaluate(CONFIDENCE, CORRECT), name), abs=1e-12
    )
    weights = RNG.exponential(size=N)
    assert interval(name, CONFIDENCE, CORRECT, weights=weights).estimate == pytest.approx(
        getattr(calibfast.evaluate(CONFIDENCE, CORRECT, weights=weights), name), abs=1e-12
    )


def test_the_class_wise_estimate_is_the_metric_with_absent_options_too():
    logits = np.log(PROBS)
    logits[::3, 3] = -np.inf
    labels = np.where(LABELS == 3, 0, LABELS)
    found = interval("classwise_ece", logits, labels, logits=True)
    assert found.estimate == pytest.approx(calibfast.classwise_ece(logits, labels, logits=True), abs=1e-12)


@pytest.mark.parametrize("name", ["conf_ece", "rmsce", "brier", "auroc", "signed_gap"])
def test_equal_weights_and_clusters_of_one_are_nearly_nothing(name):
    plain = interval(name, CONFIDENCE, CORRECT)
    for extra in ({"weights": np.full(N, 2.0)}, {"clusters": np.arange(N)}):
        found = interval(name, CONFIDENCE, CORRECT, **extra)
        assert found.high - found.low == pytest.approx(plain.high - plain.low, rel=0.15)


@pytest.mark.parametrize("name", ["conf_ece", "brier", "auroc", "accuracy"])
def test_rows_that_come_in_copies_say_less(name):
    p, y, clusters = np.repeat(CONFIDENCE, 4), np.repeat(CORRECT, 4), np.repeat(np.arange(N), 4)
    naive, honest = interval(name, p, y), interval(name, p, y, clusters=clusters)
    plain = interval(name, CONFIDENCE, CORRECT)
    assert naive.high - naive.low < 0.7 * (plain.high - plain.low)
    assert honest.high - honest.low == pytest.approx(plain.high - plain.low, rel=0.15)


def test_dropped_rows_do_not_count():
    y = CORRECT.astype(int)
    y[::4] = -1
    kept, clusters = y >= 0, np.arange(N) // 3
    found = interval("ece", CONFIDENCE, y, ignore_index=-1, clusters=clusters)
    assert found == interval("ece", CONFIDENCE[kept], y[kept], clusters=clusters[kept])


def test_a_function_is_bootstrapped():
    def share_of_sure(p, y, *, weights=None, above):
        return float(np.average(p > above, weights=weights))

    found = interval(share_of_sure, CONFIDENCE, CORRECT, above=0.8)
    assert found.method == "percentile bootstrap"
    assert found.low < found.estimate < found.high
    brier = interval("brier", CONFIDENCE, CORRECT, method="bootstrap")
    exact = interval("brier", CONFIDENCE, CORRECT)
    assert (brier.low, brier.high) == pytest.approx((exact.low, exact.high), abs=0.005)


@pytest.mark.parametrize("size", [1, 5])
def test_the_bootstrap_draws_whole_clusters_with_their_weights(size):
    seen = []

    def mean(p, y, *, weights=None):
        seen.append((p, weights))
        return float(np.average(p, weights=weights))

    weights, clusters = RNG.exponential(size=N), np.arange(N) // size
    given = {"weights": weights, "clusters": None if size == 1 else clusters}
    found = interval(mean, CONFIDENCE, CORRECT, level=0.9, replicates=400, seed=3, **given)
    (p, base), *drawn = seen
    times = np.array([weights for _, weights in drawn]) / base
    assert (times.sum(axis=1).round(9) == N).all()
    place = clusters[np.argsort(CONFIDENCE)[np.searchsorted(np.sort(CONFIDENCE), p)]]
    for one in times.round(9)[:20]:
        assert all(len(set(one[place == k])) == 1 for k in range(N // size))
    assert times.mean(axis=0) == pytest.approx(1, abs=0.3)
    assert (times[:, p == p.min()] > 0).any()
    expected = np.quantile([np.average(p, weights=weights) for _, weights in drawn], [0.05, 0.95])
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.estimate, found.level) == (pytest.approx(np.average(CONFIDENCE, weights=weights)), 0.9)
    assert found != interval(mean, CONFIDENCE, CORRECT, level=0.9, replicates=400, **given)
    seen.clear()
    interval(mean, CONFIDENCE, CORRECT, replicates=100)
    assert seen[0][1] is None


def test_when_rows_are_resampled():
    assert interval("brier", CONFIDENCE, CORRECT, method="bootstrap").method == "percentile bootstrap"
    settings = interval("equal_mass_ece", CONFIDENCE, CORRECT, norm="l2", replicates=100)
    assert settings.method == "percentile bootstrap"
    assert settings.estimate == calibfast.equal_mass_ece(CONFIDENCE, CORRECT, norm="l2")


def test_a_function_gets_logits_and_masks():
    given = {"logits": True, "mask": (np.arange(4) < 3) | (LABELS == 3)[:, np.newaxis]}
    found = interval(calibfast.ece, np.log(PROBS), LABELS, replicates=100, **given)
    assert found.estimate == calibfast.ece(np.log(PROBS), LABELS, **given)
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize(
    ("p", "y", "kwargs", "message"),
    [
        ([0.5, 0.6, 0.7], [1, 0, 1], {}, "at least 10 rows, got 3"),
        (CONFIDENCE, CORRECT, {"clusters": np.arange(N) % 3}, "at least 10 of them, got 3"),
        (CONFIDENCE, CORRECT, {"clusters": np.arange(3)}, r"clusters have shape \(3,\), expected \(600,\)"),
        (CONFIDENCE, CORRECT, {"level": 95}, "level is between 0 and 1, got 95"),
        (CONFIDENCE, CORRECT, {"replicates": 3}, "replicates is at least 100"),
        (CONFIDENCE, CORRECT, {"method": "bca"}, "'default' or 'bootstrap'"),
        (CONFIDENCE, CORRECT, {"weights": -np.ones(N)}, "weight at row 0 is -1"),
        (CONFIDENCE, CORRECT, {"weights": np.ones(3)}, "weights has 3 rows, expected 600"),
    ],
)
def test_refused(p, y, kwargs, message):
    with pytest.raises(InputError, match=message):
        interval("ece", p, y, **kwargs)


def test_what_cannot_be_is_named():
    with pytest.raises(InputError, match="one kind alone"):
        interval("auroc", CONFIDENCE, np.ones(N, bool))
    with pytest.raises(InputError, match="nll is infinite"):
        interval("nll", np.ones(N), CORRECT)
    with pytest.raises(InputError, match="cw-ECE needs the probabilities"):
        interval("cw_ece", CONFIDENCE, CORRECT)
    with pytest.raises(InputError, match="there is no metric 'eec'"):
        interval("eec", CONFIDENCE, CORRECT)
    with pytest.raises(InputError, match=r"no metric 'cox'; known: .*, cox_slope"):
        interval("cox", CONFIDENCE, CORRECT)
    for name in ("skce", "kde_ece"):
        with pytest.raises(InputError, match=f"{name} of all options has no honest interval"):
            interval(name, PROBS, LABELS)


def test_doubtful_intervals_warn():
    with pytest.warns(CalibfastWarning, match="conservative, .*: [1-9][0-9]* of its bins may be the worst"):
        interval("mce", CONFIDENCE, CORRECT)
    with pytest.warns(CalibfastWarning, match="rests on 3 rows"):
        interval("auroc", CONFIDENCE, np.arange(N) < 3)
    with pytest.warns(CalibfastWarning, match="below 200 rows, and here are 50"):
        interval("ece", CONFIDENCE[:50], CORRECT[:50])
    with pytest.warns(
        CalibfastWarning, match="brier: with these weights the rows say as much as 1[0-9][0-9]; below 200"
    ):
        interval("brier", CONFIDENCE[:300], CORRECT[:300], weights=RNG.exponential(size=300))
    with pytest.warns(CalibfastWarning, match="ks_error: below 1,000 rows its 95% interval covers 88 to 99"):
        interval("ks_error", CONFIDENCE[:300], CORRECT[:300], replicates=100)
    with pytest.warns(CalibfastWarning, match="no width"):
        interval("brier", np.full(N, 0.9), np.ones(N, bool))


@pytest.mark.parametrize("name", ["kde_ece", "skce", "debiased_rmsce", "sweep_ece", "ecce_range"])
def test_errors_over_rows(name):
    p, y = CONFIDENCE[:60], CORRECT[:60]
    found = interval(name, p, y, replicates=100)
    metric = calibfast.evaluate(p, y, metrics=name).metrics[name]
    assert found.estimate == pytest.approx(metric, rel=1e-12)
    assert "rows drawn" in found.method
    assert found.low <= max(0.0, found.estimate)
    assert interval(name, p, y > 2, replicates=100).low > found.high


def test_a_number_of_a_report_is_bootstrapped():
    found = interval("cox_slope", CONFIDENCE, CORRECT, replicates=200)
    assert found.estimate == calibfast.cox(CONFIDENCE, CORRECT).slope
    assert found.low < found.estimate < found.high
    with pytest.warns(CalibfastWarning, match="resampling moves the metric by"):
        interval("smece", CONFIDENCE, RNG.random(N) < CONFIDENCE, clusters=np.arange(N), replicates=100)


def test_a_state_has_the_interval_of_its_rows():
    for metric, norm in (("ece", "l1"), ("rmsce", "l2"), ("mce", "max")):
        state = calibfast.CalibrationError(norm=norm).update(CONFIDENCE, CORRECT)
        assert state.interval() == interval(metric, CONFIDENCE, CORRECT)
    with pytest.raises(InputError, match="weighted rows"):
        calibfast.CalibrationError().update(CONFIDENCE, CORRECT, weights=np.full(N, 2)).interval()
    with pytest.raises(InputError, match="bins of classes"):
        calibfast.CalibrationError(kind="classwise").update(PROBS, LABELS).interval()
    with pytest.raises(InputError, match="at least 10 rows, got 3"):
        calibfast.CalibrationError().update([0.5, 0.6, 0.7], [0, 1, 1]).interval()
    with pytest.raises(InputError, match="no rows"):
        calibfast.CalibrationError().interval()


def test_a_report_has_an_interval_for_every_metric():
    report = calibfast.evaluate(PROBS, LABELS, ci=True, groups=np.arange(N) % 2)
    assert set(report.ci) == set(report.ci_method) == set(KNOWN)
    assert set(report.groups["0"].ci) == set(KNOWN)
    assert report.ci["conf_ece"] == (
        interval("ece", PROBS, LABELS).low,
        interval("ece", PROBS, LABELS).high,
    )
    assert calibfast.evaluate(PROBS, LABELS).ci_method.keys() == {"accuracy", "signed_gap"}
    with pytest.raises(InputError, match="at least 10 rows, got 3"):
        calibfast.evaluate([0.5, 0.6, 0.7], [1, 0, 1], ci=True)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("theta", [0.0, 0.001, 0.05, 0.2])
def test_the_truth_for_an_error_has_that_error(norm, theta):
    rng = np.random.default_rng(3)
    gap, variance, share = rng.normal(0, 0.1, 12), rng.uniform(1e-4, 1e-2, 12), rng.dirichlet(np.ones(12))
    found = nearest(gap, variance, share, theta, norm)
    value = {
        "l1": (np.abs(found) * share).sum(),
        "l2": np.sqrt((found**2 * share).sum()),
        "max": np.abs(found).max(),
    }[norm]
    assert value == pytest.approx(theta, abs=1e-9)


def test_a_sparse_truth_keeps_the_surest_gaps():
    gap, variance, share = np.array([0.3, -0.2, 0.01]), np.array([0.04, 1e-4, 1e-4]), np.array([0.5, 0.25, 0.25])
    np.testing.assert_allclose(fewest(gap, variance, share, 0.04, "l1"), [0, -0.16, 0])
    np.testing.assert_allclose(fewest(gap, variance, share, 0.10, "l1"), [0.1, -0.2, 0])
    assert np.array_equal(fewest(gap, variance, share, 0.5, "l1"), nearest(gap, variance, share, 0.5, "l1"))


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_the_truth_for_a_smaller_error_is_the_likeliest(norm):
    from scipy.optimize import minimize

    rng = np.random.default_rng(4)
    gap, variance, share = rng.normal(0, 0.1, 6), rng.uniform(1e-3, 1e-2, 6), rng.dirichlet(np.ones(6))
    size = {"l1": lambda x: (np.abs(x) * share).sum(), "l2": lambda x: np.sqrt((x**2 * share).sum())}[norm]
    theta = size(gap) / 2

    def distance(x):
        return ((x - gap) ** 2 / variance).sum()

    best = minimize(
        distance, gap / 2, constraints={"type": "ineq", "fun": lambda x: theta - size(x)}, options={"maxiter": 1000}
    )
    assert distance(nearest(gap, variance, share, theta, norm)) == pytest.approx(best.fun, rel=1e-3)


@pytest.mark.parametrize("name", ["conf_ece", "rmsce", "brier", "auroc", "signed_gap"])
@pytest.mark.parametrize("power", [1.0, 1.5])
def test_coverage(name, power):
    """A quick look; benches/coverage.py is the long one. Four standard errors of 95 in 100 samples are 8.7 points."""
    p = np.random.default_rng(0).beta(4, 1.5, 500_000)
    c = p**power
    truth = getattr(
        calibfast.evaluate(np.repeat(p, 2), np.tile([1, 0], len(p)), weights=np.stack([c, 1 - c], 1).ravel()), name
    )
    if power == 1 and name in ("conf_ece", "rmsce"):
        truth = 0.0
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        p = rng.beta(4, 1.5, 400)
        found = interval(name, p, rng.random(400) < p**power, replicates=200, seed=seed)
        covered += found.low <= truth <= found.high
    assert covered / 100 > 0.863


def test_binned_intervals_hold_the_median_unbiased_estimate():
    count = np.full(15, 1000)
    confidence = (np.arange(15) + 0.5) / 15
    cells = BinCounts(count, confidence**1.3, confidence, norm="l1", replicates=1000, seed=0)
    low, high = invert(cells, 0.95)
    assert low < median_unbiased(cells) < high


def test_closed_forms():
    expected = stats.binomtest(45, 50).proportion_ci(method="wilson")
    assert wilson(0.9, 50, 0.95) == pytest.approx((expected.low, expected.high))
    x = np.random.default_rng(0).normal(0, 1, 400)
    t = stats.ttest_1samp(x, 0).confidence_interval()
    assert skew_corrected(x.mean(), (x - x.mean()) / 400, 0.95) == pytest.approx((t.low, t.high), abs=2e-3)
    skewed = np.random.default_rng(0).exponential(size=100)
    low, high = skew_corrected(skewed.mean(), (skewed - skewed.mean()) / 100, 0.95)
    assert high - skewed.mean() > skewed.mean() - low


def test_closed_forms_to_the_digit():
    assert student_quantile(0.95, 1000) == pytest.approx(stats.t.ppf(0.975, 1000), abs=1e-8)
    assert 0.98 <= student_quantile(0.95, 4) / stats.t.ppf(0.975, 4) < 1
    for n in range(1, 300):
        assert (wilson(0.0, n, 0.95)[0], wilson(1.0, n, 0.95)[1]) == (0, 1)
    error = np.random.default_rng(0).exponential(size=300) / 300
    error -= error.mean()
    assert skew_corrected(0.3, error, 0.95) == pytest.approx(hall(0.3, error), abs=1e-7)
    assert skew_corrected(0.3, error, 0.95, units=200) == pytest.approx(hall(0.3, error, 200), abs=1e-7)
    assert skew_corrected(0.3, error, 0.95, units=1.5) == skew_corrected(0.3, error, 0.95, units=2)
    even = np.repeat([-0.01, 0.01], 50)  # no skewness
    width = stats.t.ppf(0.975, 99) * 0.1 * np.sqrt(100 / 99)
    assert skew_corrected(0.3, even, 0.95) == pytest.approx((0.3 - width, 0.3 + width), rel=1e-4)


def test_nothing_is_said_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interval("ece", CONFIDENCE, CORRECT)
