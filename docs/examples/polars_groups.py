"""Calibration of each model and subject, inside a Polars query."""

import numpy as np
import polars as pl

import calibfast.engines.polars  # noqa: F401 - gives every expression .calibfast

draw = np.random.default_rng(0)
confidence = draw.uniform(0.3, 1, 20_000)
model = draw.choice(["aligned", "restored"], 20_000)
correct = draw.random(20_000) < np.where(model == "aligned", confidence**2, confidence)
frame = pl.LazyFrame({
    "model": model,
    "subject": draw.choice(["law", "physics"], 20_000),
    "confidence": confidence,
    "correct": correct,
})  # fmt: skip

ece = pl.col("confidence").calibfast.ece("correct", bins=15)
table = frame.group_by("model", "subject").agg(rows=pl.len(), accuracy=pl.col("correct").mean(), ece=ece)
print(table.sort("ece", descending=True).collect(engine="streaming"))
