import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from calibfast.data.questions import read_questions
from calibfast.errors import InputError
from calibfast.evaluation.options import score_options
from calibfast.io import read_predictions
from calibfast.models.adapter import load_adapter
from calibfast.models.load import load_model
from calibfast.recalibration.temperature import TemperatureScaling
from calibfast.world import demo
from calibfast.world.demo import Recipe, run_demo

METHODS = ["truth", "base", "aligned", "temperature", "cft", "rcft"]
COLUMNS = ["method", "domain", "conf_ece", "cw_ece", "accuracy", "nll", "distance_to_truth"]


@pytest.fixture(scope="module")
def tiny():
    """A story too short to learn anything: run by `fast=True`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "FAST", Recipe(4, 2, 80, 70, 60, 90))
        yield


@pytest.fixture(scope="module")
def told(tiny, tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo") / "folder", seed=3, fast=True, progress=False)


def test_the_command_line_tells_the_story(tmp_path):
    folder = tmp_path / "demo"
    command = [sys.executable, "-m", "calibfast.cli.app", "demo", "--fast", "--output", folder, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [list(row) for row in rows] == [COLUMNS] * 12
    assert [row["method"] for row in rows] == METHODS * 2
    assert [row["domain"] for row in rows] == ["in"] * 6 + ["out"] * 6
    by = {(row["method"], row["domain"]): row for row in rows}

    assert by["truth", "in"]["conf_ece"] < 0.06
    assert by["truth", "in"]["distance_to_truth"] < 1e-9
    for domain in ("in", "out"):
        collapsed = by["aligned", domain]
        assert collapsed["conf_ece"] > by["base", domain]["conf_ece"] + 0.15
        assert by["temperature", domain]["accuracy"] == collapsed["accuracy"]
        for method in ("temperature", "cft", "rcft"):
            restored = by[method, domain]
            assert restored["conf_ece"] < collapsed["conf_ece"] - 0.1
            assert restored["nll"] < collapsed["nll"]
            assert restored["distance_to_truth"] < collapsed["distance_to_truth"]
    for method in ("cft", "rcft"):
        assert by[method, "in"]["accuracy"] > by["aligned", "in"]["accuracy"] - 0.08

    assert (folder / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "results.json").read_text())["rows"] == rows
    assert "Traceback" not in done.stderr


def test_everything_in_the_folder_is_read_by_the_other_commands(told):
    folder = told.folder
    rows = {(row.method, row.domain): row for row in told.rows}
    for domain in ("in", "out"):
        test = read_questions(folder / f"test-{domain}.jsonl")
        assert len(test) == 90
        for method in METHODS:
            path = folder / "predictions" / f"{method}-{domain}.npz"
            report = read_predictions(path).evaluate()
            assert (report.n, report.conf_ece, report.nll) == (
                90,
                rows[method, domain].conf_ece,
                rows[method, domain].nll,
            )
            with np.load(path) as arrays:
                assert arrays["labels"].tolist() == [question.answer for question in test]
                assert arrays["truth"].shape == (90, 4)
    for base, adapter in (("base", None), ("aligned", None), ("aligned", "cft"), ("aligned", "rcft")):
        model, tokenizer = load_model(folder / base, device="cpu")
        if adapter is not None:
            model = load_adapter(model, folder / adapter)
        scores = score_options(model, tokenizer, read_questions(folder / "test-in.jsonl"), progress=False)
        with np.load(folder / "predictions" / f"{adapter or base}-in.npz") as arrays:
            np.testing.assert_allclose(scores.logits, arrays["logits"], atol=1e-4)
    files = ("train", "held-out", "test-in", "test-out")
    names = [question.id for name in files for question in read_questions(folder / f"{name}.jsonl")]
    assert len(set(names)) == len(names) == 70 + 60 + 2 * 90


def test_a_seed_gives_the_same_table_twice_and_leaves_the_threads_alone(told, tmp_path):
    torch.set_num_threads(2)
    again = run_demo(tmp_path / "again", seed=3, fast=True, progress=False)
    other = run_demo(tmp_path / "other", seed=4, fast=True, progress=False)
    assert torch.get_num_threads() == 2
    assert again.rows == told.rows
    assert again.temperature == told.temperature
    assert all(a != b for a, b in zip(other.rows, told.rows, strict=True))


def test_a_folder_in_use_is_refused_before_any_work(tiny, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="not empty"):
        run_demo(tmp_path, fast=True, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_temperature_is_fitted_on_held_out_rows_alone(told):
    folder = told.folder
    model, tokenizer = load_model(folder / "aligned", device="cpu")
    scores = score_options(model, tokenizer, read_questions(folder / "held-out.jsonl"), progress=False)
    scaling = TemperatureScaling().fit(scores.logits, scores.labels, logits=True)
    recorded = json.loads((folder / "results.json").read_text())["temperature"]
    assert scaling.temperature == pytest.approx(recorded, rel=1e-3)
