"""The version stands in the workspace's Cargo.toml; what repeats it says the same."""

import re
from pathlib import Path

from calibfast import __version__

ROOT = Path(__file__).parents[1]


def stated(file, pattern):
    return re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE).group(1)


def test_one_version():
    assert stated("Cargo.toml", r'^version = "(.+)"$') == __version__
    assert stated("Cargo.toml", r'^calibfast-core = .*version = "(.+)"') == __version__
    assert stated("CITATION.cff", r"^version: (.+)$") == __version__
    assert stated("CHANGELOG.md", r"^## (\S+)") in {"Unreleased", __version__}
