"""Which files a path, a pattern or a folder stands for."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from calibfast.errors import InputError
from calibfast.io.folder import of_run
from calibfast.io.predictions import FORMATS, LOGS, read_predictions
from calibfast.io.remote import RemoteFile, is_url, remote_files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from calibfast.io.predictions import Reading
    from calibfast.io.source import File

Files: TypeAlias = "str | Path | Iterable[str | Path]"
"""A file, a pattern such as `shards/*.parquet`, a folder, or several of these."""


def prediction_files(files: Files) -> list[File]:
    """The files of predictions that are meant, each once, in the order of their names within a pattern or folder.

    Args:
        files: A file, a pattern with `*`, `?`, `[...]` or `**`, a folder (its prediction files and those below it; the
            folder of a HELM run is one file), the same as URLs (`s3://bucket/run/*.parquet`, `gs://`, `az://`; of
            `https://` files alone), or several of these.

    Raises:
        InputError: A pattern or a folder stands for no file, or a file is named twice.
        MissingExtraError: A URL without obstore.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.csv", "a.csv", "notes.txt"):
        ...     _ = (folder / name).write_text("")
        >>> [file.name for file in prediction_files(folder)], [file.name for file in prediction_files(folder / "b*")]
        (['a.csv', 'b.csv'], ['b.csv'])
    """
    given = [files] if isinstance(files, (str, Path)) else list(files)
    found: list[File] = []
    for each in given:
        found += remote_files(str(each), FORMATS) if is_url(each) else _expanded(Path(each))
    if not found:
        raise InputError("there are no files to measure")
    seen: set[File | str] = set()
    for file in found:
        real = file if isinstance(file, RemoteFile) else os.path.realpath(file)  # resolve() fails on circles
        if real in seen:
            raise InputError(f"{file}: named twice; its rows would count twice")
        seen.add(real)
    return found


def holds_logs(folder: Path, **reading: Unpack[Reading]) -> bool:
    """Whether a folder holds sample logs, each a task of its own, rather than tables, which are one set of rows.

    Both may be JSON: the first file that can be read tells. A HELM run is one file, and no folder here.
    """
    if not folder.is_dir() or of_run(folder) != folder:
        return False
    for file in _inside(folder):
        if not file.name.lower().endswith(LOGS):
            return False
        try:
            return not read_predictions(file, **reading).is_table
        except InputError:
            continue
    return True


def _inside(folder: Path) -> list[Path]:
    """The prediction files of a folder and below it; what begins with _ or . is no data, as Spark and Hive have it."""
    files = (file for file in folder.rglob("*") if file.name.lower().endswith(FORMATS) and file.name[0] not in "_.")
    return sorted(file for file in files if file.is_file())


def _expanded(path: Path) -> list[Path]:
    if path.is_dir() and of_run(path) == path:
        if not (found := _inside(path)):
            raise InputError(f"{path}: the folder holds no prediction files ({', '.join(FORMATS)})")
        return found
    if path.exists() or not glob.has_magic(str(path)):
        return [path]  # where there is no such file, opening it says so
    if not (names := sorted(glob.glob(str(path), recursive=True))):  # noqa: PTH207  # Path.glob takes no whole paths
        raise InputError(f"{path}: no file has a name like this")
    return [file for name in names for file in _expanded(Path(name))]
