"""Files in object stores and on web servers, read by ranges of bytes through obstore.

obstore is one wheel without dependencies over Rust's object_store: S3, Google, Azure and plain HTTP have one interface,
credentials come from the environment, and requests that fail are sent again. fsspec would take a package, with its own
dependencies, for each.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from glob import has_magic
from pathlib import PurePosixPath
from time import sleep
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from calibfast.errors import InputError, MissingExtraError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ObjectStore
    from typing_extensions import Buffer

_WEB = ("http", "https")
_BUFFER = 1 << 20


def is_url(path: object) -> bool:
    """Whether a path is the URL of a remote file."""
    return "://" in str(path)


class RemoteFile(NamedTuple):
    """A remote file, with as much of the interface of `pathlib.Path` as reading needs.

    Attributes:
        url: Where it is.
    """

    url: str

    def __str__(self) -> str:
        """The URL without a signature, which is a secret and another each time."""
        base, path = _split(self.url)
        return f"{base.partition('?')[0].rstrip('/')}/{path}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._path.name

    @property
    def suffix(self) -> str:
        """How the name ends."""
        return self._path.suffix

    @property
    def suffixes(self) -> list[str]:
        """All ends of the name."""
        return self._path.suffixes

    @property
    def _path(self) -> PurePosixPath:
        return PurePosixPath(_split(self.url)[1])

    def is_file(self) -> bool:
        """Opening it tells."""
        return True

    def absolute(self) -> RemoteFile:
        """Itself."""
        return self

    def head(self) -> tuple[int, int]:
        """Size in bytes, and nanoseconds since 1970 at which it was last changed.

        Raises:
            InputError: There is no such file, or no permission; or the server cannot be reached.
        """
        import obstore

        base, path = _split(self.url)
        with _errors(str(self)):
            # Not by `head`, which a signature for reading does not allow.
            meta = obstore.get(_store(base), path, options={"range": (0, 1)}).meta
        return meta["size"], int(meta["last_modified"].timestamp() * 1e9)

    def open(self, _mode: str = "rb") -> io.BufferedReader:
        """The bytes, of which only those that are asked for are fetched.

        Raises:
            InputError: As of `head`.
        """
        return io.BufferedReader(_Ranges(self), _BUFFER)


class _Ranges(io.RawIOBase):
    """The bytes of a remote file, a request for each reading."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._place = file, 0
        self._size, _ = file.head()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        count = max(0, min(len(view), self._size - self._place))
        if count:
            with _errors(str(self._file)):
                view[:count] = memoryview(self._fetched(count))
        self._place += count
        return count

    def _fetched(self, count: int, again: int = 3) -> Buffer:
        """Some bytes. obstore sends again what was not answered, but not what broke off in the middle of an answer."""
        import obstore
        from obstore.exceptions import GenericError

        base, path = _split(self._file.url)
        try:
            return obstore.get_range(_store(base), path, start=self._place, length=count)
        except GenericError:
            if not again:
                raise
        sleep(2.0**-again)
        return self._fetched(count, again - 1)


def remote_files(url: str, formats: tuple[str, ...]) -> list[RemoteFile]:
    """The files that a URL stands for: itself, those that match it as a pattern, or those below it.

    Args:
        url: A file; a pattern with `*`, `?`, `[...]` or `**`; or a folder, which has none of the ends in `formats`.
        formats: How the names of files end.

    Raises:
        InputError: The store cannot be listed, or has no such file.
        MissingExtraError: obstore is not installed.
    """
    base, path = _split(url)
    store = _store(base)
    pattern = base.partition(":")[0] not in _WEB and has_magic(path)
    if not pattern and path.lower().endswith(formats):
        return [RemoteFile(url)]
    if base.partition(":")[0] in _WEB:
        raise InputError(f"{url}: a web server does not list its files: name each, with its end ({', '.join(formats)})")
    parts = PurePosixPath(path).parts
    fixed = next((k for k, part in enumerate(parts) if has_magic(part)), len(parts))
    import obstore

    with _errors(url):
        listed = obstore.list(store, prefix="/".join(parts[:fixed]) or None)
        found = sorted(meta["path"] for batch in listed for meta in batch)
    names = [name for name in found if name.lower().endswith(formats) and name.rpartition("/")[2][0] not in "_."]
    if pattern:
        names = [name for name in names if _matches(name.split("/"), list(parts))]
    if not names:
        raise InputError(f"{url}: holds no prediction files ({', '.join(formats)})")
    return [RemoteFile(f"{base}/{name}") for name in names]


def _matches(parts: list[str], pattern: list[str]) -> bool:
    if not pattern or not parts:
        return not parts and all(part == "**" for part in pattern)
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or _matches(parts[1:], pattern)
    return fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _split(url: str) -> tuple[str, str]:
    """The store, with the signature where there is one, and the path in it."""
    scheme, _, rest = url.partition("://")
    if scheme not in _WEB:  # where a question mark is part of a pattern
        base, _, path = rest.partition("/")
        return f"{scheme}://{base}", path.strip("/")
    parts = urlsplit(url, allow_fragments=False)
    base = f"{scheme}://{parts.netloc}"
    return f"{base}/?{parts.query}" if parts.query else base, unquote(parts.path).strip("/")


@cache
def _store(base: str) -> ObjectStore:
    try:
        import obstore.store
    except ImportError:
        raise MissingExtraError(f"reading {base.partition(':')[0]}:// files", "cloud") from None
    with _errors(base.partition("?")[0]):
        if base.partition(":")[0] in _WEB:
            return obstore.store.HTTPStore.from_url(base, client_options={"allow_http": True})
        return obstore.store.from_url(base)


@contextmanager
def _errors(url: str) -> Iterator[None]:
    from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except (NotFoundError, FileNotFoundError):
        raise InputError(f"{url}: there is no such file") from None
    except (UnauthenticatedError, PermissionDeniedError, PermissionError):
        raise InputError(f"{url}: no permission; credentials are read from the environment") from None
    except (BaseError, ValueError) as error:
        raise InputError(f"{url}: could not be read ({first_line(error)})") from None
