"""Training that stops where the model knows enough of its training questions."""

import numpy as np
import pytest
import torch
from tiny import make_model, make_questions, make_tokenizer

from calibfast.errors import InputError
from calibfast.evaluation.options import score_options
from calibfast.training import fit as module
from calibfast.training.config import TrainingConfig
from calibfast.training.fit import fit

TOKENIZER = make_tokenizer()
QUESTIONS = make_questions(30)
TRAIN, HELD_OUT = QUESTIONS[:20], QUESTIONS[20:]
CONFIG = TrainingConfig(until=0.8, epochs=40, learning_rate=1e-2, schedule="constant", lora_r=8, lora_alpha=16)


def run(folder=None, config=CONFIG):
    return fit(make_model(), TOKENIZER, TRAIN, HELD_OUT, config, folder, progress=False)


def known(history):
    return [event["accuracy"] for event in history.events if event["event"] == "training-questions"]


def test_it_stops_after_the_first_epoch_that_knows_enough():
    model, history = run()
    accuracies = known(history)
    assert 1 < len(accuracies) < CONFIG.epochs
    assert len(history.reports) == len(accuracies) + 1
    assert max(accuracies[:-1]) < 0.8 <= accuracies[-1]
    scores = score_options(model, TOKENIZER, TRAIN, progress=False)
    assert accuracies[-1] == np.mean(scores.logits.argmax(axis=1) == scores.labels)


def test_killed_between_its_last_epoch_and_its_end_it_trains_no_further(tmp_path, monkeypatch):
    whole, history = run()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_save", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            run(tmp_path)
    again, resumed = run(tmp_path)
    assert known(resumed) == known(history)
    expected = whole.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in again.state_dict().items())


def test_a_share_is_one_at_most():
    with pytest.raises(InputError, match="until is 80"):
        TrainingConfig(until=80.0)
