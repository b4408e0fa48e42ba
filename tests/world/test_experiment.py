import json

import pytest

from calibfast.cli.app import main
from calibfast.data.overlap import fingerprint
from calibfast.data.questions import read_questions
from calibfast.errors import InputError
from calibfast.training.experiment import method_rows
from calibfast.world import experiment
from calibfast.world.experiment import run_world_experiment
from calibfast.world.making import Recipe


@pytest.fixture
def tiny(monkeypatch):
    """A world too short to learn anything."""
    monkeypatch.setattr(experiment, "RECIPE", Recipe(3, 2, 80, 70, 35, 90))
    monkeypatch.setattr(experiment, "LIMIT_TEST", 80)
    monkeypatch.setattr(experiment, "METHODS", {"cft": {"epochs": 1}})


def test_a_world_for_each_seed(tiny, tmp_path, capsys):
    output = tmp_path / "worlds"
    with pytest.raises(SystemExit) as ended:
        main(["experiment", "--world", "--seeds", "0,1", "--output", str(output), "--format", "json"])
    assert ended.value.code == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["method"], row["domain"]) for row in rows] == [
        (method, domain) for domain in ("in", "out") for method in ("base", "aligned", "temperature", "cft")
    ]
    assert all(len(set(row["by_seed"]["nll"])) == 2 for row in rows)
    for seed in (0, 1):
        world = output / f"world-{seed}"
        trained = {fingerprint(question) for question in read_questions(world / "questions.jsonl")}
        assert len(read_questions(world / "questions.jsonl")) == 105
        assert not trained & {fingerprint(question) for question in read_questions(world / "test-in.jsonl")}
        result = json.loads((output / f"seed-{seed}" / "runs" / f"cft-{seed}" / "result.json").read_text())
        assert (result["questions"], result["held_out_questions"]) == pytest.approx((70, 35), abs=2)

    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.npz")}
    again = method_rows(run_world_experiment(output, [0, 1], progress=False))
    assert [row.to_dict() for row in again] == [
        {name: value for name, value in row.items() if name != "by_seed"} for row in rows
    ]
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.npz")} == before


def test_a_folder_with_something_else_is_refused(tiny, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="no experiment"):
        run_world_experiment(tmp_path, [0], progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
