"""`calibfast recalibrate` on files."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from calibfast.recalibration import METHODS

MMLU = Path(__file__).parents[1] / "data" / "lub_mmlu_llama_2_7b_chat_hf.npz"
FORM = ("--key", "logits_base", "--logits", "--options", "4")


def rows_of(text):
    return {row["method"]: row for row in csv.DictReader(io.StringIO(text))}


def test_a_temperature_of_one_half_of_mmlu_repairs_the_other(calibfast, tmp_path):
    saved, better = tmp_path / "t.json", tmp_path / "better.npz"
    halves = ("--where", "half=1", "--test-where", "half=2")
    code, out, err = calibfast("recalibrate", "fit", MMLU, *FORM, *halves, "-o", saved, "--format", "csv")
    assert (code, err) == (0, "")
    found = rows_of(out)
    assert float(found["none"]["conf_ece"]) > 0.3
    assert float(found["temperature"]["conf_ece"]) < 0.05
    assert found["temperature"]["accuracy"] == found["none"]["accuracy"]

    code, again, _ = calibfast(
        "recalibrate", "apply", saved, MMLU, *FORM, "--where", "half=2", "-o", better, "--format", "csv"
    )
    assert (code, again) == (0, out)
    report = json.loads(calibfast("ece", better, "--format", "json")[1])
    assert report["conf_ece"] == float(found["temperature"]["conf_ece"])

    for rows in (("--where", "half=1"), ()):
        code, out, err = calibfast("recalibrate", "apply", saved, MMLU, *FORM, *rows)
        assert (code, out) == (2, "")
        assert "distinct rows are rows that this temperature map was fitted to" in err


def test_every_method_on_the_same_halves(calibfast):
    arguments = ("--method", "all", "--where", "half=1", "--test-where", "half=2", "--format", "csv")
    code, out, _ = calibfast("recalibrate", "fit", MMLU, *FORM, *arguments)
    assert code == 0
    found = rows_of(out)
    assert found.keys() == {"none", *METHODS}
    assert all(float(row["conf_ece"]) < 0.05 for name, row in found.items() if name != "none")
    assert all(float(row["accuracy"]) >= float(found["none"]["accuracy"]) for row in found.values())


@pytest.fixture
def small(tmp_path):
    draw = np.random.default_rng(0)
    confidence = 0.5 + draw.random(300) / 2
    file = tmp_path / "small.npz"
    np.savez(file, confidence=confidence, correct=draw.random(300) < confidence**3, part=np.arange(300) % 2)
    return file


def test_auto_says_why(calibfast, small, tmp_path):
    saved = tmp_path / "best.json"
    code, out, err = calibfast("recalibrate", "auto", small, "-o", saved, "--where", "part=0", "--format", "json")
    assert code == 0
    best = json.loads(out)[0]["method"]
    assert best == json.loads(saved.read_text())["kind"]
    assert err.splitlines()[-1].startswith(f"{best}: cross-validated NLL ")
    assert "note: temperature: temperature scaling needs the probabilities of all options" in err
    out = calibfast("recalibrate", "apply", saved, small, "--where", "part=1", "--format", "json")[1]
    before, after = json.loads(out)
    assert after["nll"] < before["nll"]


def test_few_rows_are_cross_fitted(calibfast, small):
    code, out, err = calibfast("recalibrate", "fit", small, "--method", "platt,isotonic", "--format", "csv")
    assert (code, err) == (0, "")
    found = rows_of(out)
    assert {row["n"] for row in found.values()} == {"300"}
    assert float(found["platt"]["nll"]) < float(found["none"]["nll"])


def test_rows_without_labels_are_mapped_alone(calibfast, tmp_path):
    draw = np.random.default_rng(1)
    logits = 3 * draw.normal(size=(200, 4))
    np.savez(tmp_path / "a.npz", logits=logits, labels=draw.integers(4, size=200))
    np.savez(tmp_path / "bare.npz", logits=logits[:50])
    saved, mapped = tmp_path / "t.json", tmp_path / "mapped.npz"
    assert calibfast("recalibrate", "fit", tmp_path / "a.npz", "-o", saved)[0] == 0
    code, out, err = calibfast("recalibrate", "apply", saved, tmp_path / "bare.npz", "-o", mapped)
    assert (code, out) == (0, "")
    assert err == f"note: {tmp_path}/bare.npz: there are no labels, so there is nothing to measure\n"
    found = np.load(mapped)
    assert list(found) == ["probs"]
    temperature = json.loads(saved.read_text())["learned"]["temperature"]
    p = np.exp(logits[:50] / temperature)
    np.testing.assert_allclose(found["probs"], p / p.sum(axis=1, keepdims=True))
    code, out, err = calibfast("recalibrate", "apply", saved, tmp_path / "bare.npz")
    assert (code, out) == (2, "")
    assert "say where to save it (--output)" in err
    (tmp_path / "bare.csv").write_text("p0,p1,p2,p3\n0.7,0.1,0.1,0.1\n0.7,0.1,0.1,0.5\n")
    code, out, err = calibfast("recalibrate", "apply", saved, tmp_path / "bare.csv", "-o", mapped)
    assert (code, out) == (2, "")
    assert "bare.csv: probabilities at row 1 sum to 1.4" in err


def test_notes_of_reading_are_on_stderr(calibfast, tmp_path):
    rows = [
        {
            "doc_id": n,
            "target": int((n % 3 == 2) ^ (n % 7 == 0)),
            "arguments": [["Q", " a"], ["Q", " b"]],
            "filter": name,
        }
        | {"filtered_resps": [[-1.0 - n % 3, False], [-2.0, False]]}
        for name in ("x", "y")
        for n in range(40)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, err = calibfast("recalibrate", "fit", tmp_path / "a.jsonl")
    assert code == 0
    assert (
        err
        == f"note: {tmp_path}/a.jsonl: 40 rows repeat questions for another of the task's filters and are left out\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "FILE", "--method", "nothing"), "there is no recalibration method 'nothing'; there are temperature"),
        (("fit", "FILE"), "temperature scaling needs the probabilities of all options"),
        (("fit", "FILE", "--method", "platt,beta", "-o", "MAP"), "one map is saved at a time"),
        (("fit", "FILE", "--method", "platt", "--where", "part"), "say column=value, such as half=1"),
        (("fit", "FILE", "--method", "platt", "--where", "part=7"), "no row has part=7"),
        (("fit", "FILE", "--method", "platt", "--where", "half=1"), "there is no 'half'"),
        (("apply", "FILE", "FILE"), "small.npz: this is no saved recalibration map"),
    ],
)
def test_bad_input_is_one_line(calibfast, small, tmp_path, arguments, message):
    names = {"FILE": small, "MAP": tmp_path / "map.json"}
    code, out, err = calibfast("recalibrate", *(names.get(argument, argument) for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
