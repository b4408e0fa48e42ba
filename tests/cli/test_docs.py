"""docs/cli.md names every option."""

import pytest
from docs.pages import ROOT, options, resolve

from calibfast.cli.app import COMMANDS

TEXT = (ROOT / "docs" / "cli.md").read_text("utf-8")


# The settings of these two are many, and told by --help.
@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"train", "experiment"}))
def test_every_option_is_documented(command):
    assert {option for option in options(resolve([command])[0]) if option not in TEXT} == set()
