from __future__ import annotations

import pytest

from calibfast.data.few_shot import few_shot_examples
from calibfast.data.questions import Question
from calibfast.errors import InputError


def question(name, subject):
    return Question(name, subject, f"What is {name}?", ("this", "that"), 0)


SOLVED = [question(f"{subject}{n}", subject) for n in range(3) for subject in ("law", "art")]


def names(*questions, count=2):
    return [[example.id for example in row] for row in few_shot_examples(questions, SOLVED, count)]


def test_the_first_of_the_subject_or_of_all():
    asked = [question("x", "art"), question("y", "law"), question("z", "physics"), question("u", None)]
    assert names(*asked) == [["art0", "art1"], ["law0", "law1"], ["law0", "art0"], ["law0", "art0"]]


def test_a_question_is_never_its_own_example():
    copy = Question("copy", "law", " what is LAW0?", ("that", "this"), 1)
    assert names(copy) == [["law1", "law2"]]


def test_too_few():
    with pytest.raises(InputError, match="question 'law0': 2 solved questions of the subject 'law' can be shown"):
        names(question("x", "law"), question("law0", "law"), count=3)
    with pytest.raises(InputError, match="question 'u': 6 solved questions can be shown before it, and 7 are wanted"):
        names(question("u", None), count=7)
