"""Completions and chat completions with `top_logprobs`, as OpenAI's API and vLLM give them, one question a line.

A line is the response, or holds it as `response` (`response.body` in OpenAI's batch files). Beside it stand the right
option (`answer`, `label` or `labels`: a letter or an index) and perhaps the list of options (`choices` or `options`).
See https://platform.openai.com/docs/api-reference/chat/object and .../completions/object.
"""

from __future__ import annotations

import math
import string
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from calibfast.errors import CalibfastWarning, InputError
from calibfast.io.fields import LABELS
from calibfast.io.json_records import FieldError, json_records
from calibfast.io.text import TextTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SLACK = 1e-3
"""Log-probabilities are printed rounded, and may be a little above 0."""


class Letters(NamedTuple):
    """What the first token of an answer says.

    Attributes:
        scores: The log-probability of each option's letter; where a letter is not listed, the most that it can be.
        mass: The probability of the listed letters.
        slack: By how much the confidence among the letters would be higher if those not listed had no probability.
    """

    scores: list[float]
    mass: float
    slack: float


def is_completion(record: dict[str, Any]) -> bool:
    """Whether an object is such a line."""
    response = _response(record)
    return isinstance(response, dict) and str(response.get("object", "")) in ("chat.completion", "text_completion")


class CompletionsFile(TextTable):
    """A file of completions: columns `logits` (log-probabilities of the letters), `labels` and `id` if they are there.

    Args:
        path: The file.
        options: Number of options of every question; None where each line lists them.

    Raises:
        InputError: A line lists no letters, or is damaged.
    """

    def __init__(self, path: Path, options: int | None) -> None:
        self.path, self._options = path, options
        self._width = rows = short = 0
        mass = slack = 0.0
        for _, _, letters in self._lines():
            self._width = max(self._width, len(letters.scores))
            rows, short = rows + 1, short + (letters.slack > 0)
            mass, slack = mass + letters.mass, slack + letters.slack
        note = f"the letters hold {mass / rows:.1%} of the probability of the first token, and are taken as all of it"
        if short:
            note += (
                f"; {short} of {rows} rows do not list every letter: what is missing is taken as likely as it can be, "
                f"so that mean confidence is too low by at most {slack / rows:.2g}"
            )
        warnings.warn(f"{path}: {note}", CalibfastWarning, stacklevel=4)
        _, first = next(self._records())
        super().__init__(path, {name: name for name in first}, first)

    def width(self, _name: str) -> int:
        """Number of options of the row that has the most."""
        return self._width

    def _lines(self) -> Iterator[tuple[int, dict[str, Any], Letters]]:
        for line, record in json_records(self.path):
            try:
                letters = _letters(record, self._options)
            except FieldError as error:
                raise InputError(f"{self.path}: line {line}, {error}") from None
            yield line, record, letters

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for line, record, letters in self._lines():
            label = next(({"labels": _index(record[name])} for name in LABELS if name in record), {})
            yield line, {"logits": letters.scores, **label, **_name(record)}


def _name(record: dict[str, Any]) -> dict[str, Any]:
    """The question's; that of a response is another each time."""
    name = "custom_id" if "custom_id" in record else "id"
    return {"id": record[name]} if "response" in record and name in record else {}


def _response(record: dict[str, Any]) -> Any:
    response = record.get("response", record)
    return response.get("body", response) if isinstance(response, dict) else response


def _letters(record: dict[str, Any], options: int | None) -> Letters:
    listed = _listed(_response(record))
    own = next((record[name] for name in ("choices", "options") if isinstance(record.get(name), list)), None)
    if options is None and ("response" not in record or own is None):
        raise FieldError(
            "choices", "the options are not listed beside the response; say how many there are (--options)"
        )
    letters = string.ascii_uppercase[: options or len(own or [])]
    said = {letter: [logprob for token, logprob in listed if token.strip() == letter] for letter in letters}
    if not any(said.values()):
        shown = ", ".join(repr(token) for token, _ in listed[:5])
        raise FieldError(
            "top_logprobs", f"none of the letters {letters} begins the answer ({shown}); ask for one alone"
        )
    # What is not listed is no likelier than what is listed last, and has no more than what is left.
    rest = 1 - sum(math.exp(logprob) for _, logprob in listed)
    bound = min(*(logprob for _, logprob in listed), math.log(rest) if rest > 0 else 0.0)
    scores = [float(np.logaddexp.reduce(logprobs)) if logprobs else bound for logprobs in said.values()]
    mass = math.fsum(math.exp(score) for score, logprobs in zip(scores, said.values(), strict=True) if logprobs)
    top, unlisted = math.exp(max(scores)), sum(not logprobs for logprobs in said.values())
    return Letters(scores, mass, top / mass - top / (mass + unlisted * math.exp(bound)))


def _listed(response: Any) -> list[tuple[str, float]]:
    """Tokens and log-probabilities of the first token of the answer."""
    try:
        logprobs = response["choices"][0]["logprobs"]
        if "content" in logprobs:
            listed = [(each["token"], each["logprob"]) for each in logprobs["content"][0]["top_logprobs"]]
        else:
            listed = list(logprobs["top_logprobs"][0].items())
        found = [(str(token), float(logprob)) for token, logprob in listed]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise FieldError("logprobs", "there are no top_logprobs of the answer; ask for logprobs") from None
    for token, logprob in found:
        if not logprob <= _SLACK:
            raise FieldError("top_logprobs", f"{token!r} has {logprob:g}, which is no log-probability")
    if not found:
        raise FieldError("top_logprobs", "the list is empty; ask for as many as there are options, or more")
    return found


def _index(label: Any) -> Any:
    text = str(label).strip()
    return string.ascii_uppercase.index(text) if len(text) == 1 and text in string.ascii_uppercase else label
