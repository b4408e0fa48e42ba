"""What a shell is told when Tab is pressed, by the scripts that `--show-completion` gives it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("calibfast")


def run(*command, code=0, **variables):
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def script(shell):
    return run(COMMAND, "--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "proposed"),
    [("re", ["regime", "recalibrate", "report"]), ("recalibrate a", ["apply", "auto"]), ("ece --fa", ["--fail-above"])],
)
def test_bash(words, proposed):
    line = f"calibfast {words}"
    asked = f"""{script("bash")}
COMP_WORDS=({line}) COMP_CWORD={len(line.split()) - 1}
_calibfast_completion {COMMAND}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    assert sorted(run("bash", "-c", asked).split()) == sorted(proposed)


def test_zsh():
    assert "_CALIBFAST_COMPLETE=complete_zsh" in script("zsh")
    proposed = run(COMMAND, _CALIBFAST_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="calibfast ece --fa")
    assert '"--fail-above":"Exit with 1' in proposed


def fish(words, action, code=0):
    return run(
        COMMAND,
        _CALIBFAST_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION=action,
        _TYPER_COMPLETE_ARGS=f"calibfast {words}",
        code=code,
    )


def test_fish():
    assert "_CALIBFAST_COMPLETE=complete_fish" in script("fish")
    assert all(line.startswith("--") for line in fish("ece --", "get-args").splitlines()), "one line, one proposal"
    fish("ece --", "is-args")
    fish("ece preds", "is-args", code=1)  # so that fish proposes files
