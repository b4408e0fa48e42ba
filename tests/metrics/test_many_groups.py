"""Of very many groups there is a table: the numbers of each group's own report, exact for every order of rows."""

import json

import numpy as np
import pytest

import calibfast
from calibfast.errors import InputError
from calibfast.metrics import Evaluation
from calibfast.report import render

RNG = np.random.default_rng(0)
N, GROUPS = 6000, 1500
P = RNG.random(N, dtype=np.float32)
Y = RNG.random(N) < P
USERS = RNG.integers(0, GROUPS, N)
WIDE = RNG.dirichlet(np.ones(3), N).astype(np.float32)


def fed(p, y, groups, parts, **options):
    evaluation = Evaluation(bins=7)
    for rows in np.array_split(np.arange(len(y)), parts):
        evaluation.update(p[rows], y[rows], groups=groups[rows], **options)
    return evaluation


@pytest.mark.parametrize(
    ("p", "y", "options"),
    [
        (P, Y, {}),
        (P.astype(np.float16), Y, {}),
        (WIDE, RNG.integers(0, 3, N), {}),
        (np.log(WIDE), RNG.integers(-1, 3, N), {"logits": True, "ignore_index": -1}),
    ],
    ids=["confidence", "float16", "probs", "logits"],
)
def test_each_group_has_the_numbers_of_its_own_report(p, y, options):
    report = fed(p, y, USERS, 3, **options).report()
    table = report.group_table
    assert report.groups == {}
    assert report.worst_group == max(table.rows(), key=lambda row: row["conf_ece"])["group"]
    assert table.names == list(map(str, sorted(set(USERS[y != -1].tolist()))))
    for row in table.rows(range(0, len(table), 97)):
        mine = (int(row["group"]) == USERS) & (y != -1)
        own = calibfast.evaluate(p[mine], y[mine], bins=7, logits=options.get("logits", False))
        found = (row["n"], row["accuracy"], row["mean_confidence"], row["signed_gap"], row["conf_ece"])
        assert found == (own.n, own.accuracy, own.mean_confidence, own.signed_gap, own.conf_ece)
    cell = {}
    bins = np.ceil(np.float64(P) * 7)
    if options == {} and p is P:
        for user, m, gap in zip(USERS.tolist(), bins.tolist(), (Y - np.float64(P)).tolist(), strict=True):
            cell[user, m] = cell.get((user, m), 0) + gap
        assert report.multicalibration_gap == pytest.approx(max(map(abs, cell.values())) / N)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint64, np.str_, list])
def test_integers_and_their_digits_are_the_same_groups(kind):
    few = USERS % 251
    groups = few.tolist() if kind is list else few.astype(kind)
    assert calibfast.evaluate(P, Y, groups=groups) == calibfast.evaluate(P, Y, groups=few)
    whole = fed(P, Y, USERS, 1).report().group_table
    doubled = fed(P, Y, USERS.astype(str), 2).merge(fed(P, Y, USERS, 2)).report().group_table
    assert doubled.names == whole.names
    assert np.array_equal(doubled.n, 2 * whole.n)
    assert np.array_equal(doubled.conf_ece, whole.conf_ece)


def test_order_and_merging_change_nothing():
    whole = fed(P, Y, USERS, 1).report()
    order = RNG.permutation(N)
    assert fed(P[order], Y[order], USERS[order], 4).report().group_table == whole.group_table
    left, right = fed(P[:10], Y[:10], USERS[:10], 1), fed(P[10:], Y[10:], USERS[10:], 1)
    merged = left.merge(right).report()
    assert (merged.group_table, merged.groups) == (whole.group_table, {})


def test_a_table_shows_the_worst_and_json_and_csv_have_all():
    report = fed(P, Y, USERS, 1).report()
    table = report.group_table
    worst = max(table.rows(), key=lambda row: row["n"] * row["conf_ece"])
    assert table.worst(1) == [worst]
    assert len(table.worst(3)) == 3
    text = render(report)
    assert f"\n{worst['group']} " in text
    assert f"{len(table) - 20:,} groups more" in text
    found = json.loads(report.to_json())["groups"]
    assert len(found) == len(table)
    assert found[worst["group"]]["conf_ece"] == worst["conf_ece"]
    lines = render(report, "csv").splitlines()
    assert len(lines) == 2 + len(table)
    assert {line.count(",") for line in lines} == {lines[0].count(",")}


def test_weights_go_with_few_groups_alone():
    weights = np.ones(N)
    assert len(calibfast.evaluate(P, Y, weights=weights, groups=USERS % 30).groups) == 30
    many = fed(P, Y, USERS, 1)
    with pytest.raises(InputError, match="up to 1,000 groups"):
        many.update(P, Y, groups=USERS, weights=weights)
    assert many.report().n == N
