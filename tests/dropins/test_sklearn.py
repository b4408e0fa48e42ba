"""The scorer in scikit-learn's searches, the display beside its own."""

from __future__ import annotations

import pickle

import matplotlib as mpl
import numpy as np
import pytest
from reference import calibration as reference
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from calibfast import InputError
from calibfast.recalibration import TemperatureScaling
from calibfast.sklearn import CalibrationScorer, ReliabilityDisplay

mpl.use("agg")
X, NUMBERS = make_classification(240, n_informative=5, n_classes=3, random_state=0)
Y = np.array(["dog", "cat", "eel"])[NUMBERS]
FOLDS = StratifiedKFold(3)
MODEL = LogisticRegression()


def by_hand(model, scorer):
    """The same folds, with the reference."""
    found = []
    for fit, test in FOLDS.split(X, Y):
        probs = model.fit(X[fit], Y[fit]).predict_proba(X[test])
        labels = np.searchsorted(model.classes_, Y[test])
        error = reference.classwise_error if scorer.kind == "classwise" else reference.confidence_error
        found.append(-error(probs, labels, scorer.bins, scorer.norm))
    return found


@pytest.mark.parametrize(
    "scorer", [CalibrationScorer(), CalibrationScorer(15, norm="l2"), CalibrationScorer(kind="classwise")]
)
def test_cross_validation(scorer):
    assert cross_val_score(MODEL, X, Y, cv=FOLDS, scoring=scorer) == pytest.approx(by_hand(MODEL, scorer))
    assert pickle.loads(pickle.dumps(scorer)) == scorer


def test_a_grid_search_picks_the_least_error():
    grid = {"logisticregression__C": [1e-3, 1e-1, 10.0]}
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MODEL),
        grid,
        cv=FOLDS,
        scoring={"ece": CalibrationScorer(), "nll": "neg_log_loss"},
        refit="ece",
    ).fit(X, Y)
    scores = search.cv_results_["mean_test_ece"]
    assert search.best_index_ == scores.argmax()
    assert search.best_score_ == scores.max() < 0
    assert -1 < scores.min() < scores.max()


def test_a_search_over_recalibration():
    probs = MODEL.fit(X, NUMBERS).predict_proba(X)
    found = cross_validate(TemperatureScaling(), probs, NUMBERS, cv=FOLDS, scoring={"ece": CalibrationScorer()})
    assert (found["test_ece"] < 0).all()


def test_weights():
    weights = np.arange(240) % 3
    model = MODEL.fit(X, Y)
    rows = np.repeat(np.arange(240), weights)
    assert CalibrationScorer()(model, X, Y, sample_weight=weights) == pytest.approx(
        CalibrationScorer()(model, X[rows], Y[rows])
    )


def test_rows_that_scikit_learn_itself_rounds_coarsely():
    scorer = CalibrationScorer(kind="classwise")
    assert cross_val_score(GaussianNB(), X, Y, cv=FOLDS, scoring=scorer) == pytest.approx(by_hand(GaussianNB(), scorer))


def test_what_has_no_probability():
    with pytest.raises(InputError, match="LinearSVC has no predict_proba"):
        CalibrationScorer()(LinearSVC().fit(X, Y), X, Y)
    known = Y != "eel"
    with pytest.raises(InputError, match="y at row 1 is eel, a class that LogisticRegression was not fitted to") as e:
        CalibrationScorer()(LogisticRegression().fit(X[known], Y[known]), X[:3], ["cat", "eel", "dog"])
    assert e.value.row == 1

    class Odd(LogisticRegression):
        def predict_proba(self, x):
            return super().predict_proba(x) * 1.01

    with pytest.raises(InputError, match=r"sum to 1\.01"):
        CalibrationScorer()(Odd().fit(X, Y), X, Y)


def test_displays_share_axes():
    model = MODEL.fit(X, Y)
    first = ReliabilityDisplay.from_estimator(model, X, Y, bins=5)
    probs = model.predict_proba(X)
    second = ReliabilityDisplay.from_predictions(
        (probs.argmax(1) == np.searchsorted(model.classes_, Y)),
        probs.max(1),
        bins=5,
        name="again",
        ax=first.ax_,
        ref_line=False,
        color="red",
    )
    assert first.ax_ is second.ax_
    assert first.figure_ is first.ax_.figure
    assert len(first.ax_.lines) == 3, "two models and the diagonal"
    np.testing.assert_array_equal(first.line_.get_xydata(), second.line_.get_xydata())
    filled = [part for part in first.report.reliability if part.count]
    assert first.line_.get_xydata().tolist() == [[part.confidence, part.accuracy] for part in filled]
    ece = reference.confidence_error(probs, np.searchsorted(model.classes_, Y), 5)
    assert [text.get_text() for text in first.ax_.get_legend().get_texts()] == [
        f"LogisticRegression, conf-ECE {ece:.3f}",
        f"again, conf-ECE {ece:.3f}",
    ]
    assert second.line_.get_color() == "red"
    first.figure_.canvas.draw()
    mpl.pyplot.close(first.figure_)
