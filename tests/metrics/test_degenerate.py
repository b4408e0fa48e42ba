"""What says nothing, or everything, gives the defined number or an error that names what is missing: never NaN."""

import math

import numpy as np
import pytest
from metrics.registry import CASES, METRICS

import calibfast
from calibfast import InputError

ROWS = {
    "constant": ([0.7] * 10, [1, 0] * 5),
    "constant and right": ([0.7] * 10, [1] * 10),
    "all wrong": ([0.9, 0.8, 0.8, 0.6], [0, 0, 0, 0]),
    "perfect": ([1.0] * 5 + [0.0] * 5, [1] * 5 + [0] * 5),
    "perfectly wrong": ([1.0] * 5 + [0.0] * 5, [0] * 5 + [1] * 5),
    "one row": ([0.7], [1]),
    "one sure row": ([1.0], [0]),
    "two rows": ([0.2, 0.9], [0, 1]),
    "next to one": ([1 - 2**-53, 2**-1074], [1, 0]),
}


def form_of(p, y, form):
    p, y = np.array(p), np.array(y)
    return (p, y) if form == "confidence" else (np.stack([p, 1 - p], axis=1), 1 - y)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("name", "form"), CASES)
def test_never_nan(name, form, rows):
    p, y = form_of(*ROWS[rows], form)
    try:
        found = METRICS[name].function(p, y)
    except InputError:
        return
    for value in found if isinstance(found, tuple) else (found,):
        assert value is None or (not math.isnan(value) and (math.isfinite(value) or name.endswith("nll"))), value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibfast.auroc([0.9, 0.8], [1, 1]), "right answers with wrong ones"),
        (lambda: calibfast.cox([0.9, 1.0], [1, 0]), "a confidence is 1"),
        (lambda: calibfast.cox([0.0, 0.5], [1, 0]), "a confidence is 0"),
        (lambda: calibfast.cox([0.6, 0.7, 0.8], [0, 0, 1]), "separates"),
        (lambda: calibfast.cox([0.5, 0.5], [0, 1]), "separates"),
        (lambda: calibfast.cox([0.6, 0.7, 0.8, 0.9], [0, 0, 1, 1]), "separates"),
        (lambda: calibfast.cox([0.6, 0.7, 0.7, 0.8], [0, 0, 1, 1]), "separates"),
        (lambda: calibfast.cox([0.6, 0.7, 0.7, 0.8], [1, 1, 0, 0]), "separates"),
        (lambda: calibfast.corp([1.0, 0.5], [0, 1], score="log"), "log score is infinite"),
        (lambda: calibfast.corp([0.5], [1], score="rps"), "score is 'brier' or 'log'"),
        (lambda: calibfast.debiased_rmsce([0.5], [1]), "two rows"),
        (lambda: calibfast.debiased_rmsce([0.5, 0.6], [1, 0], weights=[1, 1.5]), "weight at row 1 is 1.5; .*whole"),
        (lambda: calibfast.debiased_rmsce([0.5, 0.6], [1, 0], kind="classwise"), r"needs \(N, K\) probabilities"),
        (lambda: calibfast.skce([0.5], [1]), "needs two"),
        (lambda: calibfast.skce([0.5, 0.6], [1, 0], estimator="linear", weights=[1, 1]), "weights have no meaning"),
        (lambda: calibfast.skce([0.5, 0.6], [1, 0], estimator="block", block=3), "from 2 rows to all 2"),
        (lambda: calibfast.skce([0.5, 0.6], [1, 0], estimator="block", block=2.0), "to all 2, got 2.0"),
        (lambda: calibfast.skce([0.5, 0.6], [1, 0], block=2), "block goes with"),
        (lambda: calibfast.skce([0.5, 0.6], [1, 0], width=0), "width is above 0"),
        (lambda: calibfast.skce([0.5, 0.6], [1, 0], weights=[1, 1.5]), "weight at row 1 is 1.5; the unbiased skce"),
        (lambda: calibfast.kde_ece([0.5], [1]), "needs two"),
        (lambda: calibfast.kde_ece([0.5, 0.6], [1, 0], weights=[1, 1.5]), "weight at row 1 is 1.5; kde_ece"),
        (lambda: calibfast.kde_ece([0.5, 0.6], [1, 0], bandwidth=-1), "bandwidth is above 0"),
        (lambda: calibfast.smece([0.5], [1], bandwidth=float("nan")), "bandwidth is above 0"),
        (lambda: calibfast.kde_ece([0.5, 0.6], [1, 0], bandwidth=math.inf), "bandwidth is above 0, got inf"),
        (lambda: calibfast.ecce([0.5], [1], statistic="max"), "'mad' or 'range'"),
        (lambda: calibfast.equal_mass_ece([0.5], [1], bins=[0, 1]), "find their edges themselves"),
        (lambda: calibfast.equal_mass_ece([0.5], [1], norm="l3"), "norm is 'l1', 'l2' or 'max'"),
        (lambda: calibfast.adaptive_ece([0.5], [1]), r"needs \(N, K\)"),
        (lambda: calibfast.adaptive_ece([[0.5, 0.5]], [1], threshold=0.6), "above the threshold"),
        (lambda: calibfast.top_k_ece([[0.5, 0.5]], [1], k=3), "from 1 to the 2 options"),
        (lambda: calibfast.top_k_ece([[0.5, 0.5]], [1], k=1.0), "k is a whole number from 1 to the 2 options, got 1.0"),
        (lambda: calibfast.top_k_ece([[0.5, 0.5]], [1], k=True), "k is a whole number from 1 to the 2 options, got T"),
        (lambda: calibfast.group_errors([0.5], [1], ["a", "b"]), r"groups have shape \(2,\)"),
        (lambda: calibfast.group_errors([0.5], [1], ["a"], metric=calibfast.auroc), "group 'a': auroc"),
        (lambda: calibfast.smece([0.5, 2.0, 3.0], [-1, 1, 1], ignore_index=-1), "row 1 is 2"),
        (lambda: calibfast.smece([0.5, 0.6], [1], ignore_index=-1), "labels has 1 rows, expected 2"),
        (lambda: calibfast.smece([0.5, 0.6], [1, 0], weights=[0, 0]), "no rows"),
        (lambda: calibfast.mmce([0.5, 0.6], [1, 0], weights=[1, -1]), "weight at row 1 is -1"),
        (lambda: calibfast.adaptive_ece([[0.5, 0.5]] * 2, [1, 0], weights=[1, np.inf]), "weight at row 1 is inf"),
        (lambda: calibfast.CalibrationError(kind="smece"), "needs the rows.*calibfast.smece"),
        (lambda: calibfast.CalibrationError(kind="overconfidence_error"), "function of the bins.*calibfast.over"),
    ],
)
def test_what_is_missing_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_metric_that_has_nothing_to_add_to_chance():
    assert calibfast.debiased_rmsce([0.5] * 4, [0, 1, 0, 1], bins=1) == 0
    assert calibfast.skce([0.5] * 4, [0, 1, 0, 1]) < 0
    assert calibfast.skce([0.5, 0.6], [1, 0], width=0.4) == pytest.approx(0.5 * -0.6 * math.exp(-0.1 / 0.4))


def test_estimators_in_blocks():
    from reference import kernel

    rng = np.random.default_rng(0)
    p, y = rng.dirichlet([0.5] * 4, 301), rng.integers(0, 4, 301)
    for estimator, block in [("linear", 2), ("block", 7), ("block", 301)]:
        kwargs = {} if estimator == "linear" else {"block": block}
        ours = calibfast.skce(p, y, estimator=estimator, width=0.3, **kwargs)
        assert ours == pytest.approx(kernel.skce(p, y, estimator, block=block), rel=1e-10)
        ours = calibfast.skce(p[:, 0], y == 0, estimator=estimator, width=0.3, **kwargs)
        assert ours == pytest.approx(kernel.skce(p[:, 0], y == 0, estimator, block=block), rel=1e-10)
    for rows in ((p, y), (p[:, 0], y == 0)):
        assert calibfast.skce(*rows, estimator="block", block=301) == pytest.approx(calibfast.skce(*rows), rel=1e-10)
    for n, block in [(2, 2), (8, 2), (9, 3), (301, 17)]:
        assert calibfast.skce(p[:n], y[:n], estimator="block") == calibfast.skce(
            p[:n], y[:n], estimator="block", block=block
        )


def test_top_1_is_ece():
    rng = np.random.default_rng(0)
    for dtype in (np.float16, np.float32, np.float64):
        p, y = rng.dirichlet([0.5] * 4, 1000).astype(dtype), rng.integers(0, 4, 1000)
        assert calibfast.top_k_ece(p, y, k=1) == calibfast.ece(p, y)
        assert calibfast.top_k_ece(p, y, k=4) < 1e-3


def test_of_tied_options_the_lower_index_is_among_the_k():
    p = np.tile([1.5 / 64, 0.5 / 64], (2, 32))
    assert calibfast.top_k_ece(p, [0, 30], k=16) == 1 - 0.375
    assert calibfast.top_k_ece(p, [32, 62], k=16) == 0.375
    assert calibfast.top_k_ece(p, [30, 32], k=16) == 0.5 - 0.375


def test_absent_options_are_not_there():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(500, 3)), rng.integers(0, 3, 500)
    wide = np.pad(logits, ((0, 0), (2, 0)), constant_values=-np.inf)
    for metric in (calibfast.adaptive_ece, calibfast.smece, calibfast.skce, calibfast.kde_ece):
        kwargs = {"width": 0.3} if metric is calibfast.skce else {}
        kwargs |= {"bandwidth": 0.1} if metric is calibfast.kde_ece else {}
        narrow = metric(logits, y, logits=True, **kwargs)
        assert metric(wide, y + 2, logits=True, **kwargs) == pytest.approx(narrow, rel=1e-10)
    assert calibfast.top_k_ece(wide, y + 2, k=3, logits=True) == 0


@pytest.mark.parametrize("form", ["mask", "logits", "bfloat16"])
def test_an_option_of_probability_0_is_likelier_than_one_that_is_absent(form):
    logits = np.array([[-np.inf, 0.0, -1e6]])
    if form == "mask":
        assert calibfast.top_k_ece([[0.0, 1.0, 0.0]], [2], k=2, mask=logits > -np.inf) == 0
        return
    if form == "bfloat16":
        logits = pytest.importorskip("torch").tensor(logits).bfloat16()
    assert calibfast.top_k_ece(logits, [2], k=2, logits=True) == 0


def test_classes_have_the_rows_that_give_them_something():
    p = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.4, 0.6, 0.0]])
    expected = (abs(1.9 / 3 - 2 / 3) + abs(1.1 / 2 - 1 / 2)) / 2
    assert calibfast.adaptive_ece(p, [0, 1, 0], bins=1) == pytest.approx(expected)
    wide, weights = np.concatenate([p, np.eye(3)[2:]]), [1, 1, 1, 0]
    assert calibfast.adaptive_ece(wide, [0, 1, 0, 0], bins=1, weights=weights) == pytest.approx(expected)
    masked = calibfast.debiased_rmsce(p, [0, 1, 0], bins=1, kind="classwise", mask=p > 0)
    squares = [3 * ((1.9 / 3 - 2 / 3) ** 2 - 2 / 3 / 3 / 2), 2 * ((1.1 / 2 - 1 / 2) ** 2 - 1 / 2 / 2 / 1)]
    assert masked == pytest.approx(math.sqrt(max(0, sum(squares) / 3 / 2)))


def test_groups():
    rng = np.random.default_rng(0)
    p, y = rng.random(1000), rng.random(1000) < 0.5
    names = np.where(p > 0.7, "sure", "unsure")
    found = calibfast.group_errors(p, y, names, metric=calibfast.smece)
    assert found.errors == {name: calibfast.smece(p[names == name], y[names == name]) for name in ("sure", "unsure")}
    assert found.worst == "sure"
    assert found.rows == {"sure": int((p > 0.7).sum()), "unsure": int((p <= 0.7).sum())}
    assert found.gap_bin[1] > 0.7 or found.gap_group == "unsure"
    weights = np.where(names == "sure", 0.0, 1.0)
    with pytest.raises(InputError, match="group 'sure'"):
        calibfast.group_errors(p, y, names, weights=weights)
