"""Completions and chat completions with `top_logprobs`, as OpenAI's API and vLLM give them, one question a line.

A line is the response, or holds it as `response` (`response.body` in OpenAI's batch files). Beside it stand the right
option (`answer`, `label` or `labels`: a letter or an index) and perhaps the list of options (`choices` or `options`).
See https://platform.openai.com/docs/api-reference/chat/object and .../completions/object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibfast.errors import STUMBLES, InputError
from calibfast.io.fields import LABELS
from calibfast.io.json_records import FieldError, json_records
from calibfast.io.letters import Answer, Letters, LettersFile, letter_index, read_letters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibfast.io.source import File


def is_completion(record: dict[str, Any]) -> bool:
    """Whether an object is such a line."""
    response = _response(record)
    return isinstance(response, dict) and str(response.get("object", "")) in ("chat.completion", "text_completion")


class CompletionsFile(LettersFile):
    """A file of completions.

    Args:
        path: The file.
        options: Number of options of every question; None where each line lists them.

    Raises:
        InputError: A line lists no letters, or is damaged.
    """

    def __init__(self, path: File, options: int | None) -> None:
        self._options = options
        super().__init__(path)

    def _answers(self) -> Iterator[Answer]:
        for line, record in json_records(self.path):
            try:
                letters = _letters(record, self._options)
            except FieldError as error:
                raise InputError(f"{self.path}: line {line}, {error}") from None
            label = next(({"labels": letter_index(record[name])} for name in LABELS if name in record), {})
            yield Answer(line, letters, {**label, **_name(record)})


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
    return read_letters(listed, options or len(own or []))


def _listed(response: Any) -> list[tuple[str, float]]:
    """Tokens and log-probabilities of the first token of the answer."""
    try:
        logprobs = response["choices"][0]["logprobs"]
        if "content" in logprobs:
            listed = [(each["token"], each["logprob"]) for each in logprobs["content"][0]["top_logprobs"]]
        else:
            listed = list(logprobs["top_logprobs"][0].items())
        return [(str(token), float(logprob)) for token, logprob in listed]
    except STUMBLES:
        raise FieldError(
            "logprobs", "there are no top_logprobs of the answer; ask with logprobs=True, top_logprobs=20"
        ) from None
