"""Log-probabilities of options, however questions are laid out, are those of each option read by itself."""

from __future__ import annotations

import pytest
import torch
from tiny import make_model

from calibfast.models.adapter import add_lora
from calibfast.models.batch import make_batch
from calibfast.models.encoding import EncodedQuestion
from calibfast.models.forward import can_pack, log_probs, option_scores

LETTERS = [
    EncodedQuestion((1, 20, 30), ((40,), (41,), (42,)), (1, 3), (1, 1, 1)),
    EncodedQuestion((1, 21, 31, 41, 51, 61), ((40,), (41,)), (0, 6), (1, 1)),
    EncodedQuestion((1,), ((42,), (41,), (40,), (43,)), (0, 1), (1, 1, 1, 1)),
]
TEXTS = [
    EncodedQuestion((1, 20, 30), ((40, 50, 60), (41,), (40, 50)), (1, 3), (7, 2, 5)),
    EncodedQuestion((1, 21, 31, 41, 51, 61), ((40, 44), (41, 45, 46, 47, 48)), (2, 5), (3, 9)),
    LETTERS[2],
]


def positions_from_a_table():
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=103, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2)
    return GPT2LMHeadModel(config).eval()


def eager():
    model = make_model()
    model.set_attn_implementation("eager")
    return model


def no_positions():
    from transformers import BloomConfig, BloomForCausalLM

    torch.manual_seed(0)
    config = BloomConfig(vocab_size=103, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2)
    return BloomForCausalLM(config).eval()


def alone(model, tokens):
    """Log-probability of every token after the first, the row by itself."""
    logits = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    return logits[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:], dtype=torch.long)]


@pytest.mark.parametrize("make", [make_model, positions_from_a_table, eager, no_positions])
@pytest.mark.parametrize("questions", [LETTERS, TEXTS], ids=["letters", "texts"])
@torch.no_grad()
def test_neither_padding_nor_company_changes_a_probability(make, questions):
    model = make()
    packed = can_pack(model)
    assert packed == (make is not no_positions)
    batch = make_batch(questions, packed=packed)
    given = log_probs(model, batch, question=True)
    less = log_probs(model, batch)
    torch.testing.assert_close(less.options, given.options, rtol=1e-4, atol=1e-4)
    scores = option_scores(given, batch)
    for index, question in enumerate(questions):
        for place, option in enumerate(question.options):
            each = alone(model, [*question.context, *option])[-len(option) :]
            torch.testing.assert_close(given.options[index, place, : len(option)], each, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(scores[index, place], each.sum(), rtol=1e-4, atol=1e-4)
        assert torch.isneginf(scores[index, len(question.options) :]).all()
        start, stop = question.asked
        expected = alone(model, list(question.context))[max(start, 1) - 1 : stop - 1].sum()
        torch.testing.assert_close(given.question[index], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_one_row_for_each_option_gives_the_same():
    model = make_model()
    together, apart = make_batch(TEXTS), make_batch(TEXTS, packed=False)
    assert len(together["input_ids"]) == 3
    assert len(apart["input_ids"]) == 6
    torch.testing.assert_close(
        log_probs(model, together, question=True), log_probs(model, apart, question=True), rtol=1e-4, atol=1e-4
    )


def test_scores_by_token_and_by_byte():
    batch = make_batch(TEXTS)
    with torch.no_grad():
        given = log_probs(make_model(), batch)
    total, by_token, by_byte = (option_scores(given, batch, how) for how in ("sum", "token", "byte"))
    for index, question in enumerate(TEXTS):
        for place, option in enumerate(question.options):
            assert by_token[index, place] == pytest.approx(float(total[index, place]) / len(option))
            assert by_byte[index, place] == pytest.approx(float(total[index, place]) / question.sizes[place])
    assert torch.isneginf(by_byte[~batch["present"]]).all()


def test_rows_end_in_the_last_column():
    batch = make_batch(LETTERS)
    assert batch["input_ids"][:, -1].tolist() == [30, 61, 1]
    assert batch["attention_mask"].sum(1).tolist() == [3, 6, 1]
    assert batch["position_ids"][0].tolist() == [0, 0, 0, 0, 1, 2]
    assert batch["present"].sum(1).tolist() == [3, 2, 4]


@pytest.mark.parametrize(("questions", "positions"), [(LETTERS, 1), (TEXTS, 6)], ids=["letters", "texts"])
def test_the_vocabulary_is_computed_at_the_needed_positions_only(questions, positions):
    model = make_model()
    seen = []
    model.lm_head.register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[1]))
    with torch.no_grad():
        log_probs(model, make_batch(questions))
    assert seen == [positions]


def test_a_wrapped_model_is_asked_alike():
    model, batch = make_model(), make_batch(LETTERS)
    with torch.no_grad():
        expected = log_probs(model, batch).options
        assert torch.equal(log_probs(torch.nn.DataParallel(model), batch).options, expected)
        assert torch.equal(log_probs(add_lora(model, 2, 4), batch).options, expected)
