"""Records by key in a file of JSON lines, each on the disk before the next thing happens."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from calibfast.errors import STUMBLES, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


class Journal:
    """Records that outlive the process, however it ends.

    A line that a kill cut off is forgotten when the file is opened again. A key may have several records.

    Args:
        path: The file. Its folder exists.

    Raises:
        InputError: It holds something else.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     Journal(Path(folder) / "judgements.jsonl").add({"a1": {"verdict": "A"}})
        ...     Journal(Path(folder) / "judgements.jsonl").get("a1")["verdict"]
        'A'
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[str, list[dict[str, Any]]] = {}
        if not path.exists():
            return
        whole, end, torn = path.read_bytes().rpartition(b"\n")
        if torn:
            os.truncate(path, len(whole + end))
        try:
            self._keep(json.loads(line) for line in (whole.split(b"\n") if end else []))
        except STUMBLES as error:
            raise InputError(f"{path}: a line is no record of calibfast; name another folder") from error

    def get(self, key: str) -> Mapping[str, Any]:
        """The last record of a key; nothing in it where there is none."""
        return next(reversed(self.records(key)), {})

    def records(self, key: str) -> Sequence[Mapping[str, Any]]:
        """The records of a key, in the order in which they were written."""
        return self._records.get(key, [])

    def lacking(self, keys: Iterable[str], fact: str) -> list[str]:
        """The keys, each once, whose last record does not have a fact."""
        return [key for key in dict.fromkeys(keys) if fact not in self.get(key)]

    def add(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Write records by their keys, all or none of them."""
        rows = [{"key": key, **facts} for key, facts in records.items()]
        with self._path.open("ab") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
            file.flush()
            os.fsync(file.fileno())
        self._keep(rows)

    def _keep(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            self._records.setdefault(row["key"], []).append(row)
