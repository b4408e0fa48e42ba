"""`calibfast train --keep-epochs`, then `calibfast regime`."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from tiny import make_questions, save

from calibfast import ece, target_ece
from calibfast.data.questions import read_questions
from calibfast.errors import InputError
from calibfast.evaluation.options import score_options
from calibfast.models.adapter import load_adapter
from calibfast.models.load import load_model
from calibfast.training.config import TrainingConfig
from calibfast.training.regime import _judge, _Scored, measure_regime
from calibfast.training.run import questions_of, train

CONFIG = TrainingConfig(epochs=2, learning_rate=3e-3, lora_r=4, lora_alpha=8, held_out=0.5, keep_epochs=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regime")
    data = folder / "train.jsonl"
    rows = [vars(question) | {"truth": None} for question in make_questions(90)]
    for row in rows:
        row["truth"] = [1 / len(row["choices"])] * len(row["choices"])
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    train(CONFIG, model=save(folder / "model"), data=data, output=folder / "run", device="cpu", progress=False)
    return folder / "run"


def test_every_epoch_is_measured_as_it_was(run, calibfast):
    code, out, _ = calibfast("regime", run, "--device", "cpu", "--format", "json")
    assert code == 0
    found = json.loads(out)
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held_out = [event for event in logged if event["event"] == "held-out"]
    assert [epoch["epoch"] for epoch in found["epochs"]] == [0, 1, 2]
    for epoch, event in zip(found["epochs"], held_out, strict=True):
        assert epoch["nll"] == pytest.approx(event["nll"], rel=1e-4)
        assert epoch["accuracy"] == event["accuracy"]
    questions, _ = questions_of(CONFIG, run.parent / "train.jsonl", skip_bad_rows=False, progress=False)
    model, tokenizer = load_model(run.parent / "model", device="cpu")
    scores = score_options(load_adapter(model, run / "epoch-2"), tokenizer, questions, progress=False)
    own = scores.report()
    assert found["epochs"][2]["train_accuracy"] == own.accuracy
    truth = [np.pad(np.full(len(q.choices), 1 / len(q.choices)), (0, 5 - len(q.choices))) for q in questions]
    assert found["epochs"][2]["train_target_ece"] == pytest.approx(target_ece(scores.logits, truth, logits=True))
    assert found["critical_accuracy"]["known_by"] == "truth"
    uniform = np.mean([1 / len(question.choices) for question in questions])
    assert found["critical_accuracy"]["value"] == pytest.approx(uniform)
    assert found["epochs"][2]["excess"] == pytest.approx(max(0, own.accuracy - uniform))
    code, out, _ = calibfast("regime", run, "--device", "cpu")
    assert "Advice: " in out
    assert len(list(csv.DictReader(io.StringIO(calibfast("regime", run, "--format", "csv")[1])))) == 3


def test_an_estimate_of_the_highest_accuracy_needs_held_out_questions(run, calibfast, tmp_path):
    rows = [json.loads(line) for line in (run.parent / "train.jsonl").read_text().splitlines()]
    for row in rows:
        del row["truth"]

    def trained(name, count):
        data = tmp_path / f"{name}.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))
        model, output = run.parent / "model", tmp_path / name
        train(replace(CONFIG, epochs=1), model=model, data=data, output=output, device="cpu", progress=False)
        return calibfast("regime", output, "--device", "cpu")

    code, out, err = trained("few", 60)
    assert (code, out) == (2, "")
    assert err.endswith("and the run held out 30; hold out more, or train on questions with 'truth' or 'votes'\n")
    code, out, _ = trained("enough", 90)
    assert code == 0
    assert "as far as the held-out questions tell; it may be higher" in out


def test_what_is_no_such_run_is_refused(run, calibfast, tmp_path):
    assert calibfast("regime", tmp_path)[0] == 2
    data = run.parent / "train.jsonl"
    before = data.read_text()
    try:
        data.write_text(before + "\n")
        with pytest.raises(InputError, match="is not the file"):
            measure_regime(run, device="cpu")
    finally:
        data.write_text(before)


def scored(*epochs, n=400, seed=0):
    """Two options, the first of which is right with probability 0.7; an epoch is (confidence, memorised share)."""
    draw = np.random.default_rng(seed)
    labels = (draw.random(n) > 0.7).astype(np.int64)
    logits = []
    for confidence, memorised in epochs:
        said = np.where(draw.random(n) < memorised, labels, 0)
        rows = np.zeros((n, 2), dtype=np.float32)
        rows[np.arange(n), said] = np.log(confidence / (1 - confidence))
        logits.append(rows)
    return _Scored(logits, labels)


@pytest.mark.parametrize(
    ("train_epochs", "held_out_epochs", "advice"),
    [
        ([(0.99, 0), (0.7, 0)], [(0.99, 0), (0.7, 0)], "a temperature is enough"),
        ([(0.99, 0), (0.9, 0.5), (0.99, 1)], [(0.99, 0), (0.85, 0.5), (0.999, 0.3)], "stop at epoch 1"),
        ([(0.99, 0), (0.9, 0.5), (0.99, 1)], [(0.99, 0), (0.8, 0.3), (0.9, 0.6)], "keep epoch 2, the last"),
        ([(0.99, 0), (0.9, 0.5), (0.99, 1)], [(0.99, 0), (0.8, 0.3), (0.9999, 0.6)], "use rcft with lambda 1 for 2"),
    ],
)
def test_advice(train_epochs, held_out_epochs, advice):
    questions = make_questions(400)
    found = _judge(questions, scored(*train_epochs), scored(*held_out_epochs, seed=1), CONFIG)
    assert found.advice.startswith(advice), (found.advice, found.evidence)
    critical = found.critical_accuracy
    assert critical.known_by == "estimate"
    assert critical.low < critical.value < critical.high
    for epoch in found.epochs:
        assert epoch.regime == ("beyond the estimate" if epoch.train_accuracy > critical.high else "calibratable")


def test_regimes_by_what_is_known_of_the_truth():
    plain = make_questions(400)
    two = [type(q)(q.id, None, q.question, ("a", "b"), 0, truth=(0.7, 0.3), votes=(70, 30)) for q in plain]
    epochs = [(0.9, 0), (0.9, 1)]
    for known in ("truth", "votes"):
        questions = [type(q)(q.id, None, q.question, q.choices, 0, **{known: getattr(q, known)}) for q in two]
        found = _judge(questions, scored(*epochs), scored(*epochs, seed=1), CONFIG)
        assert found.critical_accuracy.known_by == known
        assert found.critical_accuracy.value == pytest.approx(0.7, abs=0.01)
        assert [epoch.regime for epoch in found.epochs] == ["calibratable", "non-calibratable"]
        assert found.epochs[1].excess == pytest.approx(0.3, abs=0.01)


def test_the_forced_error_adds_up():
    draw = np.random.default_rng(0)
    truth = draw.dirichlet([1.0, 1.0], size=2000)
    labels = (draw.random(2000) > truth[:, 0]).astype(int)
    memorised = np.where(draw.random(2000) < 0.8, labels, 1 - labels)
    for confidence in (0.6, 0.75, 0.9):
        p = np.full((2000, 2), 1 - confidence)
        p[np.arange(2000), memorised] = confidence
        forced = (memorised == labels).mean() - truth.max(axis=1).mean()
        assert ece(p, labels) + target_ece(p, truth) >= forced - 1e-9


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("truth", [0.5], "1 numbers for 2"),
        ("truth", [0.5, 0.6], "sums to 1.1"),
        ("votes", [1.5, 2], "all whole"),
        ("truth", [-0.5, 1.5], "none below 0"),
    ],
)
def test_bad_truth(tmp_path, field, value, message):
    path = tmp_path / "q.jsonl"
    row = {"question": "x", "choices": ["a", "b"], "answer": 0}
    path.write_text(
        json.dumps(row | {"truth": [0.25, 0.75], "votes": [1, 3]}) + "\n" + json.dumps(row | {field: value})
    )
    assert (read_questions(path, 1)[0].truth, read_questions(path, 1)[0].votes) == ((0.25, 0.75), (1, 3))
    with pytest.raises(InputError, match=f"line 2, field '{field}'.*{message}"):
        read_questions(path)
