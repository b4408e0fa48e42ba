from __future__ import annotations

import itertools
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny import make_model, make_questions, make_tokenizer

from calibfast.data.questions import Question
from calibfast.evaluation.options import OptionScores, score_options
from calibfast.evaluation.permute import ask_in_orders, average_orders, circular_orders

TOKENIZER = make_tokenizer()
WHICH = {ord("q"): None} | {ord(str(n)): "vwxyz"[n - 1] for n in range(2, 6)}
"""From a question's name to its right option."""


def permuted(model, questions):
    return average_orders(questions, score_options(model, TOKENIZER, ask_in_orders(questions), progress=False))


def test_every_option_stands_once_at_every_place():
    orders = ask_in_orders([Question("q", "law", "?", ("x", "y", "z"), 2)])
    assert [order.choices for order in orders] == [("x", "y", "z"), ("y", "z", "x"), ("z", "x", "y")]
    assert {order.choices[order.answer] for order in orders} == {"z"}
    assert {(order.id, order.subject) for order in orders} == {("q", "law")}


@pytest.mark.parametrize(("size", "circles"), [(2, 5), (3, 2), (4, 3), (4, 6), (5, 100), (10, 4)])
def test_every_option_stands_equally_often_at_every_place(size, circles):
    orders = [circular_orders(size, circles, row).tolist() for row in range(3)]
    for order in orders:
        assert len(set(map(tuple, order))) == len(order) == size * min(circles, math.factorial(size - 1))
        assert order[:size] == circular_orders(size, 1, 0).tolist()
        counts = [np.bincount(column, minlength=size) for column in np.transpose(order)]
        assert (np.array(counts) == len(order) // size).all()
    assert orders == [circular_orders(size, circles, row).tolist() for row in range(3)]
    if 1 < circles < math.factorial(size - 1):
        assert orders[0] != orders[1] != orders[2]


def test_all_orders_of_questions_with_two_to_five_options():
    model = make_model()
    questions = [Question(f"q{n}", None, "?", tuple("vwxyz"[:n]), n - 1) for n in (4, 2, 5, 3)]
    asked = ask_in_orders(questions, circles=24)
    assert all(question.choices[question.answer] == question.id.translate(WHICH) for question in asked)
    scores = score_options(model, TOKENIZER, asked, progress=False)
    averaged, biases = average_orders(questions, scores, circles=24)
    start = 0
    letters = [[] for _ in range(5)]
    for row, question in enumerate(questions):
        every = list(itertools.permutations(question.choices))
        probs = dict(zip([each.choices for each in asked[start:]], scores.probs[start:], strict=True))
        start += len(every)
        for option, choice in enumerate(question.choices):
            mean = np.mean([probs[order][order.index(choice)] for order in every])
            np.testing.assert_allclose(averaged.probs[row, option], mean, rtol=1e-4)
            letters[option].append(np.mean([probs[order][option] for order in every]))
    assert start == len(asked) == 24 + 2 + 120 + 6
    np.testing.assert_allclose([bias.probability for bias in biases], list(map(np.mean, letters)), rtol=1e-4)
    np.testing.assert_allclose([bias.uniform for bias in biases[:2]], np.mean([1 / 2, 1 / 3, 1 / 4, 1 / 5]))


def test_an_options_probability_is_its_mean_over_the_orders():
    model, questions = make_model(), make_questions(12)
    scores, biases = permuted(model, questions)
    letters = [[] for _ in biases]
    for row, question in enumerate(questions):
        alone = score_options(model, TOKENIZER, ask_in_orders([question]), progress=False)
        given = {choice: [] for choice in question.choices}
        for order, probs in zip(ask_in_orders([question]), alone.probs, strict=True):
            for choice, prob in zip(order.choices, probs, strict=True):
                given[choice].append(prob)
        means = [np.mean(given[choice]) for choice in question.choices]
        np.testing.assert_allclose(scores.probs[row, : len(means)], means, rtol=1e-3)
        assert np.isneginf(scores.logits[row, len(means) :]).all()
        np.testing.assert_allclose(scores.letter_mass[row], alone.letter_mass.mean(), rtol=1e-3)
        for place, prob in enumerate(alone.probs.mean(axis=0)):
            letters[place].append((prob, 1 / len(means)))
    assert scores.ids == tuple(question.id for question in questions)
    assert scores.labels.tolist() == [question.answer for question in questions]
    expected = [tuple(np.mean(pairs, axis=0)) for pairs in letters]
    np.testing.assert_allclose([(bias.probability, bias.uniform) for bias in biases], expected, rtol=1e-3)
    assert [bias.letter for bias in biases] == ["A", "B", "C", "D", "E"]


def test_a_model_that_knows_letters_alone_is_found_out():
    model = make_model()
    with torch.no_grad():
        model.lm_head.weight.zero_()
    questions = [question for question in make_questions(40) if len(question.choices) == 4]
    for bias in permuted(model, questions)[1]:
        np.testing.assert_allclose((bias.probability, bias.uniform), 0.25, rtol=1e-5)
    scores = score_options(model, TOKENIZER, ask_in_orders(questions), progress=False)
    scores.logits[:] = [3.0, 2.0, 1.0, 0.0]  # whatever the options are
    averaged, biases = average_orders(questions, scores)
    np.testing.assert_allclose(averaged.probs, 0.25, rtol=1e-5)
    assert all(before.probability > after.probability for before, after in pairwise(biases))


def test_an_option_of_no_probability_is_still_there():
    logits = np.array([[0.0, -1e4], [-1e4, 0.0]], dtype=np.float32)
    scores = OptionScores(logits, np.array([0, 1]), None, ("q", "q"), (None, None))
    averaged, _ = average_orders([Question("q", None, "?", ("x", "y"), 0)], scores)
    assert np.isfinite(averaged.logits).all()
    assert averaged.letter_mass is None
