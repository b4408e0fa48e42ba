from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from tiny import save, write_questions

from calibfast.data.questions import read_questions
from calibfast.data.split import split_questions
from calibfast.errors import InputError
from calibfast.evaluation.options import score_options
from calibfast.models.adapter import load_adapter
from calibfast.models.load import load_model
from calibfast.training import fit as fitting
from calibfast.training.config import TrainingConfig
from calibfast.training.folder import MARK, whole_folder
from calibfast.training.run import train

CONFIG = TrainingConfig(method="rcft", epochs=2, learning_rate=3e-3, lora_r=4, lora_alpha=8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_questions(tmp_path_factory.mktemp("data") / "train.jsonl", 50)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_folder(model, data, tmp_path):
    output = tmp_path / "deep" / "run"
    config = replace(CONFIG, limit=40)
    report = train(config, model=model, data=data, output=output, device="cpu", progress=False)
    assert [path.name for path in output.parent.iterdir()] == ["run"]
    assert {"adapter_model.safetensors", "adapter_config.json", "log.jsonl", "result.json"} <= set(files(output))
    assert (report.questions, report.held_out_questions) == (32, 8)

    result = json.loads((output / "result.json").read_text())
    assert result == json.loads(json.dumps(report.to_dict()))
    assert result["data_sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert result["config"]["seed"] == 0
    assert result["config"]["method"] == "rcft"
    assert {"calibfast", "torch", "transformers", "peft", "python", "threads", "device"} <= set(result["environment"])

    log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    kinds = [event["event"] for event in log]
    assert kinds == ["held-out", "e-step", "held-out", "epoch", "e-step", "held-out", "epoch"]
    assert log[0]["conf_ece"] == result["before"]["conf_ece"]
    assert log[-2]["conf_ece"] == result["after"]["conf_ece"]


def test_the_saved_adapter_is_the_trained_one(model, data, tmp_path):
    report = train(CONFIG, model=model, data=data, output=tmp_path / "run", device="cpu", progress=False)
    base, tokenizer = load_model(model, device="cpu")
    adapted = load_adapter(base, tmp_path / "run")
    _, held_out = split_questions(read_questions(data), CONFIG.held_out, CONFIG.seed)
    scores = score_options(adapted, tokenizer, held_out, progress=False)
    assert scores.report().nll == pytest.approx(report.after.nll, rel=1e-5)
    assert report.after.nll != pytest.approx(report.before.nll, rel=1e-3)


def test_the_same_run_twice_bit_for_bit(model, data, tmp_path):
    for name in ("one", "two"):
        train(CONFIG, model=model, data=data, output=tmp_path / name, device="cpu", progress=False)
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert one["adapter_model.safetensors"] == two["adapter_model.safetensors"]
    assert one["adapter_config.json"] == two["adapter_config.json"]


def test_an_output_with_something_in_it_is_left_alone(model, data, tmp_path):
    (tmp_path / "kept").write_text("precious")
    with pytest.raises(InputError, match="the folder is not empty; name another, or pass --overwrite"):
        train(CONFIG, model=model, data=data, output=tmp_path, device="cpu", progress=False)
    with pytest.raises(InputError, match="is a file"):
        train(CONFIG, model=model, data=data, output=tmp_path / "kept", device="cpu", progress=False)
    assert files(tmp_path) == {"kept": b"precious"}


def test_overwrite(model, data, tmp_path):
    output = tmp_path / "run"
    output.mkdir()
    (output / "old").touch()
    with pytest.raises(InputError, match="calibfast did not make"):
        train(CONFIG, model=model, data=data, output=output, overwrite=True, device="cpu", progress=False)
    assert "old" in files(output)
    (output / MARK).touch()
    train(CONFIG, model=model, data=data, output=output, overwrite=True, device="cpu", progress=False)
    assert "result.json" in files(output)
    assert "old" not in files(output)


def test_a_run_that_fails_leaves_nothing(model, data, tmp_path, monkeypatch):
    def fail(*_arguments, **_named):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(fitting.CalibrationTrainer, "train", fail)
    with pytest.raises(RuntimeError, match="the disk is full"):
        train(CONFIG, model=model, data=data, output=tmp_path / "run", device="cpu", progress=False)
    assert not list(tmp_path.iterdir())


def test_bad_data_leaves_nothing(model, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"question": "?", "choices": ["x", "y"], "answer": 2}\n')
    with pytest.raises(InputError, match="line 1, field 'answer'"):
        train(CONFIG, model=model, data=bad, output=tmp_path / "run", device="cpu", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]


def test_a_whole_folder_or_none(tmp_path):
    with whole_folder(tmp_path / "run", overwrite=False) as folder:
        (folder / "file").touch()
        assert not (tmp_path / "run").exists()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [MARK, "file"]

    def interrupted():
        with whole_folder(tmp_path / "run", overwrite=True) as folder:
            (folder / "other").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [MARK, "file"]
