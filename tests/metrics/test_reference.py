"""Every metric against plain NumPy, on values chosen to hurt."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.registry import CASES, METRICS
from reference import calibration as reference
from reference import kernel

import calibfast

TYPES = [np.float16, np.float32, np.float64]

GRID = 2.0**-53
"""What a row's Brier score and NLL are rounded to."""


@st.composite
def adversarial_confidences(draw):
    """Edges of several bin counts and their neighbours, 0, 1, subnormals and ties."""
    dtype = draw(st.sampled_from(TYPES))
    bins = draw(st.sampled_from([1, 2, 3, 7, 10, 15, 100, 126, 127, 1000]))
    n = draw(st.integers(1, 400))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    edges = (np.arange(bins + 1) / bins).astype(dtype)
    tiny = np.finfo(dtype)
    special = np.concatenate(
        [
            edges,
            np.nextafter(edges, dtype(2)),
            np.nextafter(edges, dtype(-1)),
            [tiny.smallest_subnormal, tiny.tiny, -0.0],
        ]
    ).astype(dtype)
    special = special[(special >= 0) & (special <= 1)]
    p = np.where(rng.random(n) < 0.7, rng.choice(special, n), rng.random(n).astype(dtype)).astype(dtype)
    return p, rng.random(n) < 0.5, bins


@given(adversarial_confidences())
def test_confidences(data):
    p, y, bins = data
    for norm in ["l1", "l2", "max"]:
        ours = calibfast.CalibrationError(bins, norm=norm).update(p, y).compute()
        np.testing.assert_allclose(ours, reference.confidence_error(p, y, bins, norm), rtol=1e-11, atol=1e-13)
    report = calibfast.evaluate(p, y, bins=bins)
    m, _ = reference.bin_of(p, bins, p.dtype)
    assert [b.count for b in report.reliability] == np.bincount(m, minlength=bins).tolist()
    np.testing.assert_allclose(report.brier, reference.brier(p, y), rtol=1e-12, atol=GRID)
    np.testing.assert_allclose(report.nll, reference.nll(p, y), rtol=1e-12, atol=1e-15)
    assert report.auroc == pytest.approx(reference.auroc(p, y), abs=1e-12)


@st.composite
def adversarial_options(draw):
    dtype = draw(st.sampled_from(TYPES))
    k = draw(st.sampled_from([2, 3, 4, 8, 9, 100, 1000]))
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = rng.normal(0, draw(st.sampled_from([0.0, 1.0, 30.0, 300.0])), (n, k)).astype(dtype)
    logits[rng.random((n, k)) < draw(st.sampled_from([0.0, 0.3]))] = -np.inf
    labels = rng.integers(0, k, n)
    logits[np.arange(n), labels] = rng.choice(np.array([0.0, 5.0, -600.0], dtype), n)
    return logits, labels


@given(adversarial_options(), st.sampled_from([1, 10, 15, 100]))
def test_logits(data, bins):
    logits, labels = data
    probs = reference.softmax(logits)
    present = logits != -np.inf
    report = calibfast.evaluate(logits, labels, bins=bins, logits=True)
    # A confidence on an edge falls by the last bit of a softmax, and two softmaxes may differ there.
    edge = np.abs(probs[..., None] * bins - np.round(probs[..., None] * bins)).min() < 1e-9
    if not edge:
        np.testing.assert_allclose(
            report.conf_ece, reference.confidence_error(probs, labels, bins), rtol=1e-9, atol=1e-12
        )
        cw_ece = reference.classwise_error(probs, labels, bins, mask=present)
        np.testing.assert_allclose(report.cw_ece, cw_ece, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(report.brier, reference.brier(probs, labels), rtol=1e-10, atol=GRID)
    gap = logits.astype(float) - logits.max(axis=1, keepdims=True).astype(float)
    exact = np.log(np.exp(gap).sum(axis=1)) - gap[np.arange(len(labels)), labels]
    np.testing.assert_allclose(report.nll, exact.mean(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("name", "form"), CASES)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_metric(name, form, dtype, weighted):
    rng = np.random.default_rng(11)
    n = METRICS[name].rows
    if form == "confidence":
        p = rng.random(n).astype(dtype)
        y = rng.random(n) < p
    else:
        p = rng.dirichlet([0.5] * 4, n).astype(dtype)
        p[p == 0] = np.finfo(dtype).smallest_subnormal
        y = rng.integers(0, 4, n)
    weights = rng.exponential(size=n) * 10.0 ** rng.integers(-8, 8, n) if weighted else None
    if weighted and METRICS[name].weights == "counts":
        weights = rng.integers(0, 4, n)
    kwargs = {} if weights is None else {"weights": weights}
    ours = METRICS[name].function(p, y, bins=15, **kwargs)
    theirs = METRICS[name].reference(p, y, 15, **kwargs)
    np.testing.assert_allclose(ours, theirs, rtol=METRICS[name].rtol, atol=1e-14)


@pytest.mark.parametrize("decimals", [1, 3, 17])
@pytest.mark.parametrize("options", [False, True])
def test_the_default_bandwidth_predicts_best(decimals, options):
    rng = np.random.default_rng(5)
    p = rng.dirichlet([0.7] * 3, 300).round(decimals) if options else rng.beta(9, 1, 300).round(decimals)
    p[:2] = np.eye(3)[:2] if options else [0, 1]
    p = p / p.sum(axis=1, keepdims=True) if options else p
    y = rng.integers(0, 2, 300)
    bandwidths = [digit / 10**power for power in range(1, 6) for digit in (1, 2, 5)] + [1.0]
    bandwidth = kernel.best_bandwidth(p, y, sorted(bandwidths))
    assert calibfast.kde_ece(p, y) == pytest.approx(calibfast.kde_ece(p, y, bandwidth=bandwidth), rel=1e-12)


def test_bfloat16_equals_the_same_values_in_float32_at_its_own_edges():
    torch = pytest.importorskip("torch")
    p = torch.rand(3000, generator=torch.Generator().manual_seed(0)).bfloat16()
    p[:10] = torch.arange(1, 11).div(10).bfloat16()
    y = torch.arange(3000) % 3 == 0
    edges = (torch.arange(11).double() / 10).bfloat16().double().numpy()
    assert calibfast.ece(p, y) == calibfast.ece(p.double().numpy(), y.numpy(), bins=edges)
    assert calibfast.ece(p[::2], y[::2]) == calibfast.ece(p[::2].clone(), y[::2].clone())
    assert calibfast.evaluate(p, y).auroc == calibfast.evaluate(p.float(), y).auroc
    weights = torch.rand(3000).bfloat16()
    assert calibfast.ece(p, y, weights=weights) == calibfast.ece(p, y, weights=weights.float())
    assert calibfast.smece(p, y, weights=weights) == calibfast.smece(p.float(), y, weights=weights.float())
    assert calibfast.ece(p, y.bfloat16()) == calibfast.ece(p, y)
    with pytest.raises(calibfast.InputError, match=r"labels have type torch.bfloat16, expected integers"):
        calibfast.ece(torch.rand(3000, 2).softmax(1), y.bfloat16())


def test_bfloat16_logits_with_absent_options():
    torch = pytest.importorskip("torch")
    logits = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    logits[::2, 3] = -torch.inf
    y = torch.arange(300) % 3
    coarse = calibfast.evaluate(logits, y, logits=True, metrics="all")
    fine = calibfast.evaluate(logits.float(), y, logits=True, metrics="all")
    assert coarse.metrics == fine.metrics
    assert calibfast.adaptive_ece(logits, y, logits=True) == calibfast.adaptive_ece(logits.float(), y, logits=True)


def test_explicit_edges():
    p, y = np.array([0.0, 0.2, 0.21, 0.5, 0.51, 1.0]), np.array([1, 0, 1, 0, 1, 0])
    edges = [0, 0.2, 0.5, 1]
    assert calibfast.ece(p, y, bins=edges) == pytest.approx(reference.confidence_error(p, y, edges))


def test_a_million_bins():
    p, y = np.random.default_rng(0).random(1000), np.arange(1000) % 2
    assert calibfast.ece(p, y, bins=1_000_000) == pytest.approx(reference.confidence_error(p, y, 1_000_000))


def test_calibration_and_refinement_of_equal_forecasts_by_hand():
    found = calibfast.murphy([0.2, 0.2, 0.8, 0.8], [0, 1, 1, 1])
    assert found.calibration == pytest.approx((0.3**2 + 0.2**2) / 2)
    assert found.refinement == pytest.approx((0.5 * 0.5 + 1 * 0) / 2)
    assert found.calibration + found.refinement == pytest.approx(found.score)


@pytest.mark.parametrize(
    ("p", "slope"),
    [
        (np.random.default_rng(0).beta(20, 1, 500), 1.3),
        (np.tile([1e-9, 0.3, 0.5, 1 - 1e-9], 20), 0.01),  # Newton's first step goes much too far
        (np.tile([0.45, 0.5, 0.52, 0.55], 100), 20.0),
    ],
)
def test_cox_is_the_maximum_however_far_it_is(p, slope):
    odds = np.log(p / (1 - p))
    y = np.random.default_rng(1).random(len(p)) < 1 / (1 + np.exp(0.3 - slope * odds))
    found = calibfast.cox(p, y)
    residual = y - 1 / (1 + np.exp(-found.intercept - found.slope * odds))
    assert abs(residual.mean()) < 1e-14
    assert abs((residual * odds).mean()) < 1e-14 * max(1, np.abs(odds).max())


@pytest.mark.parametrize("weighted", [False, True])
def test_the_risk_coverage_curve(weighted):
    rng = np.random.default_rng(2)
    p, y = rng.integers(1, 30, 200) / 30, rng.random(200) < 0.6
    weights = rng.exponential(size=200) if weighted else None
    found = calibfast.risk_coverage(p, y, weights=weights)
    w = np.ones(200) if weights is None else weights
    assert found.threshold.tolist() == sorted(set(p), reverse=True)
    for threshold, coverage, risk in zip(found.threshold, found.coverage, found.risk, strict=True):
        above = p >= threshold
        assert coverage == pytest.approx(w[above].sum() / w.sum(), rel=1e-12)
        assert risk == pytest.approx(np.average(~y[above], weights=w[above]), rel=1e-12, abs=1e-15)
    assert found.aurc == calibfast.aurc(p, y, weights=weights)


def test_over_and_under_confidence_of_bins_of_one_row_and_of_errors_alone():
    p, y = [0.31, 0.35, 0.9], [0, 0, 1]
    assert calibfast.overconfidence_error(p, y) == pytest.approx(2 / 3 * 0.33**2)
    assert calibfast.underconfidence_error(p, y) == pytest.approx(1 / 3 * 0.9 * 0.1)


@pytest.mark.parametrize(
    ("metric", "bins"),
    [
        (calibfast.ece, 10),
        (calibfast.mce, 10),
        (calibfast.rmsce, 10),
        (calibfast.classwise_ece, 10),
        (calibfast.overconfidence_error, 10),
        (calibfast.underconfidence_error, 10),
        (partial(calibfast.top_k_ece, k=2), 10),
        (calibfast.equal_mass_ece, 15),
        (calibfast.adaptive_ece, 15),
        (calibfast.debiased_rmsce, 15),
    ],
)
def test_bins_where_none_are_asked_for(metric, bins):
    rng = np.random.default_rng(3)
    p, y = rng.dirichlet([0.5] * 3, 200), rng.integers(0, 3, 200)
    assert metric(p, y) == metric(p, y, bins=bins)
    assert metric(p, y) != metric(p, y, bins=bins + 1)


@pytest.mark.parametrize("metric", [calibfast.ece, calibfast.mce, calibfast.rmsce, calibfast.classwise_ece])
def test_masked_logits(metric):
    rng = np.random.default_rng(4)
    logits, y = rng.normal(size=(300, 4)), rng.integers(0, 3, 300)
    mask = np.arange(4) < 3 + rng.integers(0, 2, (300, 1))
    absent = np.where(mask, logits, -np.inf)
    assert metric(np.where(mask, logits, 9.0), y, logits=True, mask=mask) == metric(absent, y, logits=True)
    assert metric(absent, y, logits=True) == pytest.approx(metric(reference.softmax(absent), y, mask=mask), rel=1e-9)
