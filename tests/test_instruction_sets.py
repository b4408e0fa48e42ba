"""Every instruction set gives the bytes that are written down: CALIBFAST_SIMD forces one in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "crates" / "calibfast-core" / "tests" / "golden.txt"


def on(level, *arguments):
    environment = os.environ | {"CALIBFAST_SIMD": level}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512", "neon"])
def test_every_level_gives_the_golden_states(level):
    done = on(level, Path(__file__).with_name("golden.py"))
    if "which this machine lacks" in done.stderr:
        pytest.skip(f"this machine lacks {level}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == GOLDEN.read_text().splitlines()[:-1]  # the last is of metrics, not of states


def test_a_level_that_cannot_be_had_is_refused():
    done = on("sse9", "-c", "import calibfast; calibfast.ece([0.5], [1])")
    assert 'InputError: CALIBFAST_SIMD is "sse9", which is no instruction set; here it may be baseline' in done.stderr
