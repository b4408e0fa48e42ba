from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from tiny import make_model, make_questions, make_tokenizer

from calibfast.data.questions import Question
from calibfast.evaluation.options import OptionScores, score_options
from calibfast.evaluation.permute import average_orders, cyclic_orders

TOKENIZER = make_tokenizer()


def permuted(model, questions):
    return average_orders(questions, score_options(model, TOKENIZER, cyclic_orders(questions), progress=False))


def test_every_option_stands_once_at_every_place():
    orders = cyclic_orders([Question("q", "law", "?", ("x", "y", "z"), 2)])
    assert [order.choices for order in orders] == [("x", "y", "z"), ("y", "z", "x"), ("z", "x", "y")]
    assert {order.choices[order.answer] for order in orders} == {"z"}
    assert {(order.id, order.subject) for order in orders} == {("q", "law")}


def test_an_options_probability_is_its_mean_over_the_orders():
    model, questions = make_model(), make_questions(12)
    scores, biases = permuted(model, questions)
    letters = [[] for _ in biases]
    for row, question in enumerate(questions):
        alone = score_options(model, TOKENIZER, cyclic_orders([question]), progress=False)
        given = {choice: [] for choice in question.choices}
        for order, probs in zip(cyclic_orders([question]), alone.probs, strict=True):
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
    scores = score_options(model, TOKENIZER, cyclic_orders(questions), progress=False)
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
