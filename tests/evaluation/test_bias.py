from __future__ import annotations

import numpy as np
import pytest
from tiny import make_model, make_questions, make_tokenizer

from calibfast.evaluation.bias import measure_bias, option_bias
from calibfast.evaluation.options import OptionScores, score_options
from calibfast.evaluation.permute import ask_in_orders, average_orders


def scores(rows):
    logits = np.full((len(rows), max(map(len, rows))), -np.inf, dtype=np.float32)
    for row, values in enumerate(rows):
        logits[row, : len(values)] = values
    zeros = np.zeros(len(rows), dtype=np.int64)
    return OptionScores(logits, zeros, None, ("",) * len(rows), (None,) * len(rows))


def test_a_model_that_always_says_the_first_letter_is_told_from_one_that_knows_the_answer():
    questions = make_questions(30)
    texts = scores([np.arange(len(q.choices)) == q.answer for q in questions])
    blind = option_bias(
        questions, scores([[5.0, *[0.0] * (len(q.choices) - 1)] for q in ask_in_orders(questions)]), texts
    )
    knows = option_bias(
        questions,
        scores([np.where(np.arange(len(q.choices)) == q.answer, 5.0, 0.0) for q in ask_in_orders(questions)]),
        texts,
    )
    assert (blind.same_letter.estimate, blind.same_option.estimate) == (1, 0)
    assert (knows.same_letter.estimate, knows.same_option.estimate) == (0, 1)
    assert knows.cloze_agreement.estimate == 1
    assert blind.letters[0].ci[0] > 0.9
    for letter in knows.letters:
        assert letter.probability == pytest.approx(letter.uniform)


def test_drawn_orders_find_what_cyclic_ones_hide():
    """A model that picks the option that stands before the right one holds to it in all cyclic orders alone."""
    questions = [question for question in make_questions(60) if len(question.choices) > 2]
    texts = scores([np.arange(len(q.choices)) == q.answer for q in questions])

    def found(circles):
        before = [
            np.where(np.arange(len(q.choices)) == (q.answer - 1) % len(q.choices), 5.0, 0.0)
            for q in ask_in_orders(questions, circles)
        ]
        return option_bias(questions, scores(before), texts, circles)

    assert (found(1).same_option.estimate, found(1).circles) == (1, 1)
    several = found(4)
    assert (several.same_option.estimate, several.same_letter.estimate) == (0, 0)
    assert several.cloze_agreement.estimate < 1
    for letter in several.letters:
        assert letter.probability == pytest.approx(letter.uniform)


def test_entropy_between_certainty_and_indifference():
    questions = make_questions(12)
    orders = [len(q.choices) for q in ask_in_orders(questions)]
    texts = scores([[0.0] * len(q.choices) for q in questions])
    alike = option_bias(questions, scores([[0.0] * n for n in orders]), texts)
    sure = option_bias(questions, scores([[0.0, *[-2000.0] * (n - 1)] for n in orders]), texts)
    assert alike.entropy.estimate == pytest.approx(1)
    assert sure.entropy.estimate == pytest.approx(0)
    assert alike.cloze_distance == pytest.approx(0, abs=1e-6)


def test_a_model_is_measured_as_evaluate_does():
    model, tokenizer, questions = make_model(), make_tokenizer(), make_questions(12)
    found = measure_bias(model, tokenizer, questions, progress=False)
    asked = score_options(model, tokenizer, ask_in_orders(questions), progress=False)
    for letter, bias in zip(found.letters, average_orders(questions, asked)[1], strict=True):
        assert (letter.letter, letter.uniform) == (bias.letter, pytest.approx(bias.uniform))
        assert letter.probability == pytest.approx(bias.probability, rel=1e-4)
