"""How many tokens a continuation takes after its context."""

from __future__ import annotations

from pathlib import Path

from calibfast.errors import InputError, MissingExtraError, first_line


class TokenCount:
    """A tokenizer that counts, as lm-evaluation-harness splits: spaces at the context's end go to the continuation.

    Args:
        path: A model's folder, or its `tokenizer.json`.

    Raises:
        InputError: There is no such file, or it is no tokenizer.
        MissingExtraError: Without the package tokenizers.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise MissingExtraError("counting tokens", "train") from None
        file = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the only class that it raises
            raise InputError(f"{file}: no tokenizer.json ({first_line(error)}); give a model's folder") from None

    def __call__(self, context: str, continuation: str) -> int:
        """The number of tokens."""
        return self._length(context + continuation) - self._length(context.rstrip())

    def _length(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
