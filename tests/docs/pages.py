"""The fenced blocks of the pages, and what runs them."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import typer
import yaml

from calibfast.cli.app import app
from calibfast.data.questions import read_questions

ROOT = Path(__file__).parents[2]
CRATE = ROOT / "crates" / "calibfast-core" / "README.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", CRATE, *sorted((ROOT / "docs").rglob("*.md"))]
GROUP = typer.main.get_command(app)

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A block, and why it is not run, where the page says so in a comment above it."""

    place: str
    line: int
    language: str
    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix()
    rest = _FENCE.sub("", text)
    assert "```" not in rest, f"{name}: a fence that does not end, or is indented"
    assert not re.search("^<!-- not run", rest, re.MULTILINE), f"{name}: a reason above no block"
    assert not re.search(r"^(?: {4}|\t)(?:\$ )?calibfast ", rest, re.MULTILINE), f"{name}: a command outside a fence"
    found = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        found.append(Block(f"{name}:{line}", line, match["language"], match["text"], match["reason"]))
    return found


def commands(text: str) -> list[str]:
    """The commands of a block; one may go on after a backslash, and begin with a `$`."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.strip() and not line.startswith("#")]


def resolve(words: list[str]):
    """A command, from the words after `calibfast`, and its own arguments."""
    command, rest = GROUP, words
    while hasattr(command, "list_commands") and rest and not rest[0].startswith("-"):
        name, *rest = rest
        command = command.get_command(typer.Context(command), name)
        assert command, f"there is no command '{name}'"
    return command, rest


def options(command) -> set[str]:
    """The options of a command, `--help` among them."""
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}


def named_options(text: str) -> set[str]:
    """The options that a text speaks of."""
    return set(re.findall(r"(?<=[ \[])--?[a-z][a-z0-9-]*", text))


def check(block: Block) -> None:
    """See that the commands of a block that is not run are commands, with options and values that these take."""
    for line in commands(block.text) if block.language in ("sh", "console") else []:
        words = shlex.split(line, comments=True)
        if "calibfast" in words:
            command, rest = resolve(words[words.index("calibfast") + 1 :])
            command.make_context("calibfast", rest[: rest.index(">")] if ">" in rest else rest)


class Reader:
    """Does what a page says, block after block, in the current folder.

    Args:
        page: The page.
        names: What the Python code of the page finds.
        calibfast: Runs the command line: arguments in; exit code, stdout and stderr out.
    """

    def __init__(self, page, names, calibfast):
        self.page, self.names, self.calibfast = page, names, calibfast

    def read(self, block: Block) -> None:
        """Run a block, or raise what is wrong with it."""
        languages = sorted(name.removeprefix("_read_") for name in vars(Reader) if name.startswith("_read_"))
        assert block.language in languages, f"{block.place}: its language must be one of {', '.join(languages)}"
        try:
            check(block) if block.reason else getattr(self, f"_read_{block.language}")(block)
        except Exception as error:
            raise AssertionError(f"{block.place}: {error}") from error

    def _read_python(self, block: Block) -> None:
        if ">>>" not in block.text:
            exec(compile("\n" * (block.line - 1) + block.text, str(self.page), "exec"), self.names)
            return
        test = doctest.DocTestParser().get_doctest(block.text, {}, block.place, str(self.page), block.line - 1)
        test.globs = self.names
        told: list[str] = []
        flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        doctest.DocTestRunner(optionflags=flags).run(test, out=told.append, clear_globs=False)
        assert not told, "".join(told)

    def _read_sh(self, block: Block) -> None:
        for command in commands(block.text):
            self._run(command)

    def _read_console(self, block: Block) -> None:
        assert block.text.startswith("$ "), "a console begins with '$ ' and a command"
        for part in re.split(r"^\$ ", block.text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            printed = self._run(command)
            wanted, found = ("\n".join(map(str.rstrip, text.strip("\n").splitlines())) for text in (shown, printed))
            assert doctest.OutputChecker().check_output(wanted, found, doctest.ELLIPSIS), f"prints\n{printed}"

    def _run(self, command: str) -> str:
        words = shlex.split(command, comments=True)
        if words[0] != "calibfast":
            return subprocess.run(["bash", "-ec", command], check=True, capture_output=True, text=True).stdout
        target = words[-1] if ">" in words else None
        code, out, err = self.calibfast(*words[1 : words.index(">") if target else None])
        assert code == 0, f"{command}: exit code {code}\n{err}"
        if target:
            Path(target).write_text(out, encoding="utf-8")
        return out

    def _read_yaml(self, block: Block) -> None:
        """It is the file of settings of the commands after it."""
        assert isinstance(yaml.safe_load(block.text), dict)
        Path("settings.yaml").write_text(block.text, encoding="utf-8")

    def _read_json(self, block: Block) -> None:
        """It is the question file of the commands after it."""
        Path("questions.jsonl").write_text(block.text, encoding="utf-8")
        read_questions("questions.jsonl")

    def _read_usage(self, block: Block) -> None:
        """Each option must be one of a command before it."""
        known: set[str] = set()
        for line in block.text.splitlines():
            if line.startswith("calibfast "):
                words = line.split()[1:]
                command, _ = resolve(words[: 1 + (words[0] == "recalibrate")])
                known |= options(command)
            unknown = named_options(line) - known
            assert not unknown, f"no such option: {', '.join(unknown)}"

    def _read_rust(self, block: Block) -> None:
        assert self.page == CRATE, "cargo test --doc runs the README of the crate alone"

    def _read_text(self, block: Block) -> None:
        assert not re.search(r"^(?:\$ )?(?:calibfast|pip|make|cargo) ", block.text, re.MULTILINE), "holds a command"
