"""Names of groups: which are the same, and which are none."""

from pathlib import Path

import numpy as np
import pytest

from calibfast import InputError
from calibfast.io.columns import Grouping, Place
from calibfast.metrics.groups import Coded

PLACE = Place(Path("a.csv"), "subject")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["law", "art"], ["law", "art"]),
        (["law", " law"], ["law", "law"]),
        (["1", "1.0", "one"], ["1", "1", "one"]),
        (["law", "law"], ["law", "law"]),  # a dictionary of Arrow may say a name twice
    ],
)
def test_names_that_are_the_same(names, expected):
    rows = np.arange(len(names))
    found = Grouping()(Coded(names, rows), PLACE)
    assert found.texts() == expected == Grouping()(names, PLACE).texts()
    assert sorted(found.names) == sorted(set(expected))


@pytest.mark.parametrize("empty", ["", " ", "nan", "None"])
def test_a_row_without_a_name(empty):
    names, grouping = ["law", empty], Grouping()
    assert grouping(Coded(names, np.array([0, 0])), PLACE).texts() == ["law", "law"]
    with pytest.raises(InputError, match="row 1, 'subject': is empty; every row needs a value"):
        grouping(Coded(names, np.array([0, 1])), PLACE)
