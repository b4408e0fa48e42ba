"""The intervals that have a formula against it, what each is called, and when one is doubted."""

import warnings

import numpy as np
import pytest
from reference.hall import hall
from scipy import stats

import calibfast
from calibfast import CalibfastWarning, InputError, interval
from calibfast.metrics import interval_methods as methods
from calibfast.metrics.interval_methods import KNOWN
from calibfast.metrics.score_intervals import student_quantile, wilson

RNG = np.random.default_rng(0)
N = 240
P = RNG.beta(4, 1.5, N).round(2)
Y = RNG.random(N) < P
WEIGHTS = RNG.exponential(size=N)


def delong(p, y, clusters=None, quantile=lambda degrees: stats.t.ppf(0.975, degrees)):
    """Placements by all pairs, their variances, and Student's quantile on logits."""
    above = (p[y][:, np.newaxis] > p[~y]) + 0.5 * (p[y][:, np.newaxis] == p[~y])
    area, m, n = above.mean(), y.sum(), (~y).sum()
    of_right, of_wrong = (above.mean(axis=1) - area) / m, (above.mean(axis=0) - area) / n
    if clusters is None:
        parts = [(of_right**2).sum() * m / (m - 1), (of_wrong**2).sum() * n / (n - 1)]
        variance = sum(parts)
        degrees = variance**2 / (parts[0] ** 2 / (m - 1) + parts[1] ** 2 / (n - 1))
    else:
        influence = np.empty(len(p))
        influence[y], influence[~y] = of_right, of_wrong
        sums = np.array([influence[clusters == k].sum() for k in np.unique(clusters)])
        variance, degrees = (sums**2).sum() * len(sums) / (len(sums) - 1), len(sums) - 1
    half = quantile(degrees) * np.sqrt(variance) / (area * (1 - area))
    ends = np.log(area / (1 - area)) + np.array([-half, half])
    return 1 / (1 + np.exp(-ends))


def test_delong():
    found = interval("auroc", P, Y)
    assert (found.low, found.high) == pytest.approx(delong(P, Y), abs=1e-6)
    clusters = np.arange(N) % 40
    found = interval("auroc", P, Y, clusters=clusters)
    assert (found.low, found.high) == pytest.approx(delong(P, Y, clusters), abs=1e-5)


@pytest.mark.filterwarnings("ignore:AUROC's interval rests on")
def test_auroc_of_few_rows_of_one_kind():
    p = np.linspace(0.3, 0.9, 30)
    few = np.isin(np.arange(30), [5, 12])
    for y in (few, ~few):
        found = interval("auroc", p, y)
        assert found.method == methods.DELONG
        # For so few degrees Student's quantile is an approximation.
        expected = delong(p, y, quantile=lambda degrees: student_quantile(0.95, degrees))
        assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)
    for y in (np.arange(30) > 10, np.arange(30) < 10, np.arange(30) == 7, np.arange(30) != 7):
        found = interval("auroc", p, y)
        assert found.method == f"{methods.WILSON} on the rarer outcome"
        assert found.estimate == calibfast.auroc(p, y)
        assert (found.low, found.high) == wilson(found.estimate, min(y.sum(), (~y).sum()), 0.95)
    same = interval("auroc", np.full(30, 0.7), few | (np.arange(30) > 15), level=0.8)
    assert (same.low, same.high, same.level) == (*wilson(0.5, 14, 0.8), 0.8)


def test_weights_that_make_rows_few():
    found = interval("brier", P, Y, weights=WEIGHTS * 0.1 + 1)
    w = (WEIGHTS * 0.1 + 1) / (WEIGHTS * 0.1 + 1).sum()
    square = (P - Y) ** 2
    mean = (w * square).sum()
    assert (found.low, found.high) == pytest.approx(hall(mean, w * (square - mean), 1 / (w**2).sum()), abs=1e-6)


def test_what_each_is_called():
    called = {name: interval(name, P, Y, replicates=100).method for name in KNOWN if name not in ("cw_ece", "mce")}
    assert called == {
        "accuracy": methods.WILSON,
        "mean_confidence": methods.SKEW,
        "signed_gap": methods.SKEW,
        "brier": methods.SKEW,
        "nll": methods.SKEW,
        "conf_ece": methods.HYBRID,
        "rmsce": methods.HYBRID,
        "auroc": methods.DELONG,
        "aurc": methods.SKEW,
    }
    clustered = interval("conf_ece", P, Y, clusters=np.arange(N), replicates=100)
    assert clustered.method == f"{methods.HYBRID}, normal cells"


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1])
def test_levels_that_make_no_sense(level):
    with pytest.raises(InputError, match="level is between 0 and 1"):
        interval("ece", P, Y, level=level)


def warned(name, *rows, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        interval(name, *rows, replicates=100, **kwargs)
    return [str(one.message) for one in caught if one.category is CalibfastWarning]


def test_when_one_is_doubted():
    assert [warned(name, P, Y) for name in ("brier", "conf_ece", "rmsce", "accuracy", "auroc", "aurc")] == [[]] * 6
    assert warned("brier", P[:50], Y[:50]) == []
    assert warned("ece", P[:200], Y[:200]) == []
    assert "below 200 rows, and here are 199" in warned("ece", P[:199], Y[:199])[0]
    few = {"clusters": np.arange(N) // 2}
    assert "as much as 120 clusters of one weight, for 8 classes x bins" in warned("ece", P, Y, **few)[0]
    assert "as much as 150 rows of one" in warned("ece", P[:150], Y[:150], weights=np.ones(150))[0]
    # Two hundred rows are twenty for each of ten bins.
    assert warned("ece", np.tile(np.arange(1, 11) / 10, 20), np.arange(200) % 3 > 0, weights=np.ones(200)) == []
    assert any("of its bins may be the worst" in one for one in warned("mce", P, Y, weights=np.ones(N)))
    assert warned("brier", P[:200], Y[:200], weights=np.ones(200)) == []
    assert "as much as 199; below 200" in warned("brier", P[:199], Y[:199], weights=np.ones(199))[0]
    assert warned("auroc", np.linspace(0, 1, 40), np.arange(40) % 4 > 0) == []
