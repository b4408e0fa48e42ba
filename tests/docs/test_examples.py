"""The programs in docs/examples run, each in a folder of small inputs, and say something."""

import runpy
import shutil

import pytest
from docs.pages import ROOT

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
ARGUMENTS = {"rcft.py": ["model", "train.jsonl", "run"], "trainer.py": ["model", "test.jsonl", "text.txt"]}


@pytest.mark.filterwarnings("ignore")  # torch's advice
@pytest.mark.parametrize("example", [pytest.param(path, id=path.name) for path in EXAMPLES])
def test_example(example, world, tmp_path, monkeypatch, capsys):
    shutil.copytree(world, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(example), *ARGUMENTS.get(example.name, ())])
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out
