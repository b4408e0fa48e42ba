"""Many files, or chunks, are one set of rows."""

import json
import os

import numpy as np
import pytest

from calibfast import ece, evaluate, stream
from calibfast.errors import InputError, StateError
from calibfast.io.files import prediction_files
from calibfast.io.npy import Cursor
from calibfast.io.partial import Partial
from calibfast.io.stream import measure_file

RNG = np.random.default_rng(0)
P = RNG.random(3000, dtype=np.float32)
Y = RNG.random(3000) < P
PARTS = [slice(0, 10), slice(10, 1700), slice(1700, 3000)]


@pytest.fixture
def shards(tmp_path):
    """The rows in three files of different kinds."""
    folder = tmp_path / "shards"
    folder.mkdir()
    np.save(folder / "a.npy", np.stack([P, Y], axis=1)[PARTS[0]])
    np.savez(folder / "b.npz", confidence=P[PARTS[1]], correct=Y[PARTS[1]])
    (folder / "deeper").mkdir()
    np.savez(folder / "deeper" / "c.npz", confidence=P[PARTS[2]], correct=Y[PARTS[2]])
    (folder / "_SUCCESS.json").write_text("")
    return folder


def test_files_patterns_and_folders_are_one_set_of_rows(shards, monkeypatch):
    whole = evaluate(P, Y, metrics=["smece"])
    given = [shards, f"{shards}/**/*.np?", [shards / "b.npz", str(shards / "deeper"), shards / "a.npy"]]
    for source in given:
        for threads in (1, 3):
            assert stream(source, metrics=["smece"], threads=threads) == whole
    assert stream((P[part], Y[part]) for part in PARTS) == evaluate(P, Y)


def test_the_command_line_counts_files_together(calibfast, shards):
    code, out, _ = calibfast("ece", shards / "a.npy", shards / "*.npz", shards / "deeper", "--format", "json")
    assert (code, json.loads(out)) == (0, json.loads(evaluate(P, Y).to_json()))
    code, out, _ = calibfast("ece", shards, "--compat", "netcal", "--format", "json")
    assert json.loads(out)["metrics"]["netcal_ece"] == pytest.approx(ece(P, Y, compat="netcal"))


def test_files_of_different_forms_are_named(calibfast, shards):
    np.save(shards / "d.npy", np.stack([P, Y], axis=1).astype(np.float64))
    code, _, err = calibfast("ece", shards)
    assert code == 2
    assert "d.npy: holds float64 confidence" in err
    assert "a.npy holds float32 confidence" in err
    assert calibfast("ece", shards, "--dtype", "float32")[0] == 0
    (shards / "d.npy").unlink()
    np.savez(shards / "d.npz", probs=np.full((4, 2), 0.5, np.float32), labels=[0, 1, 0, 1])
    np.savez(shards / "e.npz", probs=np.full((4, 4), 0.25, np.float32), labels=[0, 1, 0, 1])
    code, _, err = calibfast("ece", shards / "d.npz", shards / "e.npz")
    assert code == 2
    assert "e.npz: holds float32 probs of 4 options" in err


def test_files_at_fault_end_it_or_are_left_out(calibfast, shards):
    np.savez(shards / "broken.npz", confidence=np.float32([0.5, 2.0]), correct=[True, True])
    (shards / "cut.npz").write_bytes((shards / "b.npz").read_bytes()[:100])
    code, out, err = calibfast("ece", shards)
    assert (code, out) == (2, "")
    assert "broken.npz: confidence at row 1" in err
    code, out, err = calibfast("ece", shards, "--on-error", "skip", "--format", "json")
    assert (code, json.loads(out)["n"]) == (1, 3000)
    assert [line.split(": ")[1] for line in err.splitlines()] == ["left out"] * 2
    assert "broken.npz" in err
    assert "cut.npz" in err
    code, _, err = calibfast("ece", shards / "broken.npz", shards / "cut.npz", "--on-error", "skip")
    assert code == 2
    assert "none of the 2 files" in err


def test_a_file_that_shrinks_while_it_is_read_is_left_out(calibfast, shards, monkeypatch):
    take = Cursor.take

    def shrinking(cursor, rows):
        if cursor.where.endswith("a.npy"):
            os.truncate(cursor.where, 150)
        return take(cursor, rows)

    monkeypatch.setattr(Cursor, "take", shrinking)
    code, out, err = calibfast("ece", shards, "--on-error", "skip", "--format", "json")
    assert (code, json.loads(out)["n"]) == (1, 2990)
    assert "a.npy: ended while it was read" in err


def test_what_stands_for_no_file_or_twice_for_one(shards, tmp_path):
    for source, problem in (
        ([shards, shards / "a.npy"], "named twice"),
        (shards / "*.csv", "no file"),
        (tmp_path / "shards" / "deeper" / ".." / "none*", "no file"),
        ([], "no files"),
    ):
        with pytest.raises(InputError, match=problem):
            prediction_files(source)
    (tmp_path / "odd[1].npy").write_bytes((shards / "a.npy").read_bytes())
    assert prediction_files(tmp_path / "odd[1].npy") == [tmp_path / "odd[1].npy"]


def test_a_folder_of_tables_in_json_is_one_set(calibfast, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"confidence": 0.75, "correct": 1}\n' * 3)
    assert json.loads(calibfast("ece", tmp_path, "--format", "json")[1])["n"] == 6


def test_states_travel_as_bytes(shards):
    parts = [measure_file(file).to_bytes() for file in prediction_files(shards)]
    total = Partial.from_bytes(parts[2])
    for part in parts[:2]:
        total.merge(Partial.from_bytes(part))
    report, whole = total.evaluation.report(), evaluate(P, Y)
    assert (report.conf_ece, report.nll, report.reliability) == (whole.conf_ece, whole.nll, whole.reliability)
    assert report.auroc is None
    assert "needs the rows" in report.not_measured["auroc"]
    with pytest.raises(InputError, match=r"b\.npz: is in both"):
        total.merge(Partial.from_bytes(parts[1]))
    with pytest.raises(StateError, match="different bins"):
        total.merge(measure_file(shards.rename(shards.with_name("moved")) / "a.npy", bins=3))


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda data: data[:-1], "damaged"),
        (lambda data: data.replace(b"a.npy", b"b.npy"), "damaged"),
        (lambda data: data.replace(b"CFSP 1", b"CFSP 2"), "version 2"),
        (lambda data: b"PK" + data, "no partial state"),
        (lambda data: b"", "no partial state"),
    ],
)
def test_damaged_and_newer_states_are_refused(shards, harm, problem):
    data = measure_file(shards / "a.npy").to_bytes()
    with pytest.raises(StateError, match=problem):
        Partial.from_bytes(harm(data))


def test_rows_are_let_go_once_there_are_too_many(shards, monkeypatch):
    monkeypatch.setattr("calibfast.metrics.evaluation.MAX_KEPT_ROWS", 2000)
    report = stream(shards)
    assert (report.n, report.auroc) == (3000, None)
