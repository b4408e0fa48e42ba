"""The check that the optional libraries of the training and evaluation commands are there."""

from __future__ import annotations

from importlib.util import find_spec

from calibfast.errors import MissingExtraError


def require_train_extra(feature: str) -> None:
    """Fail early, and without loading anything, where the extra `train` is not installed.

    Args:
        feature: What needs it, as the message names it.

    Raises:
        MissingExtraError: One of its libraries is missing.
    """
    if any(find_spec(name) is None for name in ("torch", "transformers", "peft", "accelerate", "scipy", "yaml")):
        raise MissingExtraError(feature, "train")
