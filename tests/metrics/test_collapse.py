from __future__ import annotations

import math

import numpy as np
import pytest
from reference.hall import hall
from scipy import stats

from calibfast.errors import InputError
from calibfast.metrics.collapse import CollapseBin, collapse, preference_ratio


def drawn(n, sharper, seed=0):
    """People's shares, and a model whose log-odds are theirs times a factor."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.02, 0.98, n)
    odds = sharper * np.log(share / (1 - share))
    return odds - 700, np.full(n, -700.0), share


def test_the_ratio_of_likelihoods_that_underflow():
    np.testing.assert_allclose(preference_ratio([-2000, -1, 0.0], [-1999, -1, -5000]), [1 / (1 + math.e), 0.5, 1])


def intervals(means, unit):
    if len(np.unique(unit)) < 10:
        return {}
    found = {}
    for name, values in means.items():
        units = len(np.unique(unit))
        if values.dtype == bool and (units == len(unit) or values.mean() in (0, 1)):
            found[name] = tuple(stats.binomtest(int(values[:units].sum()), units).proportion_ci(method="wilson"))
        else:
            mean = values.mean()
            sums = np.array([(values[unit == each] - mean).sum() / len(unit) for each in np.unique(unit)])
            low, high = hall(mean, sums)
            found[name] = max(low, -1 if name == "excess" else 0), min(high, 1)
    return found


@pytest.mark.parametrize(("n", "each"), [(500, 1), (500, 3), (40, 1), (40, 4), (10, 1)])
def test_beside_numpy(n, each):
    chosen, rejected, human = drawn(n, 3)
    unit = np.arange(n) // each
    found = collapse(chosen, rejected, human, bins=4, prompts=None if each == 1 else [f"prompt {u}" for u in unit])
    ratio = np.array([1 / (1 + math.exp(low - high)) for high, low in zip(chosen, rejected, strict=True)])
    assert found.histogram == tuple(((ratio > low) & (ratio <= low + 0.25)).sum() for low in (0, 0.25, 0.5, 0.75))
    quantiles = np.percentile(ratio, [5, 25, 50, 75, 95])
    assert list(found.quantiles.values()) == pytest.approx(quantiles)
    assert list(found.quantiles) == ["0.05", "0.25", "0.5", "0.75", "0.95"]
    assert (found.n, found.not_measured, found.to_dict()["n"]) == (n, {}, n)

    whole = {"preferring": ratio > 0.5, "ratio": ratio, "exceeding": ratio > human, "excess": ratio - human}
    parts = [(found, np.full(n, True), list(whole))]
    for part in found.bins:
        parts.append((part, (human > part.lower) & (human <= part.upper), ["exceeding", "excess"]))
        assert part.count == parts[-1][1].sum()
    for part, rows, with_interval in parts:
        for name, values in whole.items():
            if hasattr(part, name):
                assert getattr(part, name) == pytest.approx(values[rows].mean())
        assert part.share == pytest.approx(human[rows].mean())
        expected = intervals({name: whole[name][rows] for name in with_interval}, unit[rows])
        assert part.ci == {name: pytest.approx(ends, rel=2e-3, abs=1e-3) for name, ends in expected.items()}


def test_ends_belong_to_the_bin_below_and_nothing_exceeds_itself():
    found = collapse([0, 0, 0], [0, 0, -2000], [0.5, 0, 1])
    assert (found.preferring, found.exceeding) == (1 / 3, 1 / 3)
    assert found.histogram == (0, 0, 0, 0, 2, 0, 0, 0, 0, 1)
    assert [part.count for part in found.bins] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert collapse([0], [0]).histogram == (0, 0, 0, 0, 1, 0, 0, 0, 0, 0)
    assert found.bins[1] == CollapseBin(0.1, 0.2, 0, None, None, None, None, {})


def test_intervals_stay_where_the_number_can_be():
    """Of twelve prompts, all but one agree: Hall's interval would go beyond."""
    prompts = np.repeat(np.arange(12), 4)
    once = np.where(prompts == 0, 1.0, -1.0)
    rare, common = (collapse(50 * way, -50 * way, np.full(48, 0.5), prompts=prompts) for way in (once, -once))
    assert rare.ci["ratio"][0] == rare.ci["exceeding"][0] == 0
    assert common.ci["ratio"][1] == common.ci["exceeding"][1] == 1
    low, high = collapse(50 * once, -50 * once, np.where(prompts == 0, 0.0, 1.0), prompts=prompts).ci["excess"]
    assert (low, high) == (-1, pytest.approx(0, abs=1))


def test_a_model_that_prefers_as_people_do_is_told_from_one_that_is_surer():
    same, sharp = (collapse(*drawn(4000, factor)) for factor in (1, 4))
    low, high = same.ci["excess"]
    assert low <= 0 <= high
    above = [part for part in sharp.bins if part.lower >= 0.5]
    assert all(part.excess > 0 and part.exceeding == 1 for part in above)


def test_intervals_cover():
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        share = rng.uniform(0.5, 1, 100)
        low, high = collapse(rng.normal(1, 1, 100), np.zeros(100), share).ci["excess"]
        held += low <= TRUTH <= high
    assert 180 <= held <= 199


TRUTH = float(np.mean(1 / (1 + np.exp(-np.random.default_rng(10**6).normal(1, 1, 10**6))))) - 0.75


def test_pairs_of_one_prompt_count_together():
    chosen, rejected, share = (np.repeat(each, 5) for each in drawn(100, 3))
    alone, together = (collapse(chosen, rejected, share, prompts=p) for p in (None, np.repeat(np.arange(100), 5)))
    widths = [np.subtract(*reversed(each.ci["excess"])) for each in (alone, together)]
    assert widths[1] == pytest.approx(math.sqrt(5) * widths[0], rel=0.1)
    assert together.bins[0].ci.keys() <= {"exceeding", "excess"}


def test_what_needs_a_share_is_named():
    found = collapse(*drawn(20, 2)[:2])
    assert set(found.not_measured) == {"share", "exceeding", "excess", "bins"}
    assert (found.exceeding, found.bins) == (None, ())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0], [0.0, 1.0]), "1 log-likelihoods of chosen answers and 2"),
        (([0.0, math.inf], [0.0, 1.0]), "chosen in row 1 is inf"),
        (([], []), "chosen has shape"),
        (([0.0], [0.0], [1.5]), r"share in row 0 is 1.5, outside \[0, 1\]"),
        (([0.0], [0.0], [0.5, 0.5]), "2 human shares and 1 pairs"),
        (([0.0], [0.0], [0.5], 10, [1, 1]), r"prompts have shape \(2,\), expected \(1,\)"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        collapse(*arguments[:3], **dict(zip(("bins", "prompts"), arguments[3:], strict=False)))
