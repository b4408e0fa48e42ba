"""One of two processes that share the rows among them; run as a script, it is the second."""

import sys
from datetime import timedelta

import torch
import torch.distributed as dist

from calibfast.torch import CalibrationError

ROWS = [slice(0, 150), slice(150, 600)]


def measure(rank, folder):
    """Rows seen here; the error; the state after torchmetrics' own reduction, and after one sum by hand."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(minutes=5)
    )
    try:
        probs, target = torch.load(folder / "rows.pt")
        metric = CalibrationError("multiclass", num_classes=4, kind="classwise")
        metric.update(probs[ROWS[rank]], target[ROWS[rank]])
        seen = metric.accumulator().n
        value = metric.compute().item()
        with metric.sync_context():
            state = metric.accumulator()
        dist.all_reduce(metric.words)
        return seen, value, state, metric.accumulator()
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    from pathlib import Path

    measure(1, Path(sys.argv[1]))
