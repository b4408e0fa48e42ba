"""What a sample says of its metrics: values by row, and influences, which are derivatives by the rows' weights."""

import numpy as np
import pytest
from reference import ranking

import calibfast
from calibfast import InputError, interval
from calibfast.metrics.interval_methods import KNOWN
from calibfast.metrics.rows import read_rows
from calibfast.metrics.sample import Sample

RNG = np.random.default_rng(0)
N = 60
P = RNG.integers(1, 20, N) / 20  # with ties
Y = RNG.random(N) < P
WEIGHTS = RNG.exponential(size=N)


def aurc(p, y, weights):
    """The mean over the rows of the error rate among the rows that are as confident."""
    above = p[:, np.newaxis] <= p
    return np.average((above * weights * ~y).sum(axis=1) / (above * weights).sum(axis=1), weights=weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "metric"), [("auroc", ranking.auroc), ("aurc", aurc)])
def test_influences_are_derivatives(name, metric, weighted):
    sample = Sample.of(read_rows(P, Y, weights=WEIGHTS if weighted else None), 10)
    w = sample.weights if weighted else np.ones(N)
    estimate, influence = getattr(sample, name)()
    assert estimate == pytest.approx(getattr(ranking, name)(P, Y, WEIGHTS if weighted else None))
    p, y, step = sample.confidence, sample.correct > 0, 1e-4
    for row in range(0, N, 7):
        more, less = (w * np.where(np.arange(N) == row, 1 + side, 1) for side in (step, -step))
        slope = (metric(p, y, weights=more) - metric(p, y, weights=less)) / (2 * step)
        assert influence[row] == pytest.approx(slope, abs=1e-7)


@pytest.mark.filterwarnings("ignore::calibfast.CalibfastWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", KNOWN)
def test_masked_logits_are_not_there(name, weighted):
    logits, labels = RNG.normal(size=(300, 4)), RNG.integers(0, 3, 300)
    mask = np.arange(4) < np.where(np.arange(300) % 2, 4, 3)[:, np.newaxis]
    logits[~mask] = 9.0
    rows = {"logits": True, "mask": mask, "weights": RNG.exponential(size=300) if weighted else None}
    found = interval(name, logits, labels, replicates=100, **rows)
    assert found.estimate == pytest.approx(getattr(calibfast.evaluate(logits, labels, **rows), name), abs=1e-12)


def test_ten_rows_and_ten_clusters_are_enough():
    p, y, clusters = np.linspace(0.3, 0.9, 10), np.arange(10) % 3 > 0, np.arange(10)
    assert interval("accuracy", p, y).estimate == 0.6
    assert interval("accuracy", p, y, clusters=clusters).estimate == 0.6
    with pytest.raises(InputError, match="at least 10 of them, got 9"):
        interval("accuracy", p, y, clusters=np.minimum(clusters, 8))


@pytest.mark.parametrize("n", [11, 12, 14])
def test_clusters_are_those_of_all_rows_ignored_ones_too(n):
    y = np.array([0, 1, -1, 1, 0, 1, 1, 0, 1, 0, 1, 1, -1])
    with pytest.raises(InputError, match=rf"clusters have shape \({n},\), expected \(13,\)"):
        interval("accuracy", np.linspace(0.2, 0.9, 13), y, ignore_index=-1, clusters=np.arange(n))


def test_rows_that_differ_in_other_options_alone_have_an_order_too():
    rest = RNG.dirichlet([1.0] * 3, 40) * 0.4
    probs, labels = np.concatenate([np.full((40, 1), 0.6), rest], axis=1), np.repeat([0, 1], 20)
    order = RNG.permutation(40)

    def other(p, y, *, weights=None):
        return float(np.average(p[:, 1] * (1 + y), weights=weights))

    found = interval(other, probs, labels, replicates=100)
    assert interval(other, probs[order], labels[order], replicates=100) == found


@pytest.mark.filterwarnings("ignore::calibfast.CalibfastWarning")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_edges_are_those_of_the_type_of_the_confidences(dtype):
    p, y = (np.arange(200) % 11 / 10).astype(dtype), np.arange(200) % 3 > 0
    weights = RNG.exponential(size=200)
    assert interval("ece", p, y, weights=weights).estimate == pytest.approx(calibfast.ece(p, y, weights=weights))
    probs = np.stack([p, np.asarray(1 - p, dtype)], axis=1)
    labels = np.where(p == 0, 1, np.where(p == 1, 0, y.astype(int)))
    found = interval("classwise_ece", probs, labels, weights=weights)
    assert found.estimate == pytest.approx(calibfast.classwise_ece(probs, labels, weights=weights))
