"""A folder that is there whole or not at all."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from calibfast.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


MARK = ".calibfast"
"""A file in every folder that was made here, by which it is known as one that may be replaced."""


def check_free(output: Path, *, overwrite: bool) -> None:
    """Refuse to write over what somebody made.

    Raises:
        InputError: The output is a file, or a folder with something in it and `overwrite` is off or it is not one
            that calibfast made.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; the output is a folder")
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise InputError(f"{output}: the folder is not empty; name another, or pass --overwrite to replace it")
    if output.is_dir() and any(output.iterdir()) and not (output / MARK).is_file():
        raise InputError(f"{output}: the folder holds something that calibfast did not make; name another")


def unfinished_of(output: Path) -> Path:
    """Where an output folder is made: beside it, as only a rename within a file system is all or nothing."""
    return output.with_name(f"{output.name}.unfinished")


@contextmanager
def whole_folder(
    output: Path, *, overwrite: bool, keep: Callable[[Path], bool] = lambda _folder: False
) -> Iterator[Path]:
    """A folder to write to, which takes the output's place when the block ends well.

    Args:
        output: The folder to make. Its parents are made, too.
        overwrite: Whether to replace one that calibfast made, and to begin anew where something unfinished stands.
        keep: Whether what is unfinished can be gone on from: when the block ends badly it stays then, under the
            output's name and `.unfinished`, and the next one finds it there.

    Raises:
        InputError: See `check_free`; or the folder cannot be written; or somebody else is writing to it.
    """
    check_free(output, overwrite=overwrite)
    unfinished = unfinished_of(output)
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
        if any(unfinished.iterdir()) and not (unfinished / MARK).is_file():
            raise InputError(f"{unfinished}: the folder holds something that calibfast did not make; move it away")
        # Freed by the system when the process ends, however it ends.
        lock = FileLock(unfinished / MARK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"{unfinished}: another run is writing to it; wait for it, or name another folder") from error
    except OSError as error:
        raise InputError(f"{output}: {error.strerror}") from error
    try:
        if overwrite or not keep(unfinished):
            for path in unfinished.iterdir():
                if path.name != MARK:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield unfinished
        check_free(output, overwrite=overwrite)
        if output.exists():
            shutil.rmtree(output)
        unfinished.rename(output)
        (output / MARK).touch()
    finally:
        lock.release()
        if unfinished.exists() and not keep(unfinished):
            shutil.rmtree(unfinished)
