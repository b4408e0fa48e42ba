"""The exceptions that calibfast raises. Every message says what is wrong, where, and what to do."""

from __future__ import annotations


class CalibfastError(Exception):
    """Base of every error that calibfast raises on purpose."""


class InputError(CalibfastError, ValueError):
    """An input breaks its contract.

    Attributes:
        row: Index of the first row at fault, or None where no single row is.
        column: Index of the column (class, option) at fault, or None.
    """

    def __init__(self, message: str, row: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.row = row
        self.column = column


class StateError(CalibfastError, ValueError):
    """A serialised state is damaged, newer than this version, or does not fit the one it meets."""


class CalibfastWarning(UserWarning):
    """A result is right as far as it goes; the message says how far, and what would be needed for more."""


class MissingExtraError(CalibfastError, ImportError):
    """A feature needs an optional dependency; the message says which extra to install."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra '{extra}': pip install 'calibfast[{extra}]'")
        self.extra = extra


STUMBLES = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What code may end in that reads a file and takes for granted what is in it."""


def first_line(error: Exception) -> str:
    """What another library says of its error, short enough to stand in one of ours."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def printable(text: str) -> str:
    """Text from a file as a terminal may show it: what would move its cursor, or turn text around, is escaped."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
