"""docs/cli.md names every option."""

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")


@pytest.mark.parametrize("command", ["ece", "evaluate", "collapse", "regime", "frontier", "report", "winrate"])
def test_every_option_is_documented(calibfast, command):
    options = set(re.findall(r"--[a-z-]+", calibfast(command, "--help")[1])) - {"--help"}
    assert {option for option in options if option not in TEXT} == set()
