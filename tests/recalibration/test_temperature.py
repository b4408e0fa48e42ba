from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

import calibfast
from calibfast.errors import CalibfastWarning, InputError, StateError
from calibfast.recalibration.temperature import TemperatureScaling


def sample(true_temperature, rows=20_000, options=4, seed=0):
    """Logits that are off by a temperature, and labels drawn at the right one."""
    draw = np.random.default_rng(seed)
    honest = draw.normal(size=(rows, options)) * 1.5
    cumulative = softmax(honest, axis=1).cumsum(axis=1)
    labels = (draw.random((rows, 1)) > cumulative[:, :-1]).sum(axis=1)
    return honest * true_temperature, labels


@pytest.mark.parametrize("true_temperature", [0.2, 1.0, 1.5, 8.0, 300.0])
def test_the_temperature_moves_as_far_as_it_must(true_temperature):
    logits, labels = sample(true_temperature)
    scaling = TemperatureScaling().fit(logits, labels, logits=True)
    assert scaling.temperature == pytest.approx(true_temperature, rel=0.05)
    before = calibfast.evaluate(logits, labels, logits=True)
    after = calibfast.evaluate(scaling.predict_proba(logits, logits=True), labels)
    assert after.accuracy == before.accuracy
    assert after.conf_ece < 0.02
    assert after.nll <= before.nll


def test_it_is_the_minimum():
    logits, labels = sample(3.0, rows=500)
    scaling = TemperatureScaling().fit(logits, labels, logits=True)

    def nll(temperature):
        return calibfast.evaluate(logits / temperature, labels, logits=True).nll

    best = nll(scaling.temperature)
    assert all(best <= nll(scaling.temperature * factor) for factor in (0.9, 0.999, 1.001, 1.1))


def test_probabilities_and_logits_agree():
    logits, labels = sample(3.0, rows=500)
    probs = softmax(logits, axis=1)
    by_logits = TemperatureScaling().fit(logits, labels, logits=True)
    by_probs = TemperatureScaling().fit(probs, labels)
    assert by_probs.temperature == pytest.approx(by_logits.temperature, rel=1e-6)
    np.testing.assert_allclose(by_probs.predict_proba(probs), by_logits.predict_proba(logits, logits=True), rtol=1e-5)


def test_absent_options_stay_absent():
    logits, labels = sample(8.0, rows=2000)
    wide = np.concatenate([logits, np.full((len(logits), 1), -np.inf)], axis=1)
    scaling = TemperatureScaling().fit(wide, labels, logits=True)
    assert scaling.temperature == TemperatureScaling().fit(logits, labels, logits=True).temperature
    probs = scaling.predict_proba(wide, logits=True)
    assert not probs[:, -1].any()
    np.testing.assert_allclose(probs.sum(axis=1), 1)


def test_extreme_logits_stay_finite():
    logits = np.array([[1e30, -1e30, 0.0], [500.0, 499.0, -np.inf]])
    probs = TemperatureScaling(0.01).predict_proba(logits, logits=True)
    np.testing.assert_allclose(probs, [[1, 0, 0], [1, 0, 0]], atol=1e-12)


def test_all_right_goes_to_the_end():
    assert TemperatureScaling().fit([[2.0, 0.0]] * 5, [0] * 5, logits=True).temperature < 1e-2


def test_json():
    scaling = TemperatureScaling(2.5)
    assert TemperatureScaling.from_json(scaling.to_json()).temperature == 2.5
    for text in ("", "{}", "[1]", '{"kind": "temperature", "version": 9, "temperature": 1}', scaling.to_json()[:-3]):
        with pytest.raises(StateError):
            TemperatureScaling.from_json(text)
    with pytest.raises(InputError, match="call fit first"):
        TemperatureScaling().to_json()


def test_bfloat16():
    torch = pytest.importorskip("torch")
    logits, labels = sample(8.0, rows=2000)
    coarse = torch.tensor(logits).bfloat16()
    exact = TemperatureScaling().fit(coarse.double().numpy(), labels, logits=True)
    assert TemperatureScaling().fit(coarse, labels, logits=True).temperature == exact.temperature


@pytest.mark.parametrize(
    ("p", "labels", "logits", "message"),
    [
        ([[0.5, 0.5]], [2], False, "row 0"),
        ([[0.5, 0.5], [1.0, 0.0]], [0, 1], False, "row 1: the right option 1 is absent or has probability 0"),
        ([[0.5, float("nan")]], [0], False, "row 0"),
        ([[0.5, 0.6]], [0], False, "row 0"),
        ([[0.5, float("inf")]], [0], True, "row 0"),
        ([[0.5, 0.5]], [0, 1], False, "label"),
        ([[0.5, 0.5]], [0.0], False, "labels have type float64"),
        (np.empty((0, 2)), np.empty(0, int), False, "row"),
        ([0.5], [0], False, r"needs the probabilities of all options, \(N, K\)"),
    ],
)
def test_bad_input(p, labels, logits, message):
    with pytest.raises(InputError, match=message):
        TemperatureScaling().fit(p, labels, logits=logits)


def test_bad_temperature():
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError):
            TemperatureScaling(temperature)


def test_a_temperature_at_an_end_warns():
    scores = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    with pytest.warns(CalibfastWarning, match=r"end of its range, 1e\+04: the rows are answered no better than"):
        TemperatureScaling().fit(scores, [1, 1, 0, 0], logits=True)
