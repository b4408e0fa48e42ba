"""A run that is killed goes on from its last checkpoint and ends in the same weights, bit for bit."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from tiny import save, write_questions

from calibfast.errors import InputError
from calibfast.training import checkpoint as checkpoints
from calibfast.training.checkpoint import is_complete, newest
from calibfast.training.config import TrainingConfig
from calibfast.training.folder import unfinished_of
from calibfast.training.run import train

CONFIGS = {
    "cft": {"method": "cft"},
    "rcft": {"method": "rcft", "estep_data": "training", "tau": "fitted"},
    "running": {"method": "rcft", "estep": "running", "estep_data": "training"},
    "frozen": {"method": "rcft", "estep": "frozen", "likelihood": "answer", "warm_up": 1},
    "dpo": {"method": "dpo"},
    "all weights": {"method": "sft2", "weights": "full"},
}
STARTS = multiprocessing.get_context("forkserver")
STARTS.set_forkserver_preload(["calibfast.training.run"])


def config(kind, **settings):
    usual = {"epochs": 3, "learning_rate": 3e-3, "lora_r": 2, "batch_size": 4, "gradient_accumulation": 2}
    return TrainingConfig(**usual | {"checkpoint_steps": 2} | CONFIGS[kind] | settings)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_questions(tmp_path_factory.mktemp("data") / "train.jsonl", 50)


def run(settings, model, data, output):
    torch.set_num_threads(1)
    return train(settings, model=model, data=data, output=output, device="cpu", progress=False)


def weights(output):
    names = ("adapter_model.safetensors", "model.safetensors", "temperature.json")
    return [(output / name).read_bytes() for name in names if (output / name).exists()]


def losses(output):
    """What the log says of every epoch and E-step, but for times."""
    events = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    times = ("seconds", "runtime", "train_runtime")
    return [{name: value for name, value in event.items() if name not in times} for event in events]


@pytest.fixture(scope="module")
def whole(model, data, tmp_path_factory):
    """A run that nothing stopped, for each kind of run."""
    done = {}

    def of(kind):
        if kind not in done:
            output = tmp_path_factory.mktemp("whole") / "run"
            run(config(kind), model, data, output)
            done[kind] = output
        return done[kind]

    return of


@pytest.mark.parametrize("attempt", range(10))
def test_kill_minus_nine_at_any_moment(model, data, tmp_path, whole, attempt):
    kind = list(CONFIGS)[attempt % len(CONFIGS)]
    output = tmp_path / "run"
    draw = random.Random(attempt)
    process = STARTS.Process(target=run, args=(config(kind), model, data, output))
    process.start()
    until = draw.choice([2, 4, 8, 12])
    while process.is_alive() and not (unfinished_of(output) / f"checkpoint-{until}").exists():
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.05))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not output.exists()
    run(config(kind), model, data, output)
    assert weights(output) == weights(whole(kind))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("update", [8, 10])  # in the middle and at the end of the second of three epochs
@pytest.mark.parametrize("kind", CONFIGS)
def test_the_log_of_a_run_that_went_on_is_that_of_a_whole_one(model, data, tmp_path, whole, kind, update, monkeypatch):
    output = tmp_path / "run"
    complete = checkpoints.Progress.complete

    def stop(progress, folder):
        complete(progress, folder)
        if folder.name == f"checkpoint-{update}":
            raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Progress, "complete", stop)
        with pytest.raises(RuntimeError, match="power cut"):
            run(config(kind), model, data, output)
    run(config(kind), model, data, output)
    assert weights(output) == weights(whole(kind))
    assert losses(output) == losses(whole(kind))


def test_a_checkpoint_that_was_not_finished_is_none(model, data, tmp_path, whole, monkeypatch):
    output = tmp_path / "run"
    complete = checkpoints.Progress.complete

    def stop(progress, folder):
        if folder.name == "checkpoint-6":
            raise RuntimeError("power cut")  # the Trainer's part stands, ours does not
        complete(progress, folder)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Progress, "complete", stop)
        with pytest.raises(RuntimeError, match="power cut"):
            run(config("rcft"), model, data, output)
    unfinished = unfinished_of(output)
    assert is_complete(unfinished / "checkpoint-5")
    assert newest(unfinished).name == "checkpoint-5"
    run(config("rcft"), model, data, output)
    assert weights(output) == weights(whole("rcft"))


def test_ctrl_c_saves_a_checkpoint(model, data, tmp_path, whole):
    output = tmp_path / "run"
    process = STARTS.Process(target=run, args=(config("rcft", checkpoint_steps=None), model, data, output))
    process.start()
    while process.is_alive() and not (unfinished_of(output) / "e-step-2.npz").exists():
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert not output.exists()
    step = int(newest(unfinished_of(output)).name.rpartition("-")[2])
    assert step > 5
    run(config("rcft", checkpoint_steps=None), model, data, output)
    assert weights(output) == weights(whole("rcft"))


def test_an_unfinished_run_with_other_settings_is_not_gone_on_with(model, data, tmp_path, monkeypatch):
    output = tmp_path / "run"

    def stop(_progress, _folder):
        raise RuntimeError("power cut")

    complete = checkpoints.Progress.complete
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Progress, "complete", lambda *arguments: (complete(*arguments), stop(*arguments)))
        with pytest.raises(RuntimeError, match="power cut"):
            run(config("cft"), model, data, output)
    with pytest.raises(InputError, match=r"unfinished run with learning_rate 0\.003, and this one has 0\.001"):
        run(config("cft", learning_rate=1e-3), model, data, output)
    assert newest(unfinished_of(output)) is not None
