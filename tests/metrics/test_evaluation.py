"""An evaluation in parts, merged, or made of states, is the evaluation of all its rows."""

import copy
import pickle

import numpy as np
import pytest

import calibfast
from calibfast import Evaluation, InputError

RNG = np.random.default_rng(0)
N = 300
LOGITS = RNG.normal(size=(N, 4))
MASK = np.arange(4) < 3 + RNG.integers(0, 2, (N, 1))
LABELS = np.where(RNG.random(N) < 0.1, -1, RNG.integers(0, 3, N))
GROUPS = RNG.integers(0, 5, N)
LOGITS[~MASK] = 9.0
pytestmark = pytest.mark.filterwarnings("ignore::calibfast.CalibfastWarning")


def fed(rows, parts=1, weights=None, groups=GROUPS, **settings):
    evaluation = Evaluation(7, **settings)
    for part in np.array_split(np.arange(N)[rows], parts):
        evaluation.update(
            LOGITS[part], LABELS[part], logits=True, mask=MASK[part], ignore_index=-1,
            weights=None if weights is None else weights[part], groups=None if groups is None else groups[part],
        )  # fmt: skip
    return evaluation


SETTINGS = [{}, {"keep_rows": False}, {"metrics": ["corp", "smece"]}, {"ci": True}]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_parts_and_merges(settings, weighted):
    given = {"weights": RNG.exponential(size=N) if weighted else None, **settings}
    whole = fed(slice(None), **given).report()
    assert fed(slice(None), parts=4, **given).report() == whole
    left, middle, right = (fed(rows, **given) for rows in (slice(0, 7), slice(7, 200), slice(200, N)))
    assert left.merge(middle).merge(right).report() == whole
    assert Evaluation(7, **settings).merge(left).merge(Evaluation(7, **settings)).report() == whole
    assert whole.groups["3"] == fed((GROUPS == 3) & (LABELS >= 0), groups=None, **given).report()
    assert (whole.auroc is None) == (settings == {"keep_rows": False})
    assert len(whole.ci) == (11 if "ci" in settings else 0 if weighted else 2)
    assert len(whole.metrics) == (4 if "metrics" in settings else 0)


def test_rows_without_weights_after_rows_with_them():
    weights = np.full(N, 2.0)
    for first, second in ((weights, None), (None, weights)):
        parts = fed(slice(0, 100), weights=first), fed(slice(100, N), weights=second)
        merged = parts[0].merge(parts[1])
        assert merged.group_table is None
        report = merged.report()
        assert report.ci == {}
        assert len(report.groups) == 5
        one = fed(slice(0, 100), weights=first)
        rest = slice(100, N)
        one.update(
            LOGITS[rest], LABELS[rest], logits=True, mask=MASK[rest], ignore_index=-1, groups=GROUPS[rest],
            weights=None if second is None else second[rest],
        )  # fmt: skip
        assert one.report() == report
        assert one.group_table is None
    single = Evaluation(7)
    single.update([0.5], [1], weights=[1.0])
    single.update([0.5], [1])
    assert single.report().ci == {}


def test_rows_are_kept_only_where_both_keep_them():
    for keep in ((True, False), (False, True), (False, False)):
        left, right = (fed(rows, keep_rows=one) for rows, one in zip((slice(0, 9), slice(9, N)), keep, strict=True))
        report = left.merge(right).report()
        assert report.auroc is None
        assert "needs the rows" in report.not_measured["aurc"]


def test_errors_count_rows_from_the_first_of_all():
    evaluation = fed(slice(0, 9)).merge(fed(slice(9, 30)))
    for seen in (30, 32):
        with pytest.raises(InputError, match=f"row {seen + 1} is 7") as caught:
            evaluation.update(LOGITS[:2], [0, 7], logits=True)
        assert caught.value.row == seen + 1
        evaluation.update(LOGITS[:2], [0, 1], logits=True)
    with pytest.raises(InputError, match="row 0 is 7"):
        Evaluation(7).update(LOGITS[:2], [7, 0], logits=True)


def test_as_many_rows_as_are_kept(monkeypatch):
    monkeypatch.setattr("calibfast.metrics.evaluation.MAX_KEPT_ROWS", 10)
    p, y = np.linspace(0.1, 0.9, 11), np.arange(11) % 2
    assert calibfast.evaluate(p[:10], y[:10]).auroc is not None
    assert calibfast.evaluate(p, y).auroc is None


@pytest.mark.parametrize("weighted", [False, True])
def test_what_states_tell(weighted):
    seen = fed(slice(None), weights=np.full(N, 2.0) if weighted else None, keep_rows=False)
    again = Evaluation.of_state(seen.state, seen.group_states, seen.group_table)
    assert again.report() == seen.report()
    assert again.group_table == seen.group_table
    assert Evaluation.of_state(seen.state).report().groups == {}
    for evaluation in (seen, again):
        evaluation.update(LOGITS[:9], np.abs(LABELS[:9]), logits=True, groups=["new"] * 9)
    assert again.report().groups.keys() == {"0", "1", "2", "3", "4", "new"}
    assert again.report() == seen.report()
    with pytest.raises(InputError, match=f"row {N + 9} is 7"):
        again.update(LOGITS[:1], [7], logits=True)


@pytest.mark.parametrize("form", ["masked", "bfloat16", "float32"])
def test_a_table_counts_rows_as_reports_do(form, monkeypatch):
    monkeypatch.setattr("calibfast.metrics.evaluation.MAX_GROUP_REPORTS", 4)
    if form == "masked":
        rows = (LOGITS, np.abs(LABELS), {"logits": True, "mask": MASK})
    else:
        torch = pytest.importorskip("torch")
        p = torch.tensor(RNG.integers(0, 31, N) / 30).to(getattr(torch, form))
        rows = (p, RNG.integers(0, 2, N), {})
    p, y, given = rows
    report = calibfast.evaluate(p, y, groups=GROUPS, bins=30, **given)
    assert report.groups == {}
    for row in report.group_table.rows():
        mine = int(row["group"]) == GROUPS
        own = {**given, "mask": MASK[mine]} if form == "masked" else given
        assert row["conf_ece"] == calibfast.ece(p[mine], y[mine], bins=30, **own)


def test_a_report_of_masked_logits_by_hand():
    report = fed(slice(None)).report()
    kept = LABELS >= 0
    probs = np.where(MASK, np.exp(LOGITS), 0)[kept]
    probs /= probs.sum(axis=1, keepdims=True)
    p, y = probs.max(axis=1), probs.argmax(axis=1) == LABELS[kept]
    assert (report.auroc, report.aurc) == pytest.approx((calibfast.auroc(p, y), calibfast.aurc(p, y)))
    place = np.ceil(p * 7).astype(int) - 1
    for m, one in enumerate(report.reliability):
        inside = place == m
        assert (one.lower, one.upper, one.count) == (m / 7, (m + 1) / 7, inside.sum())
        if one.count:
            assert (one.accuracy, one.confidence) == pytest.approx((y[inside].mean(), p[inside].mean()))
        else:
            assert (one.accuracy, one.confidence) == (None, None)
    worst = calibfast.evaluate([0.9, 0.8], [0, 1], groups=["a", "b"])
    assert worst.worst_group == "a"
    lacking = calibfast.evaluate([0.5, 0.6], [1, 1], metrics=["cox", "smece"])
    assert lacking.metrics["cox_slope"] is None
    assert lacking.metrics["smece"] is not None
    assert lacking.not_measured.keys() == {"cox"}
    assert "separates" in lacking.not_measured["cox"]


@pytest.mark.parametrize("groups", [2, 1001])
def test_an_evaluation_travels_with_its_groups(groups):
    p = np.linspace(0.1, 0.9, 3000)
    evaluation = Evaluation()
    evaluation.update(p, np.arange(3000) % 3 == 0, groups=np.arange(3000) % groups)
    assert pickle.loads(pickle.dumps(evaluation)).report() == evaluation.report() == copy.deepcopy(evaluation).report()
