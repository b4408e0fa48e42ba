"""The sdist and the wheel built from it, in an empty environment: NumPy and Typer are all it needs."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


def run(*command, check=True, **kwargs):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=check, **kwargs)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    # The dependencies that are compiled already serve again.
    shared = os.environ | {"CARGO_TARGET_DIR": str(ROOT / "target")}
    run(sys.executable, "-m", "uv", "build", "--out-dir", out, ROOT, env=shared)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    run(sys.executable, "-m", "uv", "pip", "install", "--python", folder / "bin" / "python", wheel)
    return folder / "bin"


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "-cp310-abi3-" in wheel.name
    assert {"calibfast/cli/app.py", "calibfast/cli/ece.py", "calibfast/_core.pyi", "calibfast/py.typed"} <= set(names)
    assert {f"calibfast/report/page.{suffix}" for suffix in ("html.jinja", "css", "js")} <= set(names)
    assert any(name.endswith("licenses/LICENSES-THIRD-PARTY.yml") for name in names)
    assert all(name.startswith(("calibfast/", "calibfast-")) for name in names)


def test_the_sdist_holds_every_rust_file(wheel):
    """What cargo compiled before serves the wheel here, so that a file that is missing would not be noticed."""
    with tarfile.open(next(wheel.parent.glob("*.tar.gz"))) as sdist:
        held = {name.split("/", 1)[1] for name in sdist.getnames()}
    assert {path.relative_to(ROOT).as_posix() for path in ROOT.glob("crates/*/src/**/*.rs")} <= held


def test_ece_runs_without_torch(environment, tmp_path):
    np.save(tmp_path / "preds.npy", np.array([[0.95, 1], [0.95, 0], [0.6, 1], [0.6, 0]], np.float32))
    done = run(environment / "calibfast", "ece", tmp_path / "preds.npy", "--format", "json", cwd=tmp_path)
    assert '"conf_ece": 0.275' in done.stdout
    done = run(environment / "python", "-c", "import importlib.util as u; print(u.find_spec('torch'))", cwd=tmp_path)
    assert done.stdout.strip() == "None"


def test_train_says_which_extra_is_missing(environment, tmp_path):
    (tmp_path / "train.jsonl").write_text('{"id": "1", "question": "?", "choices": ["a", "b"], "answer": 0}\n')
    arguments = ["train", "--model", "none", "--data", "train.jsonl", "--output", "out", "--method", "cft"]
    done = run(environment / "calibfast", *arguments, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'calibfast[train]'" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
