import numpy as np
import pytest
import torch

from calibfast.models.encoding import encode_questions
from calibfast.models.load import load_model
from calibfast.models.prompt import LETTERS, render_prompt
from calibfast.world.designer import IN_DOMAIN, OUT_OF_DOMAIN, Designer
from calibfast.world.model import encode, make_model, make_tokenizer, pretrain


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    return Designer(rng).draw(3000, [*IN_DOMAIN, *OUT_OF_DOMAIN], rng)


def test_every_word_of_every_prompt_is_known_and_none_is_idle(drawn):
    tokenizer = make_tokenizer()
    tokens = torch.cat([encode(tokenizer, drawn.questions, [letter] * 3000) for letter in range(4)])
    assert tokenizer.unk_token_id not in tokens
    assert set(tokens.unique().tolist()) == set(range(len(tokenizer))) - set(tokenizer.all_special_ids)


def test_a_prompt_goes_through_the_tokenizer_and_back(drawn):
    tokenizer = make_tokenizer()
    prompt = render_prompt(tokenizer, drawn.questions[0])
    tokens = encode(tokenizer, drawn.questions[:1], [2])[0]
    assert tokenizer.decode(tokens).split() == (prompt.text + prompt.options[2]).split()


def test_the_library_finds_the_same_tokens(drawn):
    tokenizer = make_tokenizer()
    tokens = encode(tokenizer, drawn.questions, drawn.labels)
    for row, question, encoded in zip(
        tokens.tolist(), drawn.questions, encode_questions(tokenizer, drawn.questions), strict=True
    ):
        assert row == [*encoded.context, *encoded.options[question.answer]]
        assert tokenizer.convert_ids_to_tokens([token for (token,) in encoded.options]) == list(LETTERS[:4])


def test_a_saved_model_is_loaded_as_any_other(drawn, tmp_path):
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    model = make_model(tokenizer).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, loaded_tokenizer = load_model(tmp_path, device="cpu")
    tokens = encode(tokenizer, drawn.questions[:8], drawn.labels[:8])
    assert torch.equal(tokens, encode(loaded_tokenizer, drawn.questions[:8], drawn.labels[:8]))
    with torch.no_grad():
        assert torch.equal(model(tokens).logits, loaded(tokens).logits)


def test_pre_training_learns(drawn):
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    model = make_model(tokenizer)
    tokens = encode(tokenizer, drawn.questions, drawn.labels)

    def answer_loss():
        with torch.no_grad():
            logits = model(tokens[:500]).logits
        return torch.nn.functional.cross_entropy(logits[:, -2], tokens[:500, -1]).item()

    before = answer_loss()
    pretrain(model, tokens.split(100), 30)
    assert answer_loss() < 1.5 < before
    assert not model.training
