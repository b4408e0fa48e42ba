"""What the frontier of an experiment advises, in folders that differ in what was best."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from calibfast.report.frontier import read_frontier


def write(folder, row, seed, nlls, scaled=None):
    """A finished run, of these held-out NLLs by epoch, and its answers to three test questions."""
    run = folder / "runs" / f"{row}-{seed}"
    run.mkdir(parents=True)
    values = {"accuracy": 0.5, "conf_ece": 0.1}
    held_out = [{"event": "held-out", "epoch": epoch, "nll": nll} | values for epoch, nll in enumerate(nlls)]
    (run / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in held_out))
    config = {"method": row.split("_")[0], "bins": 10}
    result = {"config": config, "scaled": None if scaled is None else {"nll": scaled} | values}
    (run / "result.json").write_text(json.dumps(result))
    predictions = folder / "predictions"
    predictions.mkdir(exist_ok=True)
    for name in ("aligned", run.name):
        np.savez(predictions / f"in-{name}.npz", logits=np.eye(3), labels=np.arange(3))


@pytest.mark.parametrize(
    ("aligned", "temperature", "cft", "rcft", "advice", "evidence"),
    [
        (
            3,
            (1.1, 1.0),
            (1.2, 1.3),
            (1.2, 1.4),
            "a temperature is enough",
            "cft after epoch 1 has 1.200.* 2 of 2 seeds",
        ),
        (3, (1.1, 1.1), (1.0, 1.3), (1.2, 1.4), "stop cft at epoch 1", "temperature has 1.100.* 2 of 2 seeds"),
        (3, (1.1, 1.1), (1.2, 1.1), (1.2, 1.0), "use rcft_lambda=2 for 2", "temperature has 1.100.* 2 of 2 seeds"),
        (3, (0.9, 1.3), (1.2, 1.1), (1.2, 1.0), "use rcft_lambda=2 for 2", "temperature has 1.100.* 1 of 2 seeds"),
        (1, (1.1, 1.1), (1.2, 1.3), (1.2, 1.4), "keep the model as it came", "cft after epoch 1.* 2 of 2 seeds"),
    ],
)
def test_advice(tmp_path, aligned, temperature, cft, rcft, advice, evidence):
    (tmp_path / "experiment.json").write_text("{}")
    for seed in (0, 1):
        write(tmp_path, "temperature", seed, [aligned], scaled=temperature[seed])
        write(tmp_path, "cft", seed, [aligned, *cft])
        write(tmp_path, "rcft_lambda=2", seed, [aligned, *rcft])
    found = read_frontier(tmp_path)
    assert found.advice.startswith(advice)
    assert re.search(evidence, found.evidence)
    assert found.test["in"]["accuracy"] == 1
