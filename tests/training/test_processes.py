"""Two processes (gloo) against one: the same E-step, bit for bit, and the same losses to rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from tiny import save, write_questions

ARGUMENTS = (
    "--method",
    "rcft",
    "--epochs",
    "2",
    "--lora-r",
    "2",
    "--lr",
    "1e-3",
    "--device",
    "cpu",
    "--held-out",
    "0.2",
)


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    write_questions(folder / "train.jsonl", 80)
    save(folder / "model")
    return folder


def train(setting, output, processes, *arguments):
    """`calibfast train`, as a user launches it; 64 questions, 16 an update, whatever the number of processes."""
    launcher = [sys.executable, "-m"]
    if processes > 1:
        launcher += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command = [*launcher, "calibfast.cli.app", "train", *ARGUMENTS, *arguments]
    command += ["--model", setting / "model", "--data", setting / "train.jsonl", "--output", output]
    command += ["--batch-size", str(16 // processes), "--format", "json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_two_processes_do_what_one_does(setting, tmp_path):
    one, _ = train(setting, tmp_path / "one", 1)
    two, said = train(setting, tmp_path / "two", 2)
    assert two["environment"]["processes"] == 2
    assert said.count("epoch 1/2") == 1, "one process tells"

    # With the same weights the E-step is the same, bit for bit; later weights are the same to rounding.
    for name in ("count", "q", "edges", "assigned"):
        assert one["e_steps"][0][name] == two["e_steps"][0][name]
    with np.load(tmp_path / "one" / "e-step-1.npz") as first, np.load(tmp_path / "two" / "e-step-1.npz") as second:
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])
    assert one["before"] == two["before"]
    assert two["after"]["nll"] == pytest.approx(one["after"]["nll"], rel=1e-3)

    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    for ours, theirs in zip(*logs, strict=True):
        assert ours["event"] == theirs["event"]
        if ours["event"] == "epoch":
            for name in ("loss", "likelihood", "term"):
                assert theirs[name] == pytest.approx(ours[name], rel=1e-3)
