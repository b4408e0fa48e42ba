"""Tests of calibration: their size, their power, their limit laws."""

import numpy as np
import pytest
from scipy import stats

from calibfast import InputError, ecce_test, hosmer_lemeshow, skce_test, spiegelhalter, t_cal
from calibfast.metrics.consistency_resampling import share_above
from calibfast.metrics.limit_laws import chi_square_tail, normal_tail, wiener_maximum_tail, wiener_range_tail

TESTS = {
    "hosmer_lemeshow": hosmer_lemeshow,
    "spiegelhalter": spiegelhalter,
    "ecce_mad": ecce_test,
    "ecce_range": lambda p, y, **k: ecce_test(p, y, kind="range", **k),
    "t_cal": t_cal,
    "t_cal_10": lambda p, y, **k: t_cal(p, y, bins=10, **k),
    "skce": skce_test,
}
RNG = np.random.default_rng(0)


@pytest.fixture(params=TESTS)
def test(request):
    return TESTS[request.param]


def sample(seed, n=300, power=1.0):
    rng = np.random.default_rng(seed)
    p = rng.beta(4, 1.5, n)
    return p, rng.random(n) < p**power


def test_p_values_are_uniform_under_calibration(test):
    values = [test(*sample(seed), seed=seed, replicates=99).p_value for seed in range(300)]
    assert stats.kstest(values, "uniform").pvalue > 0.001
    assert 0.01 <= np.mean(np.array(values) <= 0.05) <= 0.1


def test_the_limit_law_agrees_with_draws(test):
    for seed in range(5):
        p, y = sample(seed, 4000)
        drawn = test(p, y, method="resampling", replicates=2000, seed=1)
        limit = test(p, y, method="asymptotic", replicates=2000, seed=1)
        assert limit.statistic == drawn.statistic
        assert limit.p_value == pytest.approx(drawn.p_value, abs=0.06)


def test_error_is_found(test):
    p, y = sample(0, 3000, power=1.4)
    assert test(p, y).p_value == 0.001
    assert test(p, y, method="asymptotic").p_value <= 0.001


def test_order_and_seed(test):
    p, y = sample(1)
    p = np.round(p, 2)
    order = RNG.permutation(len(p))
    assert test(p, y, seed=3) == test(p[order], y[order], seed=3)
    probs = np.stack([p, 1 - p], axis=1)
    probs = np.where(p[:, None] < 0.5, probs[:, ::-1], probs)
    top = probs.max(axis=1)
    assert test(probs, np.where(y, 0, 1)) == test(top, y)


def test_ties_keep_the_size(test):
    rng = np.random.default_rng(5)
    rejected = 0
    for seed in range(200):
        p = rng.choice([0.3, 0.5, 0.6, 0.9], 200)
        rejected += test(p, rng.random(200) < p, seed=seed, replicates=99).p_value <= 0.05
    assert rejected <= 22


def test_statistics_by_hand():
    p = np.array([0.2, 0.2, 0.6, 0.6, 0.6, 0.9, 0.9, 0.7, 0.7, 0.95, 0.5, 0.5])
    y = np.array([0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1])
    r, v = y - p, p * (1 - p)
    z = (r * (1 - 2 * p)).sum() / np.sqrt(((1 - 2 * p) ** 2 * v).sum())
    assert spiegelhalter(p, y).statistic == pytest.approx(z)
    value = np.unique(p)
    path = np.array([r[p <= x].sum() for x in value]) / np.sqrt(v.sum())
    assert ecce_test(p, y).statistic == pytest.approx(np.abs(path).max())
    assert ecce_test(p, y, kind="range").statistic == pytest.approx(max(path.max(), 0) - min(path.min(), 0))
    kernel = np.exp(-np.abs(p[:, None] - p) / 0.1)
    pairs = (np.outer(r, r) * kernel)[~np.eye(12, dtype=bool)].sum() / (12 * 11)
    assert skce_test(p, y).statistic == pytest.approx(pairs)
    groups = [p <= 0.6, p > 0.6]
    expected = sum((r[g].sum()) ** 2 / (g.sum() * p[g].mean() * (1 - p[g].mean())) for g in groups)
    # Twelve rows in two groups; .6 is a tie around the middle and goes with the lower half.
    assert hosmer_lemeshow(p, y, bins=2).statistic == pytest.approx(expected)
    halves, total, variance = [p <= 0.5, p > 0.5], 0, 0
    for g in halves:
        total += (r[g].sum() ** 2 - (r[g] ** 2).sum()) / g.sum()
        variance += 2 * (v[g].sum() ** 2 - (v[g] ** 2).sum()) / g.sum() ** 2
    assert t_cal(p, y, bins=2).statistic == pytest.approx(total / np.sqrt(variance))


@pytest.mark.parametrize("bins", [1, 3, 4, 10, 11])
def test_hosmer_lemeshow_puts_each_tie_where_its_middle_row_belongs(bins):
    p = np.concatenate([np.repeat([0.0, 0.5, 0.52, 0.6], [3, 30, 2, 7]), RNG.random(9), np.ones(20)])
    y = np.where(np.isin(p, [0, 1]), p, RNG.random(len(p)) < p)
    total, p_sorted = {}, np.sort(p)
    for value in np.unique(p):
        rows, group = p == value, int(np.flatnonzero(p_sorted == value).mean() * bins // len(p))
        total[group] = total.get(group, 0) + np.array([(y - p)[rows].sum(), rows.sum(), p[rows].sum()])
    parts = [gap**2 / (sure * (1 - sure / n)) for gap, n, sure in total.values() if 0 < sure < n]
    found = hosmer_lemeshow(p, y, bins=bins, method="asymptotic")
    assert found.statistic == pytest.approx(sum(parts))
    assert found.p_value == pytest.approx(stats.chi2.sf(sum(parts), len(parts)))
    assert found.method == f"asymptotic (chi-square, {len(parts)} groups)"
    if bins == 10:
        assert hosmer_lemeshow(p, y, method="asymptotic") == found


def test_groups_that_begin_after_the_first():
    p, y = np.array([0.6, 0.6, 0.6, 0.9]), np.array([1, 0, 1, 0])
    expected = 0.2**2 / (3 * 0.24) + 0.9**2 / 0.09
    assert hosmer_lemeshow(p, y, bins=4).statistic == pytest.approx(expected)
    within = (0.2**2 - 0.4**2 * 2 - 0.6**2) / 3
    variance = 2 * ((3 * 0.24) ** 2 - 3 * 0.24**2) / 9
    assert t_cal(p, y, bins=5).statistic == pytest.approx(within / np.sqrt(variance))
    assert t_cal(p, y, bins=2).statistic == t_cal(p, y, bins=1).statistic


@pytest.mark.parametrize(("n", "finest"), [(9, 2), (31, 2), (32, 4), (70, 8), (1023, 64), (1024, 128), (20_000, 1024)])
def test_t_cal_without_bins_is_the_largest_over_its_scales(n, finest):
    p = np.append(RNG.random(n - 2), [0.0, 1e-12])
    y = RNG.random(n) < p
    y[-2:] = False
    scales = [2**level for level in range(1, 11) if 2**level <= finest]
    rows = {"replicates": 19}
    scores = [t_cal(p, y, bins=bins, **rows).statistic for bins in scales]
    assert t_cal(p, y, **rows).statistic == pytest.approx(max(scores))
    v, r = p * (1 - p), y - p
    variance = 2 * (v.sum() ** 2 - (v**2).sum())
    assert t_cal(p, y, bins=1, **rows).statistic == pytest.approx((r.sum() ** 2 - (r**2).sum()) / np.sqrt(variance))


@pytest.mark.parametrize("distinct", [2, 512, 513, 700])
def test_skce_of_many_confidences_sees_them_on_a_grid(distinct):
    p = 0.2 + 0.7 * np.append(RNG.random(distinct - 2), [0.0, 1.0])
    y = RNG.random(distinct) < p
    place, r = p, y - p
    if distinct > 512:
        place = p.min() + (np.minimum(np.floor((p - p.min()) / np.ptp(p) * 512), 511) + 0.5) / 512 * np.ptp(p)
    pairs = np.outer(r, r) * np.exp(-np.abs(place[:, np.newaxis] - place) / 0.02)
    np.fill_diagonal(pairs, 0)
    found = skce_test(p, y, bandwidth=0.02, replicates=19).statistic
    assert found == pytest.approx(pairs.sum() / distinct / (distinct - 1), rel=1e-9)


def test_where_a_p_value_comes_from(test, monkeypatch):
    p, y = sample(4, 60)
    assert test(p, y, replicates=19).method == "19 resamples"
    assert test(p, y).method == "999 resamples"
    assert test(p, y) == test(p, y, seed=0)
    assert {test(p, y, seed=seed).p_value for seed in range(4)} != {test(p, y).p_value}
    limit = test(p, y, method="asymptotic")
    assert limit.method.startswith("asymptotic (")
    assert limit == test(p, y, method="asymptotic")
    assert limit.p_value > 0
    monkeypatch.setattr("calibfast.metrics.consistency_resampling._MAX_DISTINCT", 60)
    assert test(p, y).method == "999 resamples"
    monkeypatch.setattr("calibfast.metrics.consistency_resampling._MAX_DISTINCT", 59)
    assert test(p, y) == limit
    assert test(p, y, method="resampling").method == "999 resamples"


def test_what_came_as_surely_as_was_said_refutes_nothing(test):
    p, y = sample(0)
    found = test(np.append(p, [0.0, 1.0]), np.append(y, [False, True]))
    assert found.p_value > 0.01
    wrong = test(np.append(p, 1.0), np.append(y, False))
    assert (wrong.p_value, wrong.method) == (0, "an outcome that was given probability 0")
    assert abs(wrong.statistic) > 0


def test_the_same_outcome_summed_in_another_order_is_a_tie():
    assert share_above(np.array([1 - 1e-12, 1, 1 + 1e-12, 0.999]), 1.0) == 4 / 5
    assert share_above(np.array([-5 - 1e-12, -5, -4, -5.1]), -5.0) == 4 / 5


def test_masked_logits_are_tested_as_what_they_say(test):
    logits = RNG.normal(size=(200, 4))
    mask = np.arange(4) < 3 + RNG.integers(0, 2, (200, 1))
    labels = np.argmax(np.where(mask, logits + RNG.gumbel(size=(200, 4)), -np.inf), axis=1)
    probs = np.where(mask, np.exp(logits), 0)
    probs /= probs.sum(axis=1, keepdims=True)
    top, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    found, plain = test(np.where(mask, logits, 9.0), labels, logits=True, mask=mask), test(top, right)
    assert (found.statistic, found.p_value) == pytest.approx((plain.statistic, plain.p_value), abs=1e-6)


def test_limit_laws():
    for x in (0.01, 0.5, 1.3, 4, 30, 300):
        assert normal_tail(x) == pytest.approx(stats.norm.sf(x))
        for degrees in (1, 2, 3, 4, 9, 10, 41):
            assert chi_square_tail(x, degrees) == pytest.approx(stats.chi2.sf(x, degrees), rel=1e-9)
    # The two series of the maximum meet; published quantiles (Arrieta-Ibarra et al. 2022, table of p-values).
    assert wiener_maximum_tail(1 - 1e-9) == pytest.approx(wiener_maximum_tail(1 + 1e-9), abs=1e-8)
    assert wiener_maximum_tail(2.2414) == pytest.approx(0.05, abs=1e-5)
    odd = np.arange(1, 4001, 2)
    for x in (0.1, 0.4, 0.7, 0.99, 1.5, 3):  # the reflections' series holds for all x, with more terms for small ones
        reflections = 4 * np.sum((-1.0) ** (odd // 2) * stats.norm.sf(odd * x))
        assert wiener_maximum_tail(x) == pytest.approx(reflections, rel=1e-9)
    for law in (wiener_maximum_tail, wiener_range_tail, lambda x: chi_square_tail(x, 3)):
        assert law(0.0) == law(-1.0) == 1
        assert law(1e-9) <= 1
    assert chi_square_tail(1.8263634014603068e-06, 7) == 1  # its sum, rounded, is above
    assert wiener_range_tail(2.4977) == pytest.approx(0.05, abs=1e-4)
    steps = np.random.default_rng(0).standard_normal((2000, 2000)) / np.sqrt(2000)
    path = np.cumsum(steps, axis=1)
    spread = np.maximum(path.max(axis=1), 0) - np.minimum(path.min(axis=1), 0)
    for x in (1.2, 1.6, 2.2):
        assert wiener_range_tail(x) == pytest.approx((spread > x).mean(), abs=0.06)
    assert wiener_range_tail(0.5) == pytest.approx(1, abs=1e-6)


def test_what_was_given_no_chance_refutes(test):
    p, y = np.append(sample(0)[0], 0.0), np.append(sample(0)[1], True)
    found = test(p, y)
    assert found.p_value == 0
    assert "probability 0" in found.method


def test_refused(test):
    with pytest.raises(InputError, match="0 or 1"):
        test(np.array([0.0, 1.0] * 10), np.array([0, 1] * 10))
    with pytest.raises(InputError, match="no rows"):
        test([0.5, 0.5], [-1, -1], ignore_index=-1)
    with pytest.raises(InputError, match="replicates is at least 19"):
        test(*sample(0), replicates=3)
    with pytest.raises(InputError, match="method is 'auto'"):
        test(*sample(0), method="exact")
    with pytest.raises(InputError, match="row 1 is NaN"):
        test([0.5, np.nan], [0, 1])


def test_one_outcome_is_no_reason_to_stop(test):
    assert test(np.linspace(0.9, 0.99, 50), np.ones(50, bool)).p_value > 0.01
    assert test(np.linspace(0.1, 0.3, 50), np.ones(50, bool)).p_value < 0.01
