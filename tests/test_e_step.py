"""The E-step against the paper's formulas in plain NumPy, and every degenerate case."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import estep as reference

from calibfast import InputError, estep

RNG = np.random.default_rng(0)
P = RNG.dirichlet([0.8] * 4, 2000)
Y = np.where(RNG.random(2000) < 0.6, P.argmax(axis=1), RNG.integers(0, 4, 2000))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_assignment_and_accuracies(dtype):
    p = P.astype(dtype)
    step = estep(p, Y, bins=10)
    assignment, q = reference.accuracies(p, Y, 10)
    np.testing.assert_array_equal(step.assign(p), assignment)
    np.testing.assert_allclose(step.q, q, rtol=1e-15)
    np.testing.assert_array_equal(step.count, np.bincount(assignment, minlength=10))


def test_targets_follow_equation_6():
    step = estep(P, Y, bins=10)
    targets = step.targets(P)
    kept = 0
    for c, m, target in zip(P, step.assign(P), targets, strict=True):
        expected = reference.target(c, step.q[m])
        if expected.argmax() == c.argmax() and np.sort(expected)[-1] > np.sort(expected)[-2] * 1.001:
            np.testing.assert_allclose(target, expected, rtol=1e-12)
            kept += 1
    assert kept > 1500


def test_masked_options_are_absent_ones():
    """Whatever stands there: here the largest logit of all."""
    logits = np.log(P)
    absent = logits.copy()
    absent[::2, 3], logits[::2, 3] = -np.inf, 9.0
    labels, mask = np.where(Y == 3, 0, Y), np.isfinite(absent)
    expected, step = estep(absent, labels, logits=True), estep(logits, labels, logits=True, mask=mask)
    np.testing.assert_array_equal(step.q, expected.q)
    np.testing.assert_array_equal(step.assign(logits, logits=True, mask=mask), expected.assign(absent, logits=True))
    np.testing.assert_array_equal(step.targets(logits, logits=True, mask=mask), expected.targets(absent, logits=True))
    assert step.edges == pytest.approx(np.linspace(0, 1, 11))


def test_a_held_out_step_gives_targets_for_other_rows():
    step = estep(P[:100], Y[:100], bins=50)
    assert np.isnan(step.q).any()
    targets = step.targets(P[100:])
    assert np.isfinite(targets).all()
    np.testing.assert_array_equal(targets.argmax(axis=1), P[100:].argmax(axis=1))


@given(
    st.integers(0, 2**32),
    st.sampled_from([2, 3, 4, 10]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 1.0, 1000.0]),
)
def test_every_target_is_a_distribution_that_keeps_the_answer(seed, k, accuracy, scale):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, (50, k))
    logits[rng.random((50, k)) < 0.3] = -np.inf
    logits[np.arange(50), rng.integers(0, k, 50)] = 0.0
    top = logits.argmax(axis=1)
    wrong = np.where(np.isfinite(logits), logits, np.inf).argmin(axis=1)
    labels = np.where(rng.random(50) < accuracy, top, wrong)
    targets = estep(logits, labels, logits=True).targets(logits, logits=True)
    assert np.isfinite(targets).all()
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(targets.argmax(axis=1), top)
    np.testing.assert_array_equal(targets.astype(np.float32).argmax(axis=1), top)
    assert (targets[~np.isfinite(logits)] == 0).all()


def test_a_bin_that_is_always_wrong_ends_in_the_least_sure_target_with_the_same_answer():
    probs = np.tile([0.9, 0.1, 0.0, 0.0], (10, 1))
    step = estep(probs, np.ones(10, int))
    assert step.q[8] == 0
    (target,) = step.targets(probs[:1])
    assert target[0] == pytest.approx(target[1], rel=1e-5)
    assert target[0] > target[1]


def test_errors_name_the_row():
    with pytest.raises(InputError, match="row 1"):
        estep([[0.5, 0.5], [0.9, 0.2]], [0, 0])
    with pytest.raises(InputError, match="shape"):
        estep(P, Y).targets(P[0])
