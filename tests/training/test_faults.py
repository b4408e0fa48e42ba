"""The faults known in the official code of CFT, each re-stated in a few lines beside what stands in its place here.

A check takes either of the two: it fails on the fault and passes on ours.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import make_model, make_questions, make_tokenizer, save
from torch import distributed
from torch.nn.functional import cross_entropy

import calibfast
from calibfast.data.questions import read_questions
from calibfast.errors import InputError
from calibfast.evaluation.options import score_encoded, score_options
from calibfast.models.batch import make_batch
from calibfast.models.encoding import encode_questions
from calibfast.models.forward import log_probs
from calibfast.models.prompt import render_prompt
from calibfast.recalibration.temperature import TemperatureScaling
from calibfast.training import losses
from calibfast.training.config import TrainingConfig
from calibfast.training.dataset import QuestionRows
from calibfast.training.finished import read_run
from calibfast.training.fit import fit
from calibfast.training.run import train

TOKENIZER = make_tokenizer()
QUESTIONS = make_questions(20)
TRAIN, HELD_OUT = QUESTIONS[:12], QUESTIONS[12:]


def tell_apart(check, faulty, ours):
    with pytest.raises(AssertionError):
        check(faulty)
    check(ours)


def fails(work, *arguments):
    try:
        work(*arguments)
    except (InputError, RuntimeError):
        return True
    return False


def run(model=None, **settings):
    chosen = TrainingConfig(**{"epochs": 2, "learning_rate": 3e-3, "lora_r": 2, "estep_data": "training"} | settings)
    return fit(model or make_model(), TOKENIZER, TRAIN, HELD_OUT, chosen, progress=False)


def as_written(p, q):
    """Eq. 6 word for word: p (N, K), and q (N,), the accuracy of each row's bin."""
    p, q = np.asarray(p), np.asarray(q)[:, None]
    k, top, second = p.shape[1], p.argmax(axis=1), np.sort(p)[:, -2:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        said = np.tanh(np.log(k - 1) / (second * (1 - q)) * p)
        others = said.sum(axis=1, keepdims=True) - said[np.arange(len(p)), top][:, None]
        targets = (1 - q) / (others + k - 1) * (said + 1)
    targets[np.arange(len(p)), top] = q[:, 0]
    return targets


def bins_of(p, bins=10):
    return np.ceil(np.max(p, axis=1) * bins).astype(int) - 1


def test_temperature_scaling_never_moves_from_1_5():
    """The loss is computed from a copy of the temperature, so the optimizer has no gradient to follow."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2000, 4)) * 2
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)

    def faulty(logits, labels):
        temperature = torch.tensor(1.5, requires_grad=True)
        optimizer = torch.optim.SGD([temperature], lr=0.1)
        for _ in range(10):
            cross_entropy(torch.from_numpy(logits) / temperature.item(), torch.from_numpy(labels))
            optimizer.step()
        return temperature.item()

    def check(fitted):
        assert fitted(3 * logits, labels) == pytest.approx(3, rel=0.1)

    tell_apart(check, faulty, lambda p, y: TemperatureScaling().fit(p, y, logits=True).temperature)


def test_no_loss_in_the_top_bin():
    """A loop over the bins ends before the last one."""
    scores = torch.tensor([[5.0, 0.0, 0.0], [1.0, 0.5, 0.0]]).log_softmax(1)
    targets = torch.tensor([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]])

    def faulty(targets, scores):
        confidences = scores.softmax(1)
        bins, loss = bins_of(confidences.numpy()), torch.zeros(len(scores))
        for m in range(10 - 1):
            loss[bins == m] = (targets - confidences).square().sum(1)[bins == m]
        return loss

    def check(divergence):
        assert (divergence(targets, scores) > 0.01).all()

    tell_apart(check, faulty, losses.divergence)


def test_division_by_the_size_of_an_empty_bin():
    """An empty bin's accuracy is 0 / 0, and so is the target of a question that comes to lie in it."""
    scored, labels, later = [[0.95, 0.05], [0.55, 0.45]], [0, 1], [[0.75, 0.25], [0.5, 0.5]]

    def faulty(scored, labels, later):
        hits = np.bincount(bins_of(scored), np.argmax(scored, axis=1) == labels, minlength=10)
        with np.errstate(invalid="ignore"):
            q = hits / np.bincount(bins_of(scored), minlength=10)
        return as_written(later, q[bins_of(later)])

    def check(targets):
        assert np.isfinite(targets(scored, labels, later)).all()

    tell_apart(check, faulty, lambda scored, labels, later: calibfast.estep(scored, labels).targets(later))


def test_a_target_that_keeps_its_gradient():
    """The target was computed from the model's own confidences, and pulls them by both of its ends."""

    def faulty(targets, scores):
        return (targets - scores.softmax(1)).square().sum(1)

    def check(divergence):
        scores = torch.tensor([[2.0, 0.0]], requires_grad=True)
        # Only the target depends on them here.
        assert not divergence(scores.softmax(1) ** 2, scores.detach()).requires_grad

    tell_apart(check, faulty, losses.divergence)


def test_nan_at_c_2_of_0():
    """A model that is sure of one option divides by the second largest confidence."""
    sure = np.array([[1.0, 0.0, 0.0, 0.0]])

    def check(targets):
        assert np.isfinite(targets(sure)).all()

    tell_apart(check, lambda p: as_written(p, [1.0]), calibfast.estep(sure, [0]).targets)
    tell_apart(check, lambda p: as_written(p, [0.0]), calibfast.estep(sure, [1]).targets)


def test_a_target_whose_argmax_flips():
    """Where a bin is less accurate than chance, the target prefers another option than the model does."""
    p, labels = np.array([[0.45, 0.4, 0.1, 0.05]] * 5), [0, 1, 1, 1, 1]

    def check(targets):
        assert (targets(p).argmax(axis=1) == 0).all()

    tell_apart(check, lambda p: as_written(p, [0.2] * 5), calibfast.estep(p, labels).targets)


def test_q_m_estimated_once_only():
    """The bins' accuracies are those of the model before training, in every epoch."""

    def check(estep):
        _, history = run(method="rcft", epochs=3, estep=estep)
        found = [event["q"] for event in history.events if event["event"] == "e-step"]
        assert len(found) == 3
        assert found[0] != found[1] != found[2]

    tell_apart(check, "frozen", "full")


def test_e_x_e_passes(monkeypatch):
    """A loop over the epochs calls a trainer that loops over the epochs."""
    visits = Counter()
    read = QuestionRows.__getitem__
    monkeypatch.setattr(QuestionRows, "__getitem__", lambda rows, index: (visits.update([index]), read(rows, index))[1])

    def ours(epochs):
        run(epochs=epochs)

    def faulty(epochs):
        for _ in range(epochs):
            ours(epochs)

    def check(train):
        visits.clear()
        train(2)
        assert visits == dict.fromkeys(range(len(TRAIN)), 2)

    tell_apart(check, faulty, ours)


def test_bins_closed_on_the_wrong_side():
    """Bins are [lower, upper), so a confidence on an edge goes one bin too far."""
    p = [[0.5, 0.5], [0.6, 0.4], [0.7, 0.3]]

    def check(assign):
        assert list(assign(p)) == [4, 5, 6]

    tell_apart(
        check, lambda p: np.digitize(np.max(p, axis=1), np.arange(11) / 10) - 1, calibfast.estep(p, [0, 0, 0]).assign
    )


@pytest.mark.parametrize(("options", "bins"), [(4, 20), (4, 5), (3, 10), (5, 10)])
def test_four_options_ten_bins_and_ln_3_hard_coded(options, bins):
    """The numbers of one data set stand in the formula."""
    p = np.full((2, options), 0.28 / (options - 1))
    p[:, 0] = 0.72  # in bin 14 of 20, 7 of 10, 3 of 5
    labels = [0, 1]

    def faulty(p, labels):
        q = np.zeros(bins)
        q[bins_of(p, bins)] = 0.5
        q = q[np.minimum(bins_of(p, 10), bins - 1)][:, None]
        said = np.tanh(np.log(3) / (np.sort(p)[:, -2:-1] * (1 - q)) * p)
        targets = (1 - q) / (said[:, 1:].sum(axis=1, keepdims=True) + 3) * (said + 1)
        return np.hstack([q, targets[:, 1:]])

    def check(targets):
        found = targets(p, labels)
        np.testing.assert_allclose(found, as_written(p, [0.5, 0.5]))
        np.testing.assert_allclose(found.sum(axis=1), 1)

    tell_apart(check, faulty, lambda p, labels: calibfast.estep(p, labels, bins=bins).targets(p))


def test_the_letter_s_token_looked_up_out_of_context():
    """The vocabulary holds ":A", and that is what the model says where the prompt ends in a colon."""
    tokenizer = make_tokenizer([(":", letter) for letter in "ABCDE"], chat=True)
    text = render_prompt(tokenizer, QUESTIONS[0]).text

    def faulty(tokenizer, question):
        letters = tokenizer(list("ABCDE"[: len(question.choices)]), add_special_tokens=False)["input_ids"]
        return SimpleNamespace(context=tokenizer(text, add_special_tokens=False)["input_ids"], options=letters)

    def check(encode):
        encoded = encode(tokenizer, QUESTIONS[0])
        for letter, option in zip("ABCDE", encoded.options, strict=False):
            assert [*encoded.context, *option] == tokenizer(text + letter, add_special_tokens=False)["input_ids"]

    tell_apart(check, faulty, lambda tokenizer, question: encode_questions(tokenizer, [question])[0])


def test_answer_position_off_by_one():
    """The logits are read where the letter stands; they say what comes after it."""
    model, encoded = make_model(), encode_questions(TOKENIZER, QUESTIONS)

    def next_token(ids):
        return model(torch.tensor([ids])).logits[0, -1].log_softmax(0)

    def faulty(row, option):
        return next_token([*row.context, *row.options[option]])[row.options[option]].item()

    def ours(row, option):
        return log_probs(model, make_batch([row])).options[0, option, 0].item()

    def check(log_prob):
        for row in encoded:
            for option, [token] in enumerate(row.options):
                assert log_prob(row, option) == pytest.approx(next_token(row.context)[token].item(), abs=1e-4)

    with torch.no_grad():
        tell_apart(check, faulty, ours)


def written(path, **row):
    path.write_text(json.dumps({"question": "Which?", **row}) + "\n", encoding="utf-8")
    return path


def test_options_cut_by_a_regex_on_quotes(tmp_path):
    """The list of options is read as text, in which an apostrophe ends an option."""
    choices = ["the dog's", 'a "quote"', "it's 'both'", "neither"]
    path = written(tmp_path / "questions.jsonl", choices=choices, answer=0)

    def faulty(path):
        return re.findall(r"'(.*?)'", str(json.loads(path.read_text())["choices"]))

    def check(read):
        assert list(read(path)) == choices

    tell_apart(check, faulty, lambda path: read_questions(path)[0].choices)


def test_answer_modulo_len_relabelling(tmp_path):
    """An answer that names no option gets the option that the remainder names."""

    def faulty(path):
        row = json.loads(path.read_text())
        return row["answer"] % len(row["choices"])

    def check(answer):
        assert answer(written(tmp_path / "questions.jsonl", choices=["x", "y", "z"], answer=2)) == 2
        assert fails(answer, written(tmp_path / "questions.jsonl", choices=["x", "y", "z"], answer=3))

    tell_apart(check, faulty, lambda path: read_questions(path)[0].answer)


def test_batches_skipped_on_errors():
    """Training goes on without the batches that could not be computed, and nobody is told."""

    def faulty(model):
        for row in encode_questions(TOKENIZER, TRAIN):
            with suppress(RuntimeError):
                log_probs(model, make_batch([row])).options.sum().backward()

    def check(train):
        model, calls = make_model(), Counter()

        def fail_once(*_):
            calls["forward"] += 1
            if model.training and calls["forward"] > 3:
                raise RuntimeError("a broken batch")

        model.train().register_forward_pre_hook(fail_once)
        assert fails(train, model)

    tell_apart(check, faulty, lambda model: run(model, batch_size=4))


def test_the_whole_e_step_repeated_on_every_rank_with_full_vocabulary_logits(monkeypatch):
    """Each process scores all questions, and keeps the vocabulary's logits of every position."""
    model, encoded = make_model(), encode_questions(TOKENIZER, QUESTIONS)
    computed = []
    model.lm_head.register_forward_hook(lambda _module, _inputs, logits: computed.append(logits.shape[:2]))
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda _: None)

    def faulty():
        for row in encoded:
            model(torch.tensor([row.context]))

    def check(score):
        computed.clear()
        for rank in range(2):
            monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
            before = len(computed)
            score()
            assert sum(rows for rows, _ in computed[before:]) == len(encoded) / 2
        assert {positions for _, positions in computed} == {1}

    tell_apart(check, faulty, lambda: score_encoded(model, encoded, batch_size=5))


def test_no_chat_template():
    """A model that was tuned on conversations is asked as if it were not."""
    tokenizer = make_tokenizer(chat=True)

    def check(text):
        assert text.startswith("<user>")
        assert text.endswith("<assistant>:")

    tell_apart(check, f"Question: {QUESTIONS[0].question}\nAnswer:", render_prompt(tokenizer, QUESTIONS[0]).text)


def test_temperature_fitted_on_test_rows(tmp_path):
    """The temperature has seen the answers that it is then tested on."""
    model, data = save(tmp_path / "model"), tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(vars(question)) + "\n" for question in TRAIN))

    def faulty(test):
        scores = score_options(make_model(), TOKENIZER, test, progress=False)
        TemperatureScaling().fit(scores.logits, scores.labels, logits=True).predict_proba(scores.logits, logits=True)

    def ours(test):
        settings = TrainingConfig(method="temperature")
        train(settings, model=model, data=data, output=tmp_path / "run", overwrite=True, progress=False)
        read_run(tmp_path / "run").check_unseen(test)

    def check(evaluate):
        assert not fails(evaluate, HELD_OUT)
        assert fails(evaluate, TRAIN)

    tell_apart(check, faulty, ours)
