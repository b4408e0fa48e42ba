"""Repair probabilities without training: fit a map on some rows, test it on others, save it."""

from pathlib import Path

import numpy as np

from calibfast.recalibration import TemperatureScaling, from_json, select

draw = np.random.default_rng(0)
logits = 3 * draw.normal(size=(4000, 4))
labels = (logits / 3 + draw.gumbel(size=logits.shape)).argmax(axis=1)  # three times as sure as it should be
fit, test = slice(0, 2000), slice(2000, 4000)

scaling = TemperatureScaling().fit(logits[fit], labels[fit], logits=True)
report = scaling.test(logits[test], labels[test], logits=True)
print(f"temperature {scaling.temperature_:.2f}: conf-ECE {report.conf_ece:.3f}, NLL {report.nll:.3f}")

Path("map.json").write_text(scaling.to_json())
better = from_json(Path("map.json").read_text()).predict_proba(logits[test], logits=True)
print(f"says {better.max(axis=1).mean():.1%}, is right {(better.argmax(axis=1) == labels[test]).mean():.1%}")

methods = ["temperature", "vector", "isotonic", "venn-abers"]
print(select(logits[fit], labels[fit], methods=methods, logits=True).why)
