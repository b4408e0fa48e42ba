"""One row of a sample log of lm-evaluation-harness, in the shape of any of its versions.

Since 0.4 (`--log_samples`) a row has `doc_id, doc, target, arguments, resps, filtered_resps` and its metrics. Before
(`--write_out`) it has `doc_id, prompt_0, logit_0, prompt_1, logit_1 ..., truth` and its metrics. The definitions are in
`evaluator.py` and `loggers/evaluation_tracker.py` of https://github.com/EleutherAI/lm-evaluation-harness.
"""

from __future__ import annotations

import json
from itertools import count, takewhile
from typing import Any, NamedTuple

from calibfast.io.json_records import FieldError

_MODERN = {"doc_id", "filtered_resps"}
_EARLY = {"doc_id", "prompt_0", "logit_0"}
_EXPECTED = "expected the log of a multiple-choice task, not of one that generates or scores a single text"
_ACC = {"True": 1.0, "False": 0.0}


class HarnessRow(NamedTuple):
    """What a model was asked and what it gave.

    Attributes:
        name: The question's number in its task.
        doc: The question as the task's data have it, or None.
        scores: The log-likelihood of each of K options, at least two.
        contexts: What stood before each option; None in early logs, where it is part of the option.
        options: What the model was asked to say.
        target: What was right, as the task words it.
        acc: The logged accuracy, or None.
        filter: Which of the task's filters this row is of, or None where that is not logged.
    """

    name: Any
    doc: Any
    scores: list[float]
    contexts: list[str] | None
    options: list[str]
    target: Any
    acc: float | None
    filter: str | None

    @property
    def predicted(self) -> int:
        """The likeliest option, the first of several."""
        return self.scores.index(max(self.scores))


def is_harness(record: dict[str, Any]) -> bool:
    """Whether an object is a row of such a log."""
    return record.keys() >= _MODERN or record.keys() >= _EARLY


def read_row(record: dict[str, Any]) -> HarnessRow:
    """Read an object.

    Raises:
        FieldError: It has no log-likelihoods of options, or is damaged.
    """
    if record.keys() >= _EARLY:
        places = list(map(str, takewhile(lambda k: f"logit_{k}" in record, count())))
        scores = [_score(f"logit_{k}", record[f"logit_{k}"]) for k in places]
        contexts, options = None, [_text(f"prompt_{k}", record.get(f"prompt_{k}")) for k in places]
    else:
        scores = [_score("filtered_resps", response) for response in _items(record, "filtered_resps")]
        asked = _items(record, "arguments")
        if len(asked) < len(scores):
            raise FieldError("arguments", f"holds {len(asked)} requests for {len(scores)} log-likelihoods")
        pairs = [_pair(arguments) for arguments in asked[: len(scores)]]
        if "acc_mutual_info" in record:  # behind each option, or behind all of them, it stands without its context
            scores = [score for score, (context, _) in zip(scores, pairs, strict=True) if context]
            pairs = [(context, option) for context, option in pairs if context]
        contexts, options = [context for context, _ in pairs], [option for _, option in pairs]
    if len(scores) < 2:
        raise FieldError(
            "logit_0" if contexts is None else "filtered_resps",
            f"one answer, so there are no options and no confidence; {_EXPECTED}",
        )
    target = _target(record)
    name, doc, acc = record.get("doc_id"), record.get("doc"), _acc(record)
    return HarnessRow(name, doc, scores, contexts, options, target, acc, record.get("filter"))


def _items(record: dict[str, Any], field: str) -> list[Any]:
    found = record.get(field)
    if isinstance(found, dict):  # arguments: gen_args_0, gen_args_1, ...
        found = list(found.values())
    if not isinstance(found, list):
        raise FieldError(field, f"is {_shown(found)}, expected a list, one item for each option")
    return found


def _score(field: str, response: Any) -> float:
    """The log-likelihood in [log-likelihood, whether it is the greedy text], or by itself."""
    value = response[0] if isinstance(response, list) and response else response
    try:
        if isinstance(value, bool):
            raise ValueError(value)
        return float(value)
    except (TypeError, ValueError):
        problem = f"holds {_shown(value)}, no log-likelihood of an option, so there is no confidence"
        raise FieldError(field, f"{problem}; {_EXPECTED}") from None


def _pair(arguments: Any) -> tuple[str, str]:
    """Context and continuation in {"arg_0": context, "arg_1": continuation} or [context, continuation]."""
    pair = list(arguments.values()) if isinstance(arguments, dict) else arguments
    if not isinstance(pair, list) or len(pair) < 2:
        raise FieldError("arguments", f"holds {_shown(pair)}, expected a context and a continuation")
    return _text("arguments", pair[0]), _text("arguments", pair[1])


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldError(field, f"holds {_shown(value)}, expected text")
    return value


def _target(record: dict[str, Any]) -> Any:
    field = "truth" if record.keys() >= _EARLY else "target"
    if field not in record:
        raise FieldError(field, "is not there, but says which option is right")
    target = record[field]
    if isinstance(target, str) and target.startswith("["):
        try:
            target = json.loads(target)
        except ValueError:
            return target
    return target[0] if isinstance(target, list) and len(target) == 1 else target


def _acc(record: dict[str, Any]) -> float | None:
    acc = record.get("acc")
    try:
        acc = None if acc is None else float(_ACC.get(str(acc), acc))
    except (TypeError, ValueError):
        raise FieldError("acc", f"is {_shown(acc)}, expected 0 or 1") from None
    if acc not in (None, 0, 1):
        raise FieldError("acc", f"is {acc:g}, neither 0 nor 1: the task credits several options; none is the right one")
    return acc


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
