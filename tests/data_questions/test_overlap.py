from __future__ import annotations

import pytest

from calibfast.data.overlap import fingerprint, overlap
from calibfast.data.questions import Question

ASKED = Question("q1", "optics", "Which colour bends most?", ("red", "Violet"), 1)


@pytest.mark.parametrize(
    "copy",
    [
        Question("other", None, "Which colour bends most?", ("red", "Violet"), 1),
        Question("q1", "optics", " which  Colour\nbends most? ", ("RED", "violet "), 1),
        Question("q1", "optics", "Which colour bends most?", ("Violet", "red"), 0),
        Question("q1", "optics", "Which colour bends most?", ("red", "red", "Violet"), 2),
    ],
)
def test_copies_are_known(copy):
    assert fingerprint(copy) == fingerprint(ASKED)


@pytest.mark.parametrize(
    "other",
    [
        Question("q1", "optics", "Which colour bends least?", ("red", "Violet"), 1),
        Question("q1", "optics", "Which colour bends most?", ("red", "blue"), 1),
        Question("q1", "optics", "Which colour bends most?", ("red", "Violet", "blue"), 1),
        Question("q1", "optics", "Which colour bends most? red", ("Violet",), 0),
    ],
)
def test_others_are_not(other):
    assert fingerprint(other) != fingerprint(ASKED)


def test_the_fingerprint_is_for_keeping():
    # Written into run folders: it must not change from one version to the next.
    assert fingerprint(ASKED) == "d7092d5f62093d7ded10e3fe1f7d1c05e5adc44bc42e1aa328cf4dc7fe243329"


def test_overlap():
    questions = [Question(f"q{index}", None, f"text {index}", ("x", "y"), 0) for index in range(5)]
    shared = [Question("new", None, "Text 3", ("y", "x"), 1), Question("new", None, "text 0", ("x", "y"), 0)]
    assert overlap(questions, {fingerprint(question) for question in shared}) == [questions[0], questions[3]]
    assert overlap(questions, set()) == []
