"""Predictions that arrive in pieces, in several processes, and are never in one place."""

from concurrent.futures import ProcessPoolExecutor
from functools import reduce

import numpy as np

import calibfast


def predictions(seed):
    """One worker's batches."""
    draw = np.random.default_rng(seed)
    for _ in range(10):
        confidence = draw.random(10_000, dtype=np.float32)
        yield confidence, draw.random(10_000) < confidence**1.5


def count(seed):
    """A worker's state, as bytes."""
    metric = calibfast.CalibrationError(bins=15)
    for confidence, correct in predictions(seed):
        metric.update(confidence, correct)
    return metric.to_bytes()


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as workers:
        states = list(workers.map(count, range(4)))
    parts = [calibfast.CalibrationError.from_bytes(state) for state in states]
    merged = reduce(calibfast.CalibrationError.merge, parts)
    print(f"{len(states[0])} bytes a worker, conf-ECE {merged.compute():.4f}")

    report = calibfast.stream((batch for seed in range(4) for batch in predictions(seed)), bins=15)
    print("the same bits as of all rows at once:", merged.compute() == report.conf_ece)
