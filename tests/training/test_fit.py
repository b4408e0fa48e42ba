from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny import make_model, make_questions, make_tokenizer

import calibfast
from calibfast.data.questions import Question
from calibfast.errors import InputError
from calibfast.evaluation.options import score_options
from calibfast.training.config import TrainingConfig
from calibfast.training.fit import fit
from calibfast.training.trainer import CalibrationTrainer

TOKENIZER = make_tokenizer()
QUESTIONS = make_questions(60)
TRAIN, HELD_OUT = QUESTIONS[:37], QUESTIONS[37:]


def config(**settings):
    return TrainingConfig(**{"epochs": 2, "learning_rate": 3e-3, "lora_r": 4, "lora_alpha": 8} | settings)


def run(model=None, **settings):
    return fit(model or make_model(), TOKENIZER, TRAIN, HELD_OUT, config(**settings), progress=False)


def adapter(model):
    return {name: value for name, value in model.state_dict().items() if "lora_" in name}


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("method", ["cft", "rcft"])
def test_an_update_is_the_same_however_it_is_cut_into_batches(method, batch_size):
    # 37 questions: the last update has 5, in batches of 4 and 1 or five of 1, and each question counts alike.
    whole, history = run(method=method, batch_size=8)
    pieces, in_pieces = run(method=method, batch_size=batch_size, gradient_accumulation=8 // batch_size)
    for name, value in adapter(whole).items():
        torch.testing.assert_close(adapter(pieces)[name], value, rtol=1e-3, atol=1e-4)
    for ours, theirs in zip(history.events, in_pieces.events, strict=True):
        if ours["event"] == "epoch":
            for name in ("loss", "likelihood", "grad_norm"):
                assert ours[name] == pytest.approx(theirs[name], rel=1e-3)


def test_the_short_last_update_counts_each_question_once():
    _, history = run(method="cft", epochs=1, learning_rate=1e-12, batch_size=8)
    [epoch] = [event for event in history.events if event["event"] == "epoch"]
    scores = score_options(make_model(), TOKENIZER, TRAIN, progress=False)
    right = np.log(scores.probs[np.arange(len(TRAIN)), scores.labels] * scores.letter_mass)
    assert epoch["step"] == math.ceil(len(TRAIN) / 8)
    assert epoch["likelihood"] == pytest.approx(-right.mean(), rel=1e-4)


def test_a_seed_gives_the_same_adapter_bit_for_bit():
    for method in ("cft", "rcft"):
        first, second, other = (adapter(run(method=method, seed=seed)[0]) for seed in (3, 3, 4))
        assert all(torch.equal(value, second[name]) for name, value in first.items())
        assert any(not torch.equal(value, other[name]) for name, value in first.items())


def events(history, kind):
    return [event for event in history.events if event["event"] == kind]


@pytest.mark.parametrize("source", ["training", "held-out"])
def test_the_e_step_is_made_anew_before_every_epoch(source):
    model = make_model()
    questions = TRAIN if source == "training" else HELD_OUT
    before = score_options(model, TOKENIZER, questions, progress=False)
    assigned = score_options(model, TOKENIZER, TRAIN, progress=False)
    _, history = run(model, method="rcft", epochs=3, estep_data=source)
    steps = events(history, "e-step")
    assert [step["epoch"] for step in steps] == [1, 2, 3]
    assert all(step["q_from"] == source for step in steps)
    assert steps[0]["q"] != steps[1]["q"] != steps[2]["q"]
    # The first one by plain means: of the questions in (.1 m, .1 (m+1)], the share that is right.
    bins = np.ceil(before.probs.max(axis=1) * 10).astype(int) - 1
    right = before.probs.argmax(axis=1) == before.labels
    for m in range(10):
        assert steps[0]["count"][m] == (bins == m).sum()
        if (bins == m).any():
            assert steps[0]["q"][m] == pytest.approx(right[bins == m].mean())
        else:
            assert steps[0]["q"][m] is None
    top = np.ceil(assigned.probs.max(axis=1) * 10).astype(int) - 1
    assert steps[0]["assigned"] == np.bincount(top, minlength=10).tolist()


def test_the_held_out_questions_are_scored_before_and_after_every_epoch():
    model, history = run(method="cft", epochs=2)
    assert [event["epoch"] for event in events(history, "held-out")] == [0, 1, 2]
    before = score_options(make_model(), TOKENIZER, HELD_OUT, progress=False)
    after = score_options(model, TOKENIZER, HELD_OUT, progress=False)
    assert history.reports[0].nll == pytest.approx(before.report().nll, rel=1e-5)
    assert history.reports[-1].nll == pytest.approx(after.report().nll, rel=1e-5)
    assert not events(history, "e-step")


def test_training_learns_the_answers():
    _, history = run(method="cft", epochs=6)
    losses = [event["likelihood"] for event in events(history, "epoch")]
    assert losses[-1] < 0.7 * losses[0]


def test_cft_computes_the_vocabulary_at_the_answer_position_only():
    model = make_model()
    positions = set()
    model.lm_head.register_forward_hook(lambda _module, _inputs, output: positions.add(output.shape[1]))
    run(model, method="cft", epochs=1)
    assert positions == {1}


def test_nothing_is_written_to_stdout(capsys):
    fit(make_model(), TOKENIZER, TRAIN, HELD_OUT, config(method="cft"), progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.split()[1] for line in captured.err.splitlines()] == ["0/2", "1/2", "2/2"]
    fit(make_model(), TOKENIZER, TRAIN, HELD_OUT, config(method="cft"), progress=False)
    assert capsys.readouterr() == ("", "")


def test_questions_that_cannot_be_asked_are_refused_before_training():
    long = Question("long", None, "x" * 600, ("x", "y"), 0)
    with pytest.raises(InputError, match="question 'long'"):
        fit(make_model(), TOKENIZER, [*TRAIN, long], HELD_OUT, config(), progress=False)
    with pytest.raises(InputError, match="no questions"):
        fit(make_model(), TOKENIZER, TRAIN, [], config(), progress=False)


def test_the_base_model_comes_back():
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adapted, _ = run(model)
    base = adapted.unload()
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())


def first_batch(monkeypatch, weight, model=None):
    """Targets and loss of an epoch that is one batch. The adapter starts as no change: the model is the base model."""
    caught = {}

    class Watched(CalibrationTrainer):
        def compute_loss(self, *arguments, **named):
            loss = super().compute_loss(*arguments, **named)
            caught.update(loss=loss.item(), targets=self._estep._targets)
            return loss

    with monkeypatch.context() as patch:
        patch.setattr("calibfast.training.fit.CalibrationTrainer", Watched)
        _, history = run(model, method="rcft", lambda_=weight, epochs=1, batch_size=len(TRAIN), estep_data="training")
    caught["step"] = events(history, "e-step")[0]
    return caught


def test_the_loss_is_likelihood_plus_lambda_times_squared_error_to_the_targets(monkeypatch):
    scores = score_options(make_model(), TOKENIZER, TRAIN, progress=False)
    step = calibfast.estep(scores.logits, scores.labels, logits=True)
    expected = step.targets(scores.logits, logits=True)
    caught = first_batch(monkeypatch, weight=2.0)
    np.testing.assert_allclose(caught["targets"].numpy(), expected, atol=1e-5)
    divergence = np.square(expected - scores.probs).sum(axis=1).mean()
    without = first_batch(monkeypatch, weight=0.0)
    assert caught["loss"] - without["loss"] == pytest.approx(2 * divergence, abs=1e-4)


def test_targets_carry_no_gradient(monkeypatch):
    assert not first_batch(monkeypatch, weight=1.0)["targets"].requires_grad


def test_the_top_bin_has_a_loss(monkeypatch):
    def sure():
        model = make_model()
        with torch.no_grad():
            model.lm_head.weight *= 30
        return model

    caught = first_batch(monkeypatch, 1.0, sure())
    assert caught["step"]["assigned"][-1] > len(TRAIN) / 2
    assert caught["loss"] - first_batch(monkeypatch, 0.0, sure())["loss"] > 0.1


def test_held_out_reports_go_where_the_trainer_logs(monkeypatch):
    sent = []
    log = CalibrationTrainer.log

    def spy(self, logs, *rest):
        sent.append((self.state.global_step, dict(logs)))
        log(self, logs, *rest)

    monkeypatch.setattr(CalibrationTrainer, "log", spy)
    _, history = run(method="cft")
    tracked = [(step, logs["calibration/conf_ece"]) for step, logs in sent if "calibration/conf_ece" in logs]
    assert tracked == [(step, report.conf_ece) for step, report in zip((0, 5, 10), history.reports, strict=True)]
    assert [step for step, logs in sent if "loss" in logs] == [5, 10]
