"""Every refused input says what is wrong, where, and what to do."""

import numpy as np
import pytest

import calibfast
from calibfast import InputError

OPTIONS = np.array([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]])


def options(row, column, value):
    changed = OPTIONS.copy()
    changed[row, column] = value
    return changed


CASES = {
    "nan": ([0.5, np.nan], [1, 0], {}, "row 1 is NaN; drop or repair", 1, None),
    "above one": ([0.5, 0.2, 1.5], [1, 0, 1], {}, r"row 2 is 1.5, outside \[0, 1\]", 2, None),
    "below zero": ([-0.1], [1], {}, r"row 0 is -0.1, outside \[0, 1\]", 0, None),
    "infinite": ([np.inf], [1], {}, r"row 0 is inf, outside", 0, None),
    "correct": ([0.5, 0.5], [1, 2], {}, "correct at row 1 is 2, expected 0 or 1", 1, None),
    "correct float": ([0.5, 0.5], [1.0, 0.5], {}, "correct at row 1 is 0.5", 1, None),
    "length": ([0.5, 0.5], [1], {}, "correct has 1 rows, expected 2", None, None),
    "empty": ([], [], {}, "no rows", None, None),
    "probability": (options(1, 1, -0.6), [0, 1, 0], {}, "row 1, column 1 is -0.6", 1, 1),
    "probability nan": (options(2, 0, np.nan), [0, 1, 0], {}, "row 2, column 0 is NaN", 2, 0),
    "row sum": (options(1, 0, 0.41), [0, 1, 0], {}, "row 1 sum to 1.01.*logits=True", 1, None),
    "label": (OPTIONS, [0, 2, 0], {}, r"label at row 1 is 2, outside \[0, 2\)", 1, None),
    "negative label": (OPTIONS, [0, 1, -100], {}, "row 2 is -100.*ignore_index", 2, None),
    "label type": (OPTIONS, [0.0, 1.0, 0.0], {}, "labels have type float64, expected integers", None, None),
    "one-hot": (OPTIONS, np.eye(2)[[0, 1, 0]].astype(int), {}, r"labels have shape \(3, 2\)", None, None),
    "labels length": (OPTIONS, [0, 1], {}, "labels has 2 rows, expected 3", None, None),
    "logit nan": (options(1, 0, np.nan), [0, 1, 0], {"logits": True}, "logit at row 1, column 0 is NaN", 1, 0),
    "logit inf": (options(1, 0, np.inf), [0, 1, 0], {"logits": True}, "column 0 is inf", 1, 0),
    "no option": (np.full((1, 2), -np.inf), [0], {"logits": True}, "row 0 has no option", 0, None),
    "absent label": (options(1, 1, -np.inf), [0, 1, 0], {"logits": True}, "label at row 1 is 1.*absent", 1, None),
    "masked": (OPTIONS, [0, 1, 0], {"mask": OPTIONS > 0.3}, "row 0, column 1 is 0.3, but the mask", 0, 1),
    "mask shape": (OPTIONS, [0, 1, 0], {"mask": np.ones(3, bool)}, r"mask is bool of shape \(3,\)", None, None),
    "weight": ([0.5, 0.5], [1, 0], {"weights": [1, -1]}, "weight at row 1 is -1", 1, None),
    "weight nan": ([0.5, 0.5], [1, 0], {"weights": [1, np.nan]}, "weight at row 1 is NaN", 1, None),
    "weights length": ([0.5, 0.5], [1, 0], {"weights": [1]}, "weights has 1 rows, expected 2", None, None),
    "no weight": ([0.5, 0.5], [1, 0], {"weights": [0, 0]}, "no rows", None, None),
    "all ignored": ([0.5, 0.5], [-1, -1], {"ignore_index": -1}, "no rows", None, None),
    "objects": (np.array([0.5, None]), [1, 0], {}, "type object, expected numbers", None, None),
    "strings": (["0.5", "0.6"], [1, 0], {}, "expected numbers", None, None),
    "complex": (np.array([0.5j]), [1], {}, "complex128", None, None),
    "ragged": ([[0.5, 0.5], [1.0]], [1, 0], {}, "ragged.*-inf logits", None, None),
    "masked array": (np.ma.array([0.5, 0.6], mask=[0, 1]), [1, 0], {}, "masked array", None, None),
    "three dimensions": (np.zeros((2, 2, 2)), [1, 0], {}, r"shape \(2, 2, 2\)", None, None),
    "zero bins": ([0.5], [1], {"bins": 0}, "bins is at least 1, got 0", None, None),
    "bins text": ([0.5], [1], {"bins": "ten"}, "number of bins or a sequence of edges", None, None),
    "bins float": ([0.5], [1], {"bins": 2.5}, "number of bins or a sequence of edges", None, None),
    "bins order": ([0.5], [1], {"bins": [0, 0.7, 0.3, 1]}, "rise strictly", None, None),
    "confidence logits": ([0.5], [1], {"logits": True}, r"logits and mask go with \(N, K\)", None, None),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("function", [calibfast.ece, calibfast.evaluate])
def test_refused(function, name):
    p, y, kwargs, message, row, column = CASES[name]
    with pytest.raises(InputError, match=message) as caught:
        function(p, y, **kwargs)
    assert (caught.value.row, caught.value.column) == (row, column)
    assert isinstance(caught.value, ValueError)


P, Y = np.array([0.5, 0.7, 0.9]), np.array([True, False, True])
SETTINGS = {
    "hosmer_lemeshow bins": (lambda: calibfast.hosmer_lemeshow(P, Y, bins=0), "bins is at least 1, got 0"),
    "spiegelhalter": (
        lambda: calibfast.spiegelhalter([0.5, 1.0], [1, 1]),
        "needs a confidence other than 0, 1/2 and 1",
    ),
    "ecce kind": (lambda: calibfast.ecce_test(P, Y, kind="l2"), "kind is 'mad' or 'range', got 'l2'"),
    "t_cal": (lambda: calibfast.t_cal([0.1, 0.9], [0, 1], bins=2), "needs two rows of one bin"),
    "skce rows": (lambda: calibfast.skce_test([0.5], [1]), "needs at least 2, got 1"),
    "skce bandwidth": (lambda: calibfast.skce_test(P, Y, bandwidth=0), "bandwidth is above 0, got 0"),
    "skce estimator": (lambda: calibfast.skce(P, Y, estimator="cubic"), "estimator is 'quadratic', 'biased'"),
    "adaptive threshold": (
        lambda: calibfast.adaptive_ece(OPTIONS, [0, 1, 0], threshold=1),
        r"threshold is in \[0, 1\)",
    ),
    "debiased kind": (lambda: calibfast.debiased_rmsce(P, Y, kind="top"), "kind is 'confidence' or 'classwise'"),
    "metric": (
        lambda: calibfast.evaluate(P, Y, metrics="smce"),
        "no metric 'smce' to add to a report; there are all, ",
    ),
    "interval": (
        lambda: calibfast.interval(lambda *_, **__: np.nan, np.tile(P, 9), np.tile(Y, 9)),
        "is not finite in 1000",
    ),
    "compare labels": (
        lambda: calibfast.compare(OPTIONS, OPTIONS, [0, 1, 0], y_b=[0, 0, 0]),
        "labels at row 1 are 1 and 0",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_refused_settings(name):
    call, message = SETTINGS[name]
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("at", [0, 127, 128, 499_999, 900_001, 999_999])
def test_the_first_bad_row_is_named_wherever_it_is(dtype, at, threads):
    p, y = np.full(1_000_000, 0.5, dtype), np.ones(1_000_000, bool)
    p[at], p[-1] = 2, 3
    expected = 3 if at == 999_999 else 2
    with pytest.raises(InputError, match=f"row {at} is {expected}"):
        calibfast.ece(p, y, threads=threads)


def test_the_row_of_a_bad_value_counts_the_ignored_ones():
    with pytest.raises(InputError, match="row 3 is 7"):
        calibfast.ece([0.5, 0.5, 0.5, 7.0], [1, -1, -1, 1], ignore_index=-1)
    with pytest.raises(InputError, match="label at row 2 is 9"):
        calibfast.ece(OPTIONS, [-1, 0, 9], ignore_index=-1)


def test_softmax_rounding_passes_in_every_type():
    rng = np.random.default_rng(0)
    for k in (2, 10, 1000, 50_000):
        logits = rng.normal(0, 3, (8, k)).astype(np.float32)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs = e / e.sum(axis=1, keepdims=True)
        for dtype in (np.float32, np.float16):
            calibfast.ece(probs.astype(dtype), np.zeros(8, int))


def test_minus_zero_is_zero():
    assert calibfast.ece(np.float32([-0.0] * 200), [False] * 200) == 0
