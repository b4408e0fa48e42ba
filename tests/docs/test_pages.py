"""The pages do not lie: every block is run, in a folder of small real inputs, or says above itself why not.

| language | what happens |
|---|---|
| `python` | examples with `>>>` must print what they show, other code runs; a page is one namespace |
| `sh` | each command must succeed |
| `console` | each `$ command` must print what stands below it |
| `yaml` | is the file `settings.yaml` of the commands after it |
| `json` | is a question file |
| `usage` | every option must be one of the command's |
| `rust` | `cargo test --doc` runs it, in the README of the crate |
| `text` | nothing; it may hold no command |
"""

import re
import shutil

import pytest
from docs.pages import PAGES, ROOT, Reader, blocks, named_options, options, resolve


@pytest.mark.filterwarnings("ignore")  # Lightning's and Dask's advice
@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in PAGES if blocks(page)]
)
def test_page(page, names, world, tmp_path, monkeypatch, calibfast):
    shutil.copytree(world, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    reader = Reader(page, {"__name__": page.stem, **names(page)}, calibfast)
    for block in blocks(page):
        reader.read(block)


def test_commands_within_sentences():
    wrong = []
    for page in PAGES:
        for text in re.findall(r"`(calibfast [a-z][^`\n]*)`", page.read_text(encoding="utf-8")):
            command, _ = resolve(text.split()[1:])
            wrong += [f"{page.name}: {text}: {option}" for option in named_options(text) - options(command)]
    assert not wrong


def test_what_is_not_run(capsys):
    found = [block for page in PAGES for block in blocks(page)]
    left = [block for block in found if block.reason]
    with capsys.disabled():
        print(f"\n{len(found) - len(left)} blocks of pages are run, {len(left)} are not:")
        print(*(f"  {block.place}: {block.reason}" for block in left), sep="\n")
