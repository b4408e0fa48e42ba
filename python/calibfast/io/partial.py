"""What some files of predictions add up to: a mergeable state, and whose rows are in it."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, NamedTuple

from calibfast._core import Groups, State
from calibfast.errors import InputError, StateError
from calibfast.io.remote import RemoteFile
from calibfast.metrics import Evaluation
from calibfast.metrics.evaluation import MAX_GROUP_REPORTS
from calibfast.whole import open_whole, reading_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from calibfast.io.predictions import Reading
    from calibfast.metrics import Report

_MAGIC = b"CFSP 1 "


class Counted(NamedTuple):
    """A file whose rows are counted.

    Attributes:
        name: Its path, or its URL.
        size: In bytes.
        changed: Nanoseconds since 1970 at which it was last changed.
    """

    name: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path | RemoteFile) -> Counted:
        """What a file is now.

        Raises:
            OSError: There is none.
        """
        if isinstance(path, RemoteFile):
            return cls(str(path), *path.head())
        stat = path.stat()
        return cls(str(path.absolute()), stat.st_size, stat.st_mtime_ns)


def given(reading: Reading) -> dict[str, str]:
    """The options of reading that say which numbers of a file are counted, where they are not the usual ones."""
    return {name: str(value) for name, value in sorted(reading.items()) if value not in (None, False, "sum")}


def worded(reading: Mapping[str, str]) -> str:
    """Options as they stand on the command line."""
    flags = (f"--{name.replace('_', '-')} {value}".removesuffix(" True") for name, value in reading.items())
    return f"with {' '.join(flags)}" if reading else "without options"


class Partial:
    """The rows of some files as one exact state; `merge` puts the states of several together.

    The sum does not depend on which files come together in which order. Files are known by name: rows that would count
    twice are refused.

    Attributes:
        evaluation: The rows.
        form: What the rows are, in words: "float32 confidence", "float64 probs of 4 options". Edges of bins are
            rounded to the type, so that rows of different forms are no one set.
        files: The files by name, in the order in which they came.
        reading: How they were read; see `given`.
    """

    def __init__(
        self, evaluation: Evaluation, form: str, files: Iterable[Counted], reading: Mapping[str, str] | None = None
    ) -> None:
        self.evaluation, self.form, self.files = evaluation, form, {file.name: file for file in files}
        self.reading = dict(reading or {})

    @property
    def n(self) -> int:
        """Rows counted."""
        return self.evaluation.state.rows

    def merge(self, other: Partial) -> Partial:
        """Add the files of `other`, and return self.

        Raises:
            InputError: The rows are of another form, or a file is in both.
            StateError: The two differ in bins, or in how their files were read.
        """
        here, there = next(iter(self.files)), next(iter(other.files))
        if self.form != other.form:
            raise InputError(
                f"{there}: holds {other.form}, but {here} holds {self.form}; one set of rows is of one form "
                "(--dtype reads all as one type)"
            )
        if self.reading != other.reading:
            raise StateError(f"{there}: was read {worded(other.reading)}, {here} {worded(self.reading)}")
        if twice := self.files.keys() & other.files.keys():
            raise InputError(f"{min(twice)}: is in both, and its rows would count twice")
        self.evaluation.merge(other.evaluation)
        self.files |= other.files
        return self

    def has(self, path: Path | RemoteFile) -> bool:
        """Whether a file is counted already.

        Raises:
            InputError: It is, and has changed since.
            OSError: There is no such file.
        """
        file = Counted.of(path)
        if self.files.get(file.name, file) != file:
            raise InputError(f"{path}: has changed since its rows were counted; count all anew, in another state")
        return file.name in self.files

    def report(self) -> Report:
        """Every metric of the rows.

        Raises:
            InputError: There are no rows.
        """
        try:
            return self.evaluation.report()
        except InputError as error:
            raise InputError(f"{next(iter(self.files))}: {error}") from None

    def to_bytes(self) -> bytes:
        """The exact states, the form and the names of the files, with a version and a checksum; rows are not in it.

        The same files give the same bytes, whatever came together in which order.
        """
        evaluation = self.evaluation
        content = {
            "form": self.form,
            "files": sorted(self.files.values()),
            "reading": self.reading,
            "state": b64encode(evaluation.state.to_bytes()).decode(),
            "groups": {name: _text(state) for name, state in evaluation.group_states.items()},
        }
        body = json.dumps(content).encode()
        if evaluation.group_table is not None:  # of very many groups, so that it stands as it is
            body += b"\n" + evaluation.group_table.to_bytes()
        return _MAGIC + b"%08x\n" % zlib.crc32(body) + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Partial:
        """The partial state that `to_bytes` wrote.

        Raises:
            StateError: The bytes are damaged, of a newer version, or none.
        """
        head, _, body = data.partition(b"\n")
        if not head.startswith(_MAGIC[:5]):
            raise StateError("no partial state of calibfast")
        if not head.startswith(_MAGIC):
            version = head.split()[1:2]
            raise StateError(
                f"a partial state of version {version[0].decode(errors='replace') if version else '?'}, "
                "this calibfast reads version 1; update calibfast"
            )
        if head != _MAGIC + b"%08x" % zlib.crc32(body):
            raise StateError("the partial state is damaged or cut off: its checksum does not match")
        plain, _, table = body.partition(b"\n")
        with reading_back("the partial state", StateError):
            content: dict[str, Any] = json.loads(plain)
            files = [Counted(str(name), int(size), int(changed)) for name, size, changed in content["files"]]
            reading = {name: str(value) for name, value in content.get("reading", {}).items()}
            state, groups = State.from_bytes(b64decode(content["state"])), dict[str, State]()
            texts = content.get("groups", {})
            if not files or len(texts) > MAX_GROUP_REPORTS:  # of few bytes each, which are many more in memory
                raise StateError("the partial state is damaged: it has no files, or more groups than can be")
            for name, text in texts.items():
                groups[name] = _state(text)
                if (groups[name].edges, groups[name].classes) != (state.edges, state.classes):
                    raise StateError("the partial state is damaged: its groups are not those of its rows")
            evaluation = Evaluation.of_state(state, groups, Groups.from_bytes(table) if table else None)
            return cls(evaluation, str(content["form"]), files, reading)

    def write(self, path: Path) -> None:
        """Write `to_bytes` to a file, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        with open_whole(path) as file:
            file.write(self.to_bytes())

    @classmethod
    def read(cls, path: Path) -> Partial:
        """The partial state that `write` wrote.

        Raises:
            StateError: The file is damaged, of a newer version, or no partial state.
            OSError: It cannot be read.
        """
        try:
            return cls.from_bytes(path.read_bytes())
        except StateError as error:
            raise StateError(f"{path}: {error}") from None


def _text(state: State) -> str:
    """Runs of zero bytes, which empty bins are full of, as a zero and the length of each.

    Not by zlib, whose bytes differ with its build, and a kilobyte of which may hold a megabyte.
    """
    short = re.sub(rb"\0{1,255}", lambda run: bytes([0, len(run[0])]), state.to_bytes())
    return b64encode(short).decode()


def _state(text: str) -> State:
    return State.from_bytes(re.sub(rb"\0(.)", lambda run: bytes(run[1][0]), b64decode(text), flags=re.DOTALL))
