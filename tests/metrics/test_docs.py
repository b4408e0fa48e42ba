"""docs/metrics.md names every metric."""

import re
from pathlib import Path

import calibfast
from calibfast.metrics.catalogue import CATALOGUE

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")


def test_every_metric_has_a_line():
    rows = set(re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in TEXT.splitlines() if line[:3] == "| `")))
    functions = {getattr(metric.function, "func", metric.function).__name__ for metric in CATALOGUE.values()}
    assert functions <= rows
    assert all(callable(getattr(calibfast, name)) for name in rows)
