"""Two processes (gloo) against one: the same E-step, bit for bit, and the same losses to rounding."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    write_questions(folder / "train.jsonl", 80)
    save(folder / "model")
    return folder


def command(setting, output, processes, *arguments):
    """`calibfast train`, as a user launches it; 64 questions, 16 an update, whatever the number of processes."""
    launcher = [sys.executable, "-m"]
    if processes > 1:
        launcher += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    words = [*launcher, "calibfast.cli.app", "train", *ARGUMENTS, *arguments]
    words += ["--model", setting / "model", "--data", setting / "train.jsonl", "--output", output]
    return list(map(str, [*words, "--batch-size", 16 // processes, "--format", "json"]))


def train(setting, output, processes, *arguments):
    words = command(setting, output, processes, *arguments)
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def two_processes(setting):
    return train(setting, setting / "two", 2)


def test_two_processes_do_what_one_does(setting, two_processes, tmp_path):
    one, _ = train(setting, tmp_path / "one", 1)
    two, said = two_processes
    assert two["environment"]["processes"] == 2
    assert said.count("epoch 1/2") == 1, "one process tells"

    # With the same weights the E-step is the same, bit for bit; later weights are the same to rounding.
    for name in ("count", "q", "edges", "assigned"):
        assert one["e_steps"][0][name] == two["e_steps"][0][name]
    with np.load(tmp_path / "one" / "e-step-1.npz") as first, np.load(setting / "two" / "e-step-1.npz") as second:
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])
    assert one["before"] == two["before"]
    assert two["after"]["nll"] == pytest.approx(one["after"]["nll"], rel=1e-3)

    logs = [
        [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "one", setting / "two")
    ]
    for ours, theirs in zip(*logs, strict=True):
        assert ours["event"] == theirs["event"]
        if ours["event"] == "epoch":
            for name in ("loss", "likelihood", "term"):
                assert theirs[name] == pytest.approx(ours[name], rel=1e-3)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_a_process_that_dies_ends_the_run_and_the_next_goes_on(setting, two_processes, tmp_path):
    output, steps = tmp_path / "run", ("--checkpoint-steps", "1")
    words = command(setting, output, 2, *steps)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT) as launcher:
        while launcher.poll() is None and not (tmp_path / "run.unfinished" / "checkpoint-3").exists():
            time.sleep(0.01)
        *_, last = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        os.kill(int(last), signal.SIGKILL)
    assert launcher.returncode not in (0, 2)
    assert not output.exists()
    train(setting, output, 2, *steps)
    for name in ("adapter_model.safetensors", "e-step-2.npz"):
        assert (output / name).read_bytes() == (setting / "two" / name).read_bytes()
