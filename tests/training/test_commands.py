"""`calibfast train` and `calibfast evaluate`, from the command line's arguments to its streams."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from tiny import save, write_questions

import calibfast
from calibfast.cli.app import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"), chat=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_questions(tmp_path_factory.mktemp("data") / "questions.jsonl", 40, 0)


@pytest.fixture(scope="module")
def test_data(data):
    return write_questions(data.with_name("test.jsonl"), 40, 1)


@pytest.fixture(scope="module")
def cloze_run(model, data, tmp_path_factory):
    """What RCFT on cloze scores made, with a temperature, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "rcft"
    settings = folder.with_name("settings.yaml")
    settings.write_text("method: rcft+temperature\nscoring: cloze\nnormalize: byte\nepochs: 2\nlora-r: 2\nbins: 5\n")
    command = ("train", "--model", model, "--data", data, "--output", folder, "--config", settings, "--device", "cpu")
    with redirect_stdout(io.StringIO()) as out:
        assert run(*command) == 0
    return folder, out.getvalue()


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_train_then_evaluate_then_ece(model, data, tmp_path, capsys):
    adapter, preds = tmp_path / "run", tmp_path / "preds.npz"
    common = ("--model", model, "--data", data, "--device", "cpu", "--format", "json")
    assert run("train", *common, "--method", "cft", "--output", adapter, "--epochs", 1, "--lora-r", 4) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained == json.loads((adapter / "result.json").read_text())

    assert run("evaluate", *common, "--adapter", adapter, "--output", preds, "--limit", 30) == 0
    printed = capsys.readouterr()
    evaluated = json.loads(printed.out)
    assert re.search(r"warning: \d+ of the 30 questions were trained on", printed.err)
    assert evaluated["n"] == 30
    assert 0 < evaluated["letter_mass"] < 1

    assert run("ece", preds, "--format", "json") == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured.items() <= evaluated.items()


@pytest.mark.parametrize("style", ["table", "csv"])
def test_other_formats(model, data, tmp_path, capsys, style):
    common = ("--model", model, "--data", data, "--device", "cpu", "--format", style)
    run("train", *common, "--output", tmp_path / "run", "--epochs", 1, "--lora-r", 2)
    trained = capsys.readouterr()
    assert "epoch 1/1" in trained.err
    run("evaluate", *common, "--output", tmp_path / "preds.npz")
    evaluated = capsys.readouterr().out
    with np.load(tmp_path / "preds.npz") as preds:
        mass = preds["letter_mass"].mean()
        report = calibfast.evaluate(preds["logits"], preds["labels"], logits=True)
    if style == "table":
        lines = [line.split()[0] for line in trained.out.splitlines() if line.strip(" ─")]
        assert lines == ["when", "before", "after"]
        assert f"{report.conf_ece:.4f}" in evaluated
        assert f"The letters hold {mass:.1%} of the probability." in evaluated
    else:
        assert [row["when"] for row in csv.DictReader(io.StringIO(trained.out))] == ["before", "after"]
        [row] = csv.DictReader(io.StringIO(evaluated))
        assert float(row["conf_ece"]) == report.conf_ece
        assert float(row["letter_mass"]) == pytest.approx(mass)


def test_errors_are_one_line(model, data, tmp_path, capsys):
    for arguments, message in [
        (("train", "--data", data, "--output", tmp_path / "run", "--model", tmp_path / "absent"), "no such folder"),
        (("train", "--data", tmp_path / "absent.jsonl", "--output", tmp_path / "run", "--model", model), "No such"),
        (("train", "--data", data, "--output", tmp_path / "run", "--model", model, "--held-out", 2), "held_out"),
        (("evaluate", "--data", data, "--output", tmp_path / "preds.csv", "--model", model), "writes .npz"),
        (("evaluate", "--data", data, "--output", tmp_path / "no" / "p.npz", "--model", model), "no folder"),
    ]:
        assert run(*arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        [line] = captured.err.splitlines()
        assert line.startswith("error: ")
        assert message in line


def test_how_the_bins_moved(cloze_run):
    folder, out = cloze_run
    result = json.loads((folder / "result.json").read_text())
    before, bins = (part.strip().splitlines() for part in out.split("The bins at each epoch's E-step"))
    assert before[-1].split()[:4] == ["after,", "at", "temperature", f"{result['temperature']:.3g}"]
    assert bins[2].split() == ["bin", "n", "1", "q", "1", "n", "2", "q", "2"]
    assert len(bins) == 4 + 5
    for place, line in enumerate(bins[4:]):
        cells = line.partition("]")[2].split()
        assert cells[::2] == [str(step["count"][place]) for step in result["e_steps"]]
        q = [step["q"][place] for step in result["e_steps"]]
        assert cells[1::2] == ["-" if value is None else f"{value:.4g}" for value in q]


def test_a_run_says_how_it_is_asked(model, test_data, cloze_run, tmp_path, capsys):
    folder, _ = cloze_run
    preds = tmp_path / "preds.npz"
    command = ("evaluate", "--model", model, "--data", test_data, "--device", "cpu", "--output", preds)
    assert run(*command, "--format", "json", "--adapter", folder) == 0
    captured = capsys.readouterr()
    result, trained = json.loads(captured.out), json.loads((folder / "result.json").read_text())
    assert captured.err == ""
    assert {name: result[name] for name in ("scoring", "normalize", "letter_mass", "position_bias")} == {
        "scoring": "cloze",
        "normalize": "byte",
        "letter_mass": None,
        "position_bias": None,
    }
    assert result["temperature"] == trained["temperature"]
    with np.load(preds) as file:
        scaled = file["logits"]

    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (adapter / name).write_bytes((folder / name).read_bytes())
    assert run(*command, "--adapter", adapter, "--scoring", "cloze", "--normalize", "byte") == 0
    assert "Asked as a cloze; normalize: byte." in capsys.readouterr().out
    with np.load(preds) as file:
        np.testing.assert_allclose(file["logits"] / trained["temperature"], scaled, rtol=1e-5)

    assert run(*command, "--adapter", folder, "--scoring", "letter") == 0
    captured = capsys.readouterr()
    assert f"warning: {folder} was trained with --scoring cloze --normalize byte" in captured.err
    assert f"divided by the run's temperature, {trained['temperature']:.4g}." in captured.out


def test_a_temperature_is_not_tested_on_what_it_was_fitted_to(model, data, cloze_run, tmp_path, capsys):
    folder, _ = cloze_run
    preds = tmp_path / "preds.npz"
    command = ("evaluate", "--model", model, "--data", data, "--device", "cpu", "--output", preds)
    assert run(*command, "--adapter", folder) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: 8 of the 40 questions, the first of them 'q")
    assert not preds.exists()

    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "result.json").write_text("{}")
    assert run(*command, "--adapter", broken) == 2
    assert capsys.readouterr().err.startswith(f"error: {broken}: cannot be read as calibfast wrote it (")


def test_a_temperature_alone_goes_with_the_model_as_it_is(model, data, test_data, tmp_path, capsys):
    common = ("--model", model, "--device", "cpu", "--format", "json", "--output")
    assert run("train", *common, tmp_path / "run", "--data", data, "--method", "temperature") == 0
    temperature = json.loads(capsys.readouterr().out)["temperature"]
    assert run("evaluate", *common, tmp_path / "p.npz", "--data", test_data, "--adapter", tmp_path / "run") == 0
    assert json.loads(capsys.readouterr().out)["temperature"] == temperature
    assert run("evaluate", *common, tmp_path / "plain.npz", "--data", test_data) == 0
    with np.load(tmp_path / "p.npz") as scaled, np.load(tmp_path / "plain.npz") as plain:
        np.testing.assert_allclose(scaled["logits"] * temperature, plain["logits"], rtol=1e-5)


def test_examples_and_orders(model, data, test_data, tmp_path, capsys):
    preds = tmp_path / "preds.npz"
    command = ("evaluate", "--model", model, "--data", test_data, "--output", preds, "--device", "cpu")
    permuted = (*command, "--option-order", "permute", "--few-shot", 2, "--few-shot-data", data)
    assert run(*permuted, "--format", "json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == 40
    assert [bias["letter"] for bias in result["position_bias"]] == ["A", "B", "C", "D", "E"]
    assert run(*permuted) == 0
    first = result["position_bias"][0]
    assert f"A {first['probability']:.1%} ({first['uniform']:.1%}), B " in capsys.readouterr().out
    for arguments, message in [
        (("--few-shot", 2), "give both or neither"),
        (("--option-order", "permute", "--scoring", "cloze"), "a cloze does not show the options"),
        (("--few-shot", 41, "--few-shot-data", data), "40 solved questions can be shown before it, and 41 are wanted"),
    ]:
        assert run(*command, *arguments) == 2
        assert message in capsys.readouterr().err


def test_ctrl_c_and_the_same_command_again(model, data, tmp_path, capsys, monkeypatch):
    from calibfast.training.held_out import HeldOutEvaluation

    command = ("train", "--model", model, "--data", data, "--output", tmp_path / "run", "--epochs", 2, "--lora-r", 2)
    scored = HeldOutEvaluation.evaluate

    def press(self, model, epoch):
        scored(self, model, epoch)
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(HeldOutEvaluation, "evaluate", press)
        assert run(*command, "--device", "cpu") == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == "stopped; the same command goes on from where it stopped"
    assert run(*command, "--device", "cpu") == 0
    assert "going on from update" in capsys.readouterr().err


def test_out_of_memory_says_what_helps(model, data, tmp_path, capsys, monkeypatch):
    def forward(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr("transformers.LlamaForCausalLM.forward", forward)
    assert run("train", "--model", model, "--data", data, "--output", tmp_path / "run", "--device", "cpu") == 2
    assert "error: out of memory; what helps: a smaller --batch-size" in capsys.readouterr().err.splitlines()[-1]


def test_bad_rows_of_a_training_file(model, data, tmp_path, capsys):
    bad = tmp_path / "bad.jsonl"
    bad.write_text(data.read_text() + '{"question": "?", "choices": ["x"], "answer": 0}\n')
    command = ("train", "--model", model, "--data", bad, "--output", tmp_path / "run", "--device", "cpu")
    assert run(*command) == 2
    assert f"{bad}, line 41, field 'choices': 1 options" in capsys.readouterr().err
    assert run(*command, "--skip-bad-rows", "--method", "temperature") == 0
    assert f"left out 1 row of {bad}:\n  line 41" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_help_teaches_and_loads_no_torch(command):
    code = (
        "import sys\n"
        "from calibfast.cli.app import main\n"
        "try:\n"
        f"    main(['{command}', '--help'])\n"
        "finally:\n"
        "    assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"calibfast {command} --model" in done.stdout


def test_a_missing_library_names_the_extra(model, data, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "peft", None)
    assert run("train", "--model", model, "--data", data, "--output", tmp_path / "run") == 2
    assert capsys.readouterr().err == (
        "error: calibfast train needs the extra 'train': pip install 'calibfast[train]'\n"
    )
