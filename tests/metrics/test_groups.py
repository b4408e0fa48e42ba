"""Groups of rows: how they are told apart, in which order they come, and where the gap is."""

import numpy as np
import pytest

import calibfast
from calibfast.metrics.groups import coded, name_order

RNG = np.random.default_rng(0)


def test_integers_of_64_bits_come_first_as_such():
    numbers = [-(2**63), -11, -3, 0, 9, 10, 2**63 - 1]
    texts = ["", "+1", "-", "--3", "-0", "-5-", str(-(2**63) - 1), "07", "1" * 21, "3-", str(2**63), "a", "b", "\u0663"]
    names = [*map(str, numbers), *texts]
    order = RNG.permutation(len(names))
    assert sorted((names[k] for k in order), key=name_order) == [*map(str, numbers), *sorted(texts)]
    assert list(coded([names[k] for k in order]).members()) == [*map(str, numbers), *sorted(texts)]
    y = np.ones(len(names), int)
    assert list(calibfast.evaluate(y * 0.5, y, groups=[names[k] for k in order]).groups)[:7] == names[:7]


@pytest.mark.parametrize(
    ("groups", "texts"),
    [
        ([1, 2.5, None, "1", True], ["1", "2.5", "None", "1", "True"]),
        ([1, 2.5], ["1", "2.5"]),
        (np.array([1, 2.5]), ["1.0", "2.5"]),
        (np.array([3, -1, 3], np.int8), ["3", "-1", "3"]),
        (np.array([2**63, 5], np.uint64), [str(2**63), "5"]),
        (np.array([True, False]), ["True", "False"]),
        (np.array(["b", "a", "b"]), ["b", "a", "b"]),
        (["\ud800"], ["\\ud800"]),
    ],
)
def test_groups_are_told_apart_by_their_text(groups, texts):
    found = coded(groups)
    assert found.texts() == texts
    assert coded(found) is found
    assert found.take(np.array([0])).texts() == texts[:1]
    assert {name: rows.tolist() for name, rows in found.members().items()} == {
        name: [k for k, text in enumerate(texts) if text == name] for name in texts
    }


def test_rows_of_a_group_stay_in_order():
    groups = RNG.integers(0, 3, 500).astype(str)
    for name, rows in coded(groups).members().items():
        assert rows.tolist() == np.flatnonzero(groups == name).tolist()


def test_the_gap_by_hand():
    p, y = np.array([0.95, 0.95, 0.6, 0.6, 0.35]), np.array([1, 1, 0, 0, 1])
    found = calibfast.group_errors(p, y, ["b", "a", "b", "a", "a"])
    assert found.gap == pytest.approx(0.65 / 5)
    assert (found.gap_group, found.gap_bin) == ("a", (0.3, 0.4))
    assert found.errors == pytest.approx({"a": (0.05 + 0.6 + 0.65) / 3, "b": 0.65 / 2})
    halves = calibfast.group_errors(p, y, ["b", "a", "b", "a", "a"], bins=2)
    assert (halves.gap_group, halves.gap_bin, halves.gap) == ("a", (0.0, 0.5), found.gap)
    tied = calibfast.group_errors([0.6, 0.6], [0, 0], ["z", "a"])
    assert tied.gap_group == tied.worst == "a"


def test_ignored_rows_have_no_part_in_groups():
    p, y, names = RNG.random(60), RNG.integers(-1, 2, 60), RNG.choice(["x", "y", "z"], 60)
    y[names == "z"] = -1
    kept = y >= 0
    for measure in (calibfast.evaluate, lambda *rows, groups, **more: calibfast.group_errors(*rows, groups, **more)):
        found = measure(p, y, groups=names, ignore_index=-1)
        plain = measure(p[kept], y[kept], groups=names[kept])
        assert getattr(found, "groups", found) == getattr(plain, "groups", plain)
