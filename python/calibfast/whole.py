"""Files of calibfast's own: written whole or not at all, and read back with one word for all that can be wrong."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from calibfast.errors import STUMBLES, CalibfastError, InputError, StateError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def open_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file that takes its place, or that of an older one, when everything is in it and on the disk.

    What is no regular file (a pipe, `/dev/stdout`) is written to as it is; a link stays one.

    Args:
        path: The file.

    Raises:
        OSError: The file cannot be written; the error names it. An older file is as it was.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "counts.txt")
        >>> with open_whole(path) as file:
        ...     _ = file.write(b"1 2 3")
        >>> path.read_text()
        '1 2 3'
    """
    target = Path(os.path.realpath(path))
    plain = target.is_file() or not target.exists()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}") if plain else target
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            if plain:
                os.fsync(file.fileno())
        if plain:
            unfinished.replace(target)
    except BaseException as error:
        if plain:
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and (error.filename is None or error.filename == str(unfinished)):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a file of UTF-8 text; see `open_whole`. What UTF-8 cannot say becomes a question mark."""
    with open_whole(path) as file:
        file.write(text.encode("utf-8", "replace"))


@contextmanager
def reading_back(what: str | os.PathLike[str], error: type[InputError | StateError] = InputError) -> Iterator[None]:
    """Read what calibfast wrote; whatever that stumbles over becomes one error that names it.

    Args:
        what: The file or the folder.
        error: Which error. Those that calibfast raises on purpose pass as they are.

    Raises:
        InputError: It cannot be read, or holds something else.

    Examples:
        >>> with reading_back("sweep.json"):  # doctest: +ELLIPSIS
        ...     {}["models"]
        Traceback (most recent call last):
        calibfast.errors.InputError: sweep.json: cannot be read as calibfast wrote it (KeyError: 'models'); ...
    """
    try:
        yield
    except CalibfastError:
        raise
    except STUMBLES as stumble:
        problem = f"cannot be read as calibfast wrote it ({type(stumble).__name__}: {first_line(stumble)})"
        raise error(f"{os.fspath(what)}: {problem}; restore it, or begin anew elsewhere") from stumble
