"""Logs that Inspect wrote of six made-up questions, and what can be wrong with one."""

import gzip
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from calibfast.errors import CalibfastWarning, InputError, MissingExtraError
from calibfast.io import read_predictions

DATA = Path(__file__).parents[1] / "data_logs"
LETTERS = ["inspect_0.3.25_letters.json.gz", "inspect_0.3.60_letters.eval", "inspect_0.3.285_letters.json.gz"]
EPOCHS = "inspect_0.3.285_epochs.eval"  # compressed by Zstandard
P = np.array(
    [
        [0.62, 0.2, 0.1, 0.04],
        [0.1, 0.7, 0.15, 0.03],
        [0.3, 0.28, 0.32, 0.05],
        [0.05, 0.05, 0.1, 0.79],
        [0.45, 0.4, 0.1, 0.03],
        [0.2, 0.2, 0.55, 0.04],
    ]
)
GOLD = [0, 1, 1, 3, 0, 2]


def read(path, **how):
    with pytest.warns(CalibfastWarning) as caught:
        (chunk,) = read_predictions(path, **how)
    return chunk, str(caught[0].message)


def log(name=LETTERS[2]):
    return json.loads(gzip.decompress((DATA / name).read_bytes()))


def zipped(path, samples, name="samples/{id}_epoch_{epoch}.json"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", "{}")
        for sample in samples:
            archive.writestr(name.format(**sample), json.dumps(sample))
    return path


@pytest.mark.parametrize("name", [*LETTERS, EPOCHS])
def test_logs_that_the_tool_wrote(name):
    chunk, note = read(DATA / name)
    np.testing.assert_allclose(np.exp(chunk.p), P, rtol=1e-12)
    assert chunk.y.tolist() == GOLD
    assert f"the letters hold {P.sum(axis=1).mean():.1%} of the probability of their token" in note
    assert ("6 rows are left out: they repeat the questions in another epoch" in note) == (name == EPOCHS)


def test_shuffled_choices_are_taken_as_they_were_shown():
    chunk, note = read(DATA / "inspect_0.3.285_shuffled.json.gz")
    values = [sample["scores"]["choice"]["value"] for sample in log("inspect_0.3.285_shuffled.json.gz")["samples"]]
    assert (chunk.p.argmax(axis=1) == chunk.y).tolist() == [value == "C" for value in values]
    assert "another answer" not in note
    assert chunk.y.tolist() != GOLD


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("pieces", [1 << 20, 50])
def test_json_of_any_layout_piece_by_piece(tmp_path, monkeypatch, indent, pieces):
    whole = log()
    whole["eval"]["metadata"] = {"samples": [1, {"a": "]"}], "text": 'x" "samples": ['}
    (tmp_path / "a.json").write_text(json.dumps(whole, indent=indent))
    if pieces == 50:
        monkeypatch.setattr("calibfast.io.inspect_log.is_inspect", lambda head: True)
        monkeypatch.setattr("calibfast.io.json_file.is_inspect", lambda head: True)
        monkeypatch.setattr("calibfast.io.json_records._CHUNK", pieces)
    assert read(tmp_path / "a.json")[0].y.tolist() == GOLD


def test_samples_in_parts_and_in_the_order_of_the_tool(tmp_path):
    samples = [sample | {"id": 12 - number} for number, sample in enumerate(log()["samples"])]
    for name in ("samples/{id}_epoch_{epoch}.json", "samples/{id}_epoch_{epoch}/sample.json"):
        chunk, _ = read(zipped(tmp_path / "a.eval", samples, name))
        assert chunk.y.tolist() == GOLD[::-1]


@pytest.mark.parametrize(
    ("value", "other"),
    [("I", 1), ("N", 1), (0, 1), (False, 1), (1.0, 0), ("C", 0), ({"correct": 0, "style": 1}, 0), ([1, 0], 0)],
)
def test_values_of_scores_are_only_compared(tmp_path, value, other):
    samples = log()["samples"][:2]
    samples[0]["scores"] = {"style": {"value": {"tone": 3}}, "letter": {"value": value}}
    samples[1]["scores"] = {}
    chunk, note = read(zipped(tmp_path / "a.eval", samples))
    assert chunk.y.tolist() == GOLD[:2]
    assert ("in 1 of 2 rows the log counts another answer" in note) == bool(other)


def test_answers_in_other_words(tmp_path):
    """A bare letter, reasoning before it, and a sample that ended in an error."""
    samples = log()["samples"][:3]
    content = samples[0]["output"]["choices"][0]["logprobs"]["content"]
    samples[0]["output"]["choices"][0]["logprobs"]["content"] = content[2:]
    token = {"token": "Answer: A? No.\n", "logprob": -0.1, "top_logprobs": [{"token": "Answer", "logprob": -0.1}]}
    content = samples[1]["output"]["choices"][0]["logprobs"]["content"]
    samples[1]["output"]["choices"][0]["logprobs"]["content"] = [token, *content, token | {"token": "."}]
    samples[2] |= {"error": {"message": "time"}, "output": {"choices": []}}
    chunk, note = read(zipped(tmp_path / "a.eval", samples))
    np.testing.assert_allclose(np.exp(chunk.p), P[:2], rtol=1e-12)
    assert "1 rows are left out: they ended in an error" in note


def test_options_that_are_not_listed_are_said(tmp_path):
    samples = [{name: value for name, value in sample.items() if name != "choices"} for sample in log()["samples"]]
    path = zipped(tmp_path / "a.eval", samples)
    assert read(path, options=4)[0].p.shape == (6, 4)
    with pytest.raises(InputError, match=r"samples/1_epoch_1\.json, 'choices': .* \(--options\)"):
        read_predictions(path)


def without(sample, *keys):
    *path, last = keys
    for key in path:
        sample = sample[key]
    sample[last] = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "output"), r"'output': the log holds no prob.*logprobs=True, top_logprobs=20"),
        (lambda s: without(s, "output", "choices", 0, "logprobs"), "'output': the log holds no probabilities"),
        (lambda s: without(s["output"]["choices"][0]["logprobs"]["content"][2], "top_logprobs"), "holds no prob"),
        (lambda s: s.update(target=["A", "B"]), r"'target': is \['A', 'B'\], expected the letter of one of the 4"),
        (lambda s: s.update(target="Paris"), "'target': is 'Paris', expected the letter"),
        (lambda s: s.update(target="E"), "'target': is 'E', expected the letter"),
        (lambda s: s.pop("epoch"), "'samples': holds something that is no sample"),
        (
            lambda s: s["scores"]["choice"].update(explanation="Choices were shuffled before generating a response"),
            "'scores': the choices were shuffled, and where",
        ),
    ],
)
def test_samples_that_cannot_be_read_are_named(tmp_path, change, message):
    whole = log()
    change(whole["samples"][3])
    (tmp_path / "a.json").write_text(json.dumps(whole, indent=2))
    with pytest.raises(InputError, match=rf"a\.json: line \d+, .*{message}") as caught:
        read_predictions(tmp_path / "a.json")
    lines = (tmp_path / "a.json").read_text().splitlines()
    line = int(str(caught.value).split(": line ")[1].split(",")[0])
    assert lines[line - 1 : line + 1] == ["    {", '      "id": 4,']
    path = zipped(tmp_path / "a.eval", whole["samples"][3:4], "samples/4_epoch_1.json")
    with pytest.raises(InputError, match=rf"a\.eval: samples/4_epoch_1\.json, .*{message}"):
        read_predictions(path)


def test_torn_and_foreign_files(tmp_path):
    path = tmp_path / "a.json"
    for whole, message in (
        (json.dumps(log(), indent=2)[:-40000], r"line \d+: no JSON, or the file is cut off"),
        (json.dumps(log() | {"samples": None}), "there is no list 'samples' in it"),
        (json.dumps(log() | {"samples": []}), r"no answers \(the log is empty\)"),
        (json.dumps(log() | {"samples": [3]}), "'samples': holds something that is no sample"),
    ):
        path.write_text(whole)
        with pytest.raises(InputError, match=rf"a\.json: .*{message}"):
            read_predictions(path)
    path, good = tmp_path / "a.eval", (DATA / EPOCHS).read_bytes()
    damaged = bytearray(good)
    name = good.index(b"samples/1_epoch_1.json")
    damaged[name + 60 : name + 90] = bytes(30)
    torn = io.BytesIO()
    with zipfile.ZipFile(torn, "w") as archive:
        archive.writestr("samples/1_epoch_1.json", '{"id": 1, ')
    for content, message in (
        (good[:-500], "no .eval log inside, or it is damaged or cut off"),
        (b"PK\x03\x04", "no .eval log inside"),
        (b"{}", "no .eval log inside"),
        (bytes(damaged), r"samples/1_epoch_1\.json: no JSON, or damaged"),
        (torn.getvalue(), r"samples/1_epoch_1\.json: no JSON, or damaged"),
        (zipped(path, []).read_bytes(), r"no answers \(the log is empty\)"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"a\.eval: {message}"):
            read_predictions(path)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the standard library reads it")
def test_zstandard_needs_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"calibfast\[io\]"):
        read_predictions(DATA / EPOCHS)
