"""Every method under the Trainer's machinery: accumulation, normalisation, precision, memory, and every kind of row."""

from __future__ import annotations

import string

import numpy as np
import pytest
import torch
from tiny import make_model, make_questions, make_tokenizer

from calibfast.data.questions import Question
from calibfast.evaluation.options import score_options
from calibfast.models.adapter import load_adapter
from calibfast.models.batch import make_batch
from calibfast.models.encoding import encode_questions
from calibfast.models.forward import log_probs
from calibfast.training.config import METHOD_NAMES, TrainingConfig
from calibfast.training.fit import fit

TOKENIZER = make_tokenizer()


def questions_of(count, seed):
    """2 to 10 options of 1 to 3 letters each; the right one is what the text ends in."""
    draw = np.random.default_rng(seed)
    questions = []
    for index in range(count):
        options = 2 + index % 9
        letters = draw.permuted(list(string.ascii_lowercase))
        choices = tuple("".join(letters[2 * k : 2 * k + 1 + (index + k) % 3]) for k in range(options))
        answer = int(draw.integers(options))
        questions.append(Question(f"q{seed}-{index}", None, f"say {choices[answer]}", choices, answer))
    return questions


TRAIN, HELD_OUT = questions_of(24, 0), questions_of(12, 1)


def run(scoring="letter", model=None, **settings):
    usual = {"epochs": 2, "learning_rate": 3e-3, "lora_r": 4, "batch_size": 8, "scoring": scoring}
    config = TrainingConfig(**usual | settings)
    return fit(model or make_model(), TOKENIZER, TRAIN, HELD_OUT, config, progress=False)


def weights(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items() if "lora_" in name}


def epochs(history):
    return [event for event in history.events if event["event"] == "epoch"]


@pytest.mark.parametrize("scoring", ["letter", "cloze"])
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_every_method_learns(method, scoring):
    _, history = run(scoring, method=method, epochs=4, lambda_=0.5)
    losses = [event["loss"] for event in epochs(history)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


# The soft-binned ECE belongs to a batch, and is another one where batches are cut otherwise.
@pytest.mark.parametrize("method", [name for name in METHOD_NAMES if name != "soft-ece"])
@pytest.mark.parametrize("per", ["question", "token"])
def test_eight_at_once_and_one_by_one_learn_the_same(method, per):
    settings = {"method": method, "per": per, "epochs": 1, "learning_rate": 1e-3}
    whole, in_one = run("cloze", batch_size=8, **settings)
    pieces, in_eight = run("cloze", batch_size=1, gradient_accumulation=8, **settings)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(pieces)[name], value, rtol=2e-3, atol=2e-4)
    assert epochs(in_one)[0]["loss"] == pytest.approx(epochs(in_eight)[0]["loss"], rel=1e-3)


@pytest.mark.parametrize(("method", "question"), [("cft", False), ("sft2", True)])
@pytest.mark.parametrize("per", ["question", "token"])
def test_the_likelihood_is_averaged_over_questions_or_tokens(method, question, per, monkeypatch):
    caught = []
    from calibfast.training.trainer import CalibrationTrainer

    class Watched(CalibrationTrainer):
        def compute_loss(self, *arguments, **named):
            caught.append(super().compute_loss(*arguments, **named).item())
            return torch.zeros((), requires_grad=True)

    monkeypatch.setattr("calibfast.training.fit.CalibrationTrainer", Watched)
    run("cloze", method=method, per=per, epochs=1, batch_size=len(TRAIN))
    sums, counts = [], []
    for asked, row in zip(TRAIN, encode_questions(TOKENIZER, TRAIN, "cloze"), strict=True):
        with torch.no_grad():
            given = log_probs(make_model(), make_batch([row.only(asked.answer)]), question=True)
        start, stop = row.asked
        sums.append(-float(given.options.sum() + question * given.question[0]))
        counts.append(len(row.options[asked.answer]) + question * (stop - max(start, 1)))
    expected = np.sum(sums) / np.sum(counts) if per == "token" else np.mean(np.divide(sums, counts))
    assert caught == [pytest.approx(expected, rel=1e-4)]


def test_gradient_checkpointing_changes_nothing():
    plain, checkpointed = (run(method="rcft", gradient_checkpointing=each)[0] for each in (False, True))
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(checkpointed)[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scoring", ["letter", "cloze"])
def test_mixed_precision_is_near(scoring):
    exact, rounded = (
        epochs(run(scoring, method="rcft", precision=each, epochs=1)[1])[0] for each in ("float32", "bfloat16")
    )
    assert rounded["loss"] == pytest.approx(exact["loss"], rel=0.05)
    assert rounded["loss"] != exact["loss"]


def test_all_weights_in_place_of_an_adapter(tmp_path):
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (tmp_path / "run").mkdir()
    config = TrainingConfig(epochs=1, weights="full", learning_rate=1e-3)
    trained, _ = fit(model, TOKENIZER, TRAIN, HELD_OUT, config, tmp_path / "run", progress=False)
    assert trained is model
    assert all(not torch.equal(value, before[name]) for name, value in trained.state_dict().items() if "proj" in name)
    assert {"model.safetensors", "tokenizer.json"} <= {path.name for path in (tmp_path / "run").iterdir()}


def test_tied_embeddings_stay_tied(tmp_path):
    def tied():
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(0)
        sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
        config = LlamaConfig(vocab_size=103, **sizes, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2)
        return LlamaForCausalLM(config).eval()

    config = TrainingConfig(epochs=1, learning_rate=3e-3)
    trained, _ = fit(tied(), TOKENIZER, TRAIN, HELD_OUT, config, tmp_path, progress=False)
    expected = score_options(trained, TOKENIZER, HELD_OUT, progress=False)
    found = score_options(load_adapter(tied(), tmp_path), TOKENIZER, HELD_OUT, progress=False)
    np.testing.assert_array_equal(found.logits, expected.logits)


@pytest.mark.parametrize("estep", ["full", "running", "frozen"])
@pytest.mark.parametrize("data", ["training", "held-out"])
def test_when_and_on_what_the_e_step_is_made(estep, data):
    _, history = run(method="rcft", estep=estep, estep_data=data, epochs=3)
    steps = [event for event in history.events if event["event"] == "e-step"]
    first_without = estep == "running" and data == "training"
    made = {"full": [1, 2, 3], "running": [2, 3] if first_without else [1, 2, 3], "frozen": [1]}[estep]
    assert [step["epoch"] for step in steps] == made
    assert all(sum(step["count"]) == len(TRAIN if data == "training" else HELD_OUT) for step in steps)
    assert [("term" in event) for event in epochs(history)] == [not first_without, True, True]


def test_warm_up_epochs_have_no_targets():
    _, history = run(method="rcft", warm_up=1, epochs=2)
    assert [("term" in event) for event in epochs(history)] == [False, True]


def test_tau_is_fitted_at_each_e_step_and_kept():
    _, history = run("cloze", method="rcft", tau="fitted", epochs=2)
    steps = [event for event in history.events if event["event"] == "e-step"]
    assert steps[0]["tau"] != steps[1]["tau"] != 1.0
    assert history.scaling.temperature == steps[1]["tau"]


def test_a_temperature_after_a_method_and_by_itself():
    model = make_model()
    before = score_options(model, TOKENIZER, HELD_OUT, progress=False)
    _, alone = run(model=model, method="temperature")
    assert alone.scaling.temperature != 1.5
    assert alone.reports[0] == before.report()
    assert alone.scaled.nll < alone.reports[0].nll
    assert alone.scaled.accuracy == alone.reports[0].accuracy
    _, after = run(method="cft+temperature")
    assert after.scaled.nll <= after.reports[-1].nll
    assert after.scaled.accuracy == after.reports[-1].accuracy


def test_dpo_makes_the_right_options_likelier_than_the_others():
    tail = make_questions(30)
    config = TrainingConfig(method="dpo", epochs=6, learning_rate=3e-3, beta=0.5, batch_size=20)
    _, history = fit(make_model(), TOKENIZER, tail[:20], tail[20:], config, progress=False)
    losses = [event["term"] for event in epochs(history)]
    assert losses[0] == pytest.approx(np.log(2), rel=1e-5)  # it starts as its own reference
    assert losses[-1] < 0.9 * losses[0]


def test_cross_fitting_reads_the_bins_off_models_that_did_not_train_on_a_question(tmp_path):
    from calibfast.data.split import split_questions

    settings = {"method": "rcft", "epochs": 2, "learning_rate": 3e-3, "lora_r": 4, "estep_data": "cross-fit"}
    config = TrainingConfig(**settings)
    _, history = fit(make_model(), TOKENIZER, TRAIN, HELD_OUT, config, tmp_path, progress=False)
    steps = [event for event in history.events if event["event"] == "e-step"]

    halves = split_questions(TRAIN, 0.5, 0)
    hits = total = 0
    for own, other in (halves, halves[::-1]):
        alone = TrainingConfig(**settings | {"estep_data": "held-out"})
        _, half = fit(make_model(), TOKENIZER, own, other, alone, progress=False)
        labels = [question.answer for question in other]
        hits += (half.scorings[1].argmax(axis=1) == labels).sum()
        total += len(other)
    assert [sum(step["count"]) for step in steps] == [len(TRAIN)] * 2
    found = sum(n * q for n, q in zip(steps[1]["count"], steps[1]["q"], strict=True) if n)
    assert (found, total) == (pytest.approx(hits), len(TRAIN))

    _, same = fit(make_model(), TOKENIZER, TRAIN, HELD_OUT, config, tmp_path, progress=False)
    assert [event["q"] for event in same.events if event["event"] == "e-step"] == [step["q"] for step in steps]
