"""`calibfast report` on files."""

import json

import numpy as np
import pytest

N = 120
RNG = np.random.default_rng(0)
PROBS = RNG.dirichlet([0.5] * 3, N)
LABELS = RNG.integers(0, 3, N)


@pytest.fixture
def files(tmp_path):
    for name, power in ("a", 1), ("b", 2):
        probs = PROBS**power / (PROBS**power).sum(axis=1, keepdims=True)
        np.savez(tmp_path / f"{name}.npz", probs=probs, labels=LABELS)
    return tmp_path / "a.npz", tmp_path / "b.npz"


@pytest.mark.parametrize(("suffix", "start"), [("html", "<!doctype"), ("md", "# "), ("tex", "\\begin"), ("json", "{")])
def test_the_name_of_the_output_says_what_it_is(calibfast, files, tmp_path, suffix, start):
    code, out, err = calibfast("report", *files, "-o", tmp_path / f"page.{suffix}")
    assert (code, out) == (0, "")
    assert all(line.startswith("note: ") for line in err.splitlines())
    assert (tmp_path / f"page.{suffix}").read_text("utf-8").startswith(start)


def test_formats_go_to_stdout(calibfast, files):
    assert calibfast("report", files[0], "--format", "md")[1].startswith("# Calibration of a")
    code, out, err = calibfast("report", files[0])
    assert (code, out) == (2, "")
    assert "-o report.html" in err


def test_files_that_cannot_stand_side_by_side_are_refused(calibfast, files, tmp_path):
    code, _, err = calibfast("report", files[0], files[0], "--format", "md")
    assert code == 2
    assert "named twice" in err
    np.savez(tmp_path / "other.npz", probs=PROBS, labels=(LABELS + (np.arange(N) == 7)) % 3)
    code, _, err = calibfast("report", files[0], tmp_path / "other.npz", "-o", tmp_path / "page.html")
    assert code == 2
    assert "differ first at row 7" in err
    assert not (tmp_path / "page.html").exists()


def test_files_are_read_as_ece_reads_them(calibfast, tmp_path):
    np.save(tmp_path / "p.npy", PROBS)
    np.save(tmp_path / "y.npy", LABELS)
    arguments = (tmp_path / "p.npy", "--labels", tmp_path / "y.npy", "--bins", "5", "--format", "json")
    measured = json.loads(calibfast("ece", *arguments, "--ci")[1])
    [model] = json.loads(calibfast("report", *arguments)[1])["models"]
    assert model["report"] | {"metrics": {}} == measured
