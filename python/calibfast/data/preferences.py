"""Preference pairs from files: a prompt, the answer that people chose and the one that they rejected."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from calibfast.data.rows import parse_rows, read_rows
from calibfast.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Fault = Callable[[str, str], InputError]

_SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant):[ ]?")


class Turn(NamedTuple):
    """What one side of a conversation said; the role is `user`, `assistant` or `system`."""

    role: str
    content: str


@dataclass(frozen=True)
class PreferencePair:
    """Two answers to one prompt.

    Attributes:
        id: Its name in the file, or the file's name and the line where it has none.
        prompt: The turns before the answers, the last of which is not the assistant's; or a text that the answers
            continue as they stand.
        chosen: The answer that was preferred.
        rejected: The other; never the same.
        share: The share of people who prefer the chosen one, P(y_w > y_l) in [0, 1], or None where nobody counted.
    """

    id: str
    prompt: str | tuple[Turn, ...]
    chosen: str
    rejected: str
    share: float | None


def read_preferences(
    path: str | Path,
    limit: int | None = None,
    *,
    share_key: str | None = None,
    skipped: list[InputError] | None = None,
) -> list[PreferencePair]:
    """Read a file of preference pairs.

    Each row has `chosen` and `rejected`, in one of the forms that trl reads:

    | form | `prompt` | `chosen`, `rejected` |
    |---|---|---|
    | plain | a text | texts that continue it |
    | plain, prompt implicit | - | two texts with one beginning, whole words of which are the prompt |
    | HH-RLHF | - | two dialogues as text, each turn after `Human:` or `Assistant:` |
    | conversation | a list of turns | each a list of one turn, or a text |
    | conversation, prompt implicit (UltraFeedback) | - or a text | two lists of turns that differ in the last alone |

    A turn is `{"role": ..., "content": ...}`.

    Args:
        path: `.jsonl`, `.json` (also with `.gz`) or `.parquet`; see `read_rows`.
        limit: Read this many pairs at most, at least 1. Default: all.
        share_key: The field of the human share. Default: `share`, where the rows have it.
        skipped: Where it is given, rows that are no pairs are left out, and their errors are put here; tell the
            user by `describe_skipped`.

    Returns:
        The pairs, in the file's order; at least one. Either all of them have a share, or none.

    Raises:
        InputError: The file cannot be read or holds no pair; or a row is none: an answer is missing or empty, both are
            the same, they answer different prompts, or the share is no number in [0, 1]. The message names file, line
            and field.
        MissingExtraError: Parquet, without pyarrow.
    """
    path = Path(path)
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; ask for at least 1 pair")
    first: PreferencePair | None = None

    def parse(row: Any, path: Path, line: int) -> PreferencePair:
        nonlocal first
        pair = _parse(row, path, line, share_key)
        first = first or pair
        if (pair.share is None) != (first.share is None):
            have = "no" if pair.share is None else "a"
            raise InputError(f"{path}, line {line}: has {have} human share, unlike the pairs before it")
        return pair

    rows = read_rows(path, "a file of preference pairs")
    return parse_rows(path, rows, parse, what="pairs", limit=limit, skipped=skipped)


def _parse(row: Any, path: Path, line: int, share_key: str | None) -> PreferencePair:
    def fault(field: str, what: str) -> InputError:
        return InputError(f"{path}, line {line}, field '{field}': {what}", row=line - 1)

    if not isinstance(row, dict):
        raise InputError(f"{path}, line {line}: a row is an object with 'chosen' and 'rejected'", row=line - 1)
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if chosen == rejected and chosen is not None:
        raise fault("rejected", "is the same as 'chosen'; nothing is preferred")
    prompt: str | tuple[Turn, ...]
    if isinstance(chosen, str) and isinstance(rejected, str):
        prompt, answers = _texts(row.get("prompt"), chosen, rejected, fault)
    else:
        before = _before(row.get("prompt"), fault)
        said, unsaid = (_after(before, _turns(row.get(name), name, fault)) for name in ("chosen", "rejected"))
        prompt, answers = _split_turns(said, unsaid, fault)
    for field, answer in zip(("chosen", "rejected"), answers, strict=True):
        if not answer.strip():
            raise fault(field, "the answer is empty")
    if answers[0].strip() == answers[1].strip():
        raise fault("rejected", "is the same as 'chosen'; nothing is preferred")
    identity = row.get("id", row.get("prompt_id"))
    return PreferencePair(
        id=f"{path.name}:{line}" if identity is None else str(identity),
        prompt=prompt,
        chosen=answers[0],
        rejected=answers[1],
        share=_share(row, share_key, fault),
    )


def _texts(prompt: Any, chosen: str, rejected: str, fault: Fault) -> tuple[str | tuple[Turn, ...], tuple[str, str]]:
    if isinstance(prompt, str) and prompt:
        return prompt, (chosen, rejected)
    if prompt:
        return _before(prompt, fault), (chosen, rejected)
    said, unsaid = _dialogue(chosen), _dialogue(rejected)
    if said and unsaid:
        return _split_turns(said, unsaid, fault)
    shared = next((i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), None)
    shared = min(len(chosen), len(rejected)) if shared is None else shared
    # Where a word is begun in both, it belongs to the answers.
    start = max((place.start() for place in re.finditer(r"\s+", chosen[: shared + 1])), default=0)
    if not chosen[:start].strip():
        raise fault("prompt", "is missing, and 'chosen' and 'rejected' have no beginning in common that would be one")
    return chosen[:start], (chosen[start:], rejected[start:])


def _dialogue(text: str) -> tuple[Turn, ...]:
    """The turns of HH-RLHF's form; none where the text has another."""
    parts = _SPEAKER.split(text.strip("\n"))
    if parts[0] or len(parts) < 2:
        return ()
    roles = {"Human": "user", "Assistant": "assistant"}
    return tuple(Turn(roles[name], said) for name, said in zip(parts[1::2], parts[2::2], strict=True))


def _before(prompt: Any, fault: Fault) -> tuple[Turn, ...]:
    if not prompt:
        return ()
    return (Turn("user", prompt),) if isinstance(prompt, str) else _turns(prompt, "prompt", fault)


def _after(before: tuple[Turn, ...], turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """A conversation that repeats its prompt, or goes on from it."""
    return turns if turns[: len(before)] == before else before + turns


def _turns(value: Any, field: str, fault: Fault) -> tuple[Turn, ...]:
    whole = isinstance(value, list) and value
    if not whole or not all(isinstance(turn, dict) and _is_said(turn) for turn in value):
        raise fault(field, "must be a text, or a list of turns with 'role' and 'content'")
    return tuple(Turn(turn["role"], turn["content"]) for turn in value)


def _is_said(turn: Mapping[str, Any]) -> bool:
    return isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)


def _split_turns(
    chosen: tuple[Turn, ...], rejected: tuple[Turn, ...], fault: Fault
) -> tuple[tuple[Turn, ...], tuple[str, str]]:
    prompt = chosen[:-1]
    if prompt != rejected[:-1] or not prompt:
        raise fault("rejected", "differs from 'chosen' before its last turn, so the two answer different prompts")
    if chosen[-1].role != "assistant" or rejected[-1].role != "assistant":
        raise fault("chosen", "must end in a turn of the assistant, as 'rejected' must")
    return prompt, (chosen[-1].content, rejected[-1].content)


def _share(row: Mapping[str, Any], key: str | None, fault: Fault) -> float | None:
    share = row.get(key or "share")
    if share is None:
        if key is None:
            return None
        raise fault(key, "is missing; it is to hold the share of people who prefer the chosen answer")
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise fault(key or "share", f"{share!r} is no share of people in [0, 1]")
    return float(share)
