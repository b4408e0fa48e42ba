"""What every recalibration method must do."""

import json

import numpy as np
import pytest
from scipy.special import softmax

import calibfast
from calibfast.errors import InputError, StateError
from calibfast.recalibration import METHODS, TemperatureScaling, cross_fit, from_json, recalibrator, select
from calibfast.recalibration.one_vs_rest import OneVsRest

SAYS_ZERO = {"isotonic", "histogram", "spline"}  # whose NLL may be infinite
MIXES = {"matrix", "dirichlet"}  # has no meaning for absent options
BINARY = [name for name, method in METHODS.items() if issubclass(method, OneVsRest)]


def sample(rows, seed, options=4):
    """Logits that are far too sure, and lean to the first option."""
    draw = np.random.default_rng(seed)
    honest = draw.normal(size=(rows, options)) * 1.5
    labels = (draw.random((rows, 1)) > softmax(honest, axis=1).cumsum(axis=1)[:, :-1]).sum(axis=1)
    return honest * 3 + np.eye(options)[0], labels


LOGITS, LABELS = sample(900, 0)
NEW, NEW_LABELS = sample(3000, 1)
DRAW = np.random.default_rng(2)
ABSENT = (DRAW.random(LOGITS.shape) < 0.2) & (np.arange(4) != LABELS[:, np.newaxis])
RAGGED = np.where(ABSENT, -np.inf, LOGITS)


@pytest.fixture(scope="module")
def fitted():
    return {name: recalibrator(name).fit(LOGITS, LABELS, logits=True) for name in METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_json_gives_back_the_same_bits(fitted, name):
    again = from_json(fitted[name].to_json())
    assert type(again) is type(fitted[name])
    assert again.to_json() == fitted[name].to_json()
    np.testing.assert_array_equal(again.predict_proba(NEW, logits=True), fitted[name].predict_proba(NEW, logits=True))


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_rows_changes_no_bit(fitted, name):
    order = DRAW.permutation(len(LABELS))
    assert recalibrator(name).fit(LOGITS[order], LABELS[order], logits=True).to_json() == fitted[name].to_json()


@pytest.mark.parametrize("name", METHODS)
def test_it_helps_on_rows_it_has_not_seen(fitted, name):
    before, after = calibfast.evaluate(NEW, NEW_LABELS, logits=True), fitted[name].test(NEW, NEW_LABELS, logits=True)
    assert after.conf_ece < before.conf_ece / 2
    assert after.brier < before.brier
    if name not in SAYS_ZERO:
        assert after.nll < before.nll


@pytest.mark.parametrize("name", METHODS)
def test_probabilities_sum_to_1(fitted, name):
    p = fitted[name].predict_proba(NEW, logits=True)
    assert p.shape == NEW.shape
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted[name].predict(NEW, logits=True), p.argmax(axis=1))


@pytest.mark.parametrize("name", METHODS)
def test_logits_in_the_thousands_stay_finite(fitted, name):
    p = fitted[name].predict_proba(NEW[:50] * 1000 + 5000 * np.arange(50)[:, np.newaxis], logits=True)
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_what_the_mask_leaves_out_has_no_probability():
    with pytest.raises(InputError, match=r"row 0, column 1 is 0.3, but the mask"):
        TemperatureScaling(2.0).predict_proba([[0.7, 0.3]], mask=[[True, False]])


@pytest.mark.parametrize("name", sorted(METHODS.keys() - MIXES))
def test_absent_options_stay_absent(name):
    found = recalibrator(name).fit(RAGGED, LABELS, logits=True)
    p = found.predict_proba(RAGGED, logits=True)
    assert not p[ABSENT].any()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    probs = softmax(RAGGED, axis=1)
    by_mask = recalibrator(name).fit(probs, LABELS, mask=~ABSENT).predict_proba(probs, mask=~ABSENT)
    assert not by_mask[ABSENT].any()
    if name != "vector":  # to which logits are more than their softmax
        np.testing.assert_allclose(by_mask, p, atol=1e-5)


@pytest.mark.parametrize("name", MIXES)
def test_absent_options_are_refused_with_the_reason(fitted, name):
    row, option = np.argwhere(ABSENT)[0]
    for refused in (
        lambda: recalibrator(name).fit(RAGGED, LABELS, logits=True),
        lambda: fitted[name].predict_proba(RAGGED, logits=True),
    ):
        with pytest.raises(
            InputError, match=f"row {row}: option {option} is absent .* mixes the scores of all options"
        ):
            refused()


@pytest.mark.parametrize("name", METHODS)
def test_testing_on_the_fitted_rows_is_refused(fitted, name):
    again = from_json(fitted[name].to_json())
    with pytest.raises(InputError, match=r"900 of 900 distinct rows are rows that this .* map was fitted to"):
        again.test(LOGITS[::-1], LABELS[::-1], logits=True)
    mixed, labels = np.concatenate([NEW[:900], LOGITS[:100]]), np.concatenate([NEW_LABELS[:900], LABELS[:100]])
    with pytest.warns(calibfast.CalibfastWarning, match="100 of 1000 distinct rows"):
        again.test(mixed, labels, logits=True)


@pytest.mark.parametrize(("shared", "outcome"), [(10, None), (11, "warned"), (250, "warned"), (251, "refused")])
def test_one_row_of_a_hundred_that_was_fitted_to_is_let_pass(fitted, shared, outcome):
    rows = np.concatenate([LOGITS[:shared], NEW[: 1000 - shared]])
    labels = np.concatenate([LABELS[:shared], NEW_LABELS[: 1000 - shared]])
    if outcome == "refused":
        with pytest.raises(InputError, match="251 of 1000 distinct rows"):
            fitted["temperature"].test(rows, labels, logits=True)
    elif outcome == "warned":
        with pytest.warns(calibfast.CalibfastWarning, match=f"{shared} of 1000 distinct rows"):
            fitted["temperature"].test(rows, labels, logits=True)
    else:
        assert fitted["temperature"].test(rows, labels, logits=True).n == 1000


def test_a_test_takes_masks_and_bins_and_a_temperature_that_was_not_fitted():
    mask = ~ABSENT[:50]
    found = TemperatureScaling(2.0).test(LOGITS[:50], LABELS[:50], logits=True, mask=mask)
    expected = calibfast.evaluate(RAGGED[:50] / 2, LABELS[:50], logits=True)
    for metric in ("nll", "conf_ece", "cw_ece"):
        assert getattr(found, metric) == pytest.approx(getattr(expected, metric))
    assert len(found.reliability) == 10
    assert len(TemperatureScaling(2.0).test(LOGITS[:50], LABELS[:50], logits=True, bins=7).reliability) == 7


def test_predictions_of_confidences_and_of_masked_rows():
    p, correct = np.linspace(0, 1, 21), np.arange(21) > 12
    found = recalibrator("histogram").set_params(bins=3).fit(p, correct)
    assert found.predict(p).tolist() == (found.predict_proba(p) > 0.5).tolist()
    assert 0 < found.predict(p).sum() < 21
    assert found.predict(p).dtype == np.intp
    assert len(found.test(p / 3 + 0.001, correct, bins=7).reliability) == 7
    assert repr(found) == "HistogramBinning(bins=3)"
    even = recalibrator("histogram").set_params(bins=1).fit([0.3, 0.7], [0, 1])
    assert even.predict([0.9]).tolist() == [0]  # as of two options, of which the first is taken
    scaled = TemperatureScaling(2.0).predict(LOGITS, logits=True, mask=~ABSENT)
    np.testing.assert_array_equal(scaled, RAGGED.argmax(axis=1))


@pytest.mark.parametrize("name", METHODS)
def test_other_numbers_of_options(fitted, name):
    if METHODS[name].any_width:
        assert fitted[name].predict_proba(NEW[:, :3], logits=True).shape == (3000, 3)
        return
    with pytest.raises(InputError, match="was fitted to 4 options, and the rows have 3"):
        fitted[name].predict_proba(NEW[:, :3], logits=True)


@pytest.mark.parametrize("name", METHODS)
def test_confidences(name):
    p = softmax(LOGITS[:, :2], axis=1)[:, 1]
    correct = LABELS % 2
    if name not in BINARY:
        with pytest.raises(InputError, match=r"needs the probabilities of all options, \(N, K\)"):
            recalibrator(name).fit(p, correct)
        return
    found = recalibrator(name).fit(p, correct)
    pair = np.stack([1 - p, p], axis=1)
    wide = recalibrator(name).fit(pair, correct).predict_proba(pair)
    np.testing.assert_array_equal(found.predict_proba(p), wide[:, 1])
    assert found.test(p[::-1] / 2, correct).classes is None


@pytest.mark.parametrize("name", METHODS)
def test_unfitted_and_damaged(fitted, name):
    for asked in (lambda: recalibrator(name).predict_proba(NEW, logits=True), recalibrator(name).to_json):
        with pytest.raises(InputError, match="call fit first"):
            asked()
    text = fitted[name].to_json()
    state = json.loads(text)
    for damaged in (
        text[:-9],
        "[]",
        "{}",
        "[" * 100_000,
        *(json.dumps(state | {k: v}) for k, v in (("version", 99), ("learned", {}), ("rows", "*" + state["rows"]))),
    ):
        with pytest.raises(StateError):
            from_json(damaged)
    with pytest.raises(StateError, match=r"expected|this is no saved"):
        METHODS["vector" if name != "vector" else "platt"].from_json(text)


@pytest.mark.parametrize("name", METHODS)
def test_sure_and_one_sided_rows_stay_finite(name):
    """Probabilities of exactly 0 and 1 where the method takes them, an option that is never right, few rows."""
    probs = np.array([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.5, 0.0]])
    if name in MIXES:
        probs = (probs + 0.01) / 1.03
    p = recalibrator(name).fit(probs, [0, 0, 1, 1]).predict_proba(probs)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_logits_and_probabilities_are_not_mixed_up(fitted):
    for name in ("vector", "matrix"):
        with pytest.raises(InputError, match="was fitted to logits and is given probabilities"):
            fitted[name].predict_proba(softmax(NEW, axis=1))
        by_probabilities = recalibrator(name).fit(softmax(LOGITS, axis=1), LABELS)
        with pytest.raises(InputError, match="was fitted to probabilities and is given logits"):
            by_probabilities.predict_proba(NEW, logits=True)


def test_options_that_were_never_seen():
    found = recalibrator("platt").fit(np.where(np.arange(4) == 3, -np.inf, LOGITS), LABELS % 3, logits=True)
    again = from_json(found.to_json())
    with pytest.raises(InputError, match="row 0: no row that was fitted to has option 3"):
        again.predict_proba(NEW, logits=True)


def test_options_that_no_row_has_now():
    found = recalibrator("histogram").fit(LOGITS, LABELS, logits=True)
    without = np.where(np.arange(4) == 0, -np.inf, NEW)
    p = found.predict_proba(without, logits=True)
    assert not p[:, 0].any()
    assert np.isfinite(p).all()
    assert len(np.unique(p, axis=0)) > 10


def test_a_row_to_which_all_maps_say_0_is_shared_by_the_options_that_are_there():
    """Each option is right where it has 0.2, and never where it has more."""
    rows = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.2, 0.5]])
    found = recalibrator("histogram").fit(np.repeat(rows, 10, axis=0), np.repeat([2, 0, 1], 10))
    asked = np.array([[0.4, 0.3, 0.3], [0.6, 0.4, 0.0], [0.2, 0.4, 0.4]])
    mask = np.array([[True, True, True], [True, True, False], [True, True, True]])
    expected = [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0], [1, 0, 0]]
    np.testing.assert_allclose(found.predict_proba(asked, mask=mask), expected)


def test_bounds_of_venn_abers_know_logits_and_absent_options():
    found = recalibrator("venn-abers").fit(RAGGED, LABELS, logits=True)
    bounds = found.bounds(RAGGED, logits=True)
    for low_or_high, by_mask in zip(bounds, found.bounds(LOGITS, logits=True, mask=~ABSENT), strict=True):
        np.testing.assert_array_equal(low_or_high, by_mask)
        assert not low_or_high[ABSENT].any()
    pair = recalibrator("venn-abers").fit(LOGITS[:, :2], LABELS % 2, logits=True)
    low, high = pair.bounds([[-np.inf, 0.0], [0.0, -np.inf], [0.0, 0.0]], logits=True)
    assert (low[0, 0], high[0, 0]) == (0, 0)
    assert (low[1, 1], high[1, 1]) == (0, 0)
    np.testing.assert_allclose([low[:, 0][1:], high[:, 0][1:]], [1 - high[:, 1][1:], 1 - low[:, 1][1:]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("histogram", {"bins": 0}), "bins is a whole number from 1"),
        (("histogram", {"bins": True}), "bins is a whole number from 1"),
        (("spline", {"knots": 1}), "knots is a whole number from 2"),
        (("spline", {"knots": True}), "knots is a whole number from 2"),
        (("dirichlet", {"intercept": -1}), "intercept is -1"),
        (("dirichlet", {"off_diagonal": np.inf}), "off_diagonal is inf"),
    ],
)
def test_bad_settings(settings, message):
    name, values = settings
    with pytest.raises(InputError, match=message):
        recalibrator(name).set_params(**values).fit(LOGITS, LABELS, logits=True)
    with pytest.raises(InputError, match="has no setting 'nothing'"):
        recalibrator(name).set_params(nothing=1)
    with pytest.raises(InputError, match="there is no recalibration method 'nothing'; there are temperature, "):
        recalibrator("nothing")


CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_param",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)


@pytest.mark.filterwarnings("ignore:Estimator .* does not inherit")
@pytest.mark.parametrize("name", METHODS.keys() - {"temperature"})
def test_scikit_learns_checks_of_settings(name):
    """The others of `check_estimator` fit features of any kind; here features are the probabilities of the classes."""
    from sklearn.utils.estimator_checks import estimator_checks_generator

    run = set()
    for estimator, check in estimator_checks_generator(recalibrator(name)):
        if check.func.__name__ in CHECKS:
            check(estimator)
            run.add(check.func.__name__)
    assert len(run) >= len(CHECKS) - 1  # names differ between versions


def test_scikit_learn_clones_and_searches(fitted):
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import GridSearchCV

    assert is_classifier(fitted["temperature"])
    with pytest.raises(InputError, match="call fit first"):
        clone(fitted["temperature"]).to_json()
    probs = softmax(LOGITS, axis=1)
    grid = {"off_diagonal": [1e-3, 1.0, 100.0]}
    search = GridSearchCV(recalibrator("dirichlet"), grid, scoring="neg_log_loss", cv=3).fit(probs, LABELS)
    assert search.best_params_["off_diagonal"] in grid["off_diagonal"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict_proba(probs).shape == probs.shape


def test_cross_fitting_uses_no_row_for_itself():
    """Histogram binning with a bin for every row says 1 for the right option, where it has seen the row."""
    p, correct = DRAW.random(200), DRAW.random(200) < 0.5
    method = recalibrator("histogram").set_params(bins=200)
    assert ((method.fit(p, correct).predict_proba(p) > 0.5) == correct).all()
    out_of_fold = cross_fit(method, p, correct)
    assert 0.3 < ((out_of_fold > 0.5) == correct).mean() < 0.7
    order = DRAW.permutation(200)
    np.testing.assert_array_equal(cross_fit(method, p[order], correct[order]), out_of_fold[order])
    for folds in (2, 5, 200):
        assert np.array_equal(cross_fit(method, p, correct, folds=folds), out_of_fold) == (folds == 5)
    for folds in (1, 201):
        with pytest.raises(InputError, match="from 2 to the number of rows, 200"):
            cross_fit(method, p, correct, folds=folds)


def test_the_choice_is_the_lowest_cross_validated_nll():
    found = select(LOGITS, LABELS, logits=True, methods=["isotonic", "histogram", "vector", "temperature"])
    nll = {each.method: each.nll for each in found.candidates}
    assert found.best.kind == min(nll, key=nll.get) == "vector"  # the sample leans to one option
    out_of_fold = cross_fit(recalibrator("vector"), LOGITS, LABELS, logits=True)
    assert nll["vector"] == pytest.approx(-np.log(out_of_fold[np.arange(900), LABELS]).mean())
    assert [each.nll for each in found.candidates] == sorted(nll.values())
    assert found.why.startswith(f"vector: cross-validated NLL {nll['vector']:.4f} (900 rows, 5 folds), ")
    assert "below temperature, the next" in found.why


@pytest.mark.parametrize("sharper", [1, 1 / 3])
def test_the_choice_in_numbers_of_rows_without_some_options(sharper):
    """Logits that are too sure, and honest ones, for which no method helps."""
    given = {"p": LOGITS[:300] * sharper, "labels": LABELS[:300], "logits": True, "mask": ~ABSENT[:300]}
    names = ["temperature", "vector", "platt"]
    found = select(**given, methods=names, folds=3)
    fitted = {name: cross_fit(recalibrator(name), **given, folds=3) for name in names}
    fitted["none"] = softmax(RAGGED[:300] * sharper, axis=1)
    losses = {name: -np.log(p[np.arange(300), LABELS[:300]]) for name, p in fitted.items()}
    for each in found.candidates:
        report = calibfast.evaluate(fitted[each.method], LABELS[:300])
        assert each.nll == pytest.approx(losses[each.method].mean())
        assert (each.report.nll, each.report.brier) == pytest.approx((report.nll, report.brier))
    chosen, second = [each.method for each in found.candidates if each.method != "none"][:2]
    said = []
    for name, text in ((second, f"{second}, the next"), ("none", "no recalibration")):
        gap = losses[name] - losses[chosen]
        side = "below" if gap.mean() > 0 else "above"
        said.append(f"{abs(gap.mean()):.4f} ± {gap.std() / np.sqrt(300):.4f} {side} {text}")
    advice = "; leave the predictions as they are" if losses["none"].mean() < losses[chosen].mean() else ""
    assert found.why.endswith(f"(300 rows, 3 folds), {', '.join(said)}{advice}")
    assert bool(advice) == (sharper != 1)
    again = recalibrator(chosen).fit(RAGGED[:300] * sharper, LABELS[:300], logits=True)
    assert found.best.to_json() == again.to_json()


def test_the_choice_says_where_a_method_gave_the_right_option_0():
    found = select(LOGITS[:100], LABELS[:100], logits=True, methods=["temperature", "histogram"])
    assert found.candidates[-1].nll == np.inf
    assert "against an infinite NLL of histogram, the next" in found.why


def test_the_choice_says_where_nothing_helps_and_what_has_no_meaning():
    honest, labels = (NEW - np.eye(4)[0]) / 3, NEW_LABELS
    found = select(honest, labels, logits=True, methods=["histogram"])
    assert found.why.endswith("leave the predictions as they are")
    found = select(RAGGED, LABELS, logits=True, methods=["matrix", "temperature"])
    assert found.candidates[-1].method == "matrix"
    assert "mixes the scores" in found.candidates[-1].refused
    with pytest.raises(InputError, match="no method fits these rows: matrix: "):
        select(RAGGED, LABELS, logits=True, methods=["matrix"])


def test_the_choice_takes_probabilities_of_a_coarser_type():
    found = select(softmax(LOGITS, axis=1).astype(np.float32), LABELS, methods=["temperature"])
    assert {each.method for each in found.candidates} == {"none", "temperature"}


def test_fitting_says_which_extra_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)
    with pytest.raises(calibfast.MissingExtraError, match=r"calibfast\[recalibrate\]"):
        TemperatureScaling().fit(LOGITS, LABELS, logits=True)
