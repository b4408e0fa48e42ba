"""What a benchmark ran on: times mean nothing without it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import distributions
from pathlib import Path

import calibfast
from calibfast import _core

_PACKAGES = ("numpy", "torch", "torchmetrics", "netcal", "scikit-learn", "uncertainty-calibration", "relplot")


def facts() -> dict[str, str]:
    """Processor, system and versions, by name."""
    found = {
        "processor": _processor(),
        "instructions": _core.simd_level(),
        "threads": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "calibfast": calibfast.__version__,
    }
    versions = {each.metadata["Name"].lower(): each.version for each in distributions()}
    return found | {package: versions[package] for package in _PACKAGES if package in versions}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
