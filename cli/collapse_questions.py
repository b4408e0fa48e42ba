"""`calibfast collapse --questions`: letters that are preferred whatever they name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from calibfast.cli.bad_rows import read_rows
from calibfast.cli.collapse_pairs import with_interval
from calibfast.cli.output import Format

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch
    from transformers import PreTrainedTokenizerBase

    from calibfast.evaluation.bias import OptionBias

_SHOWN = ("same_letter", "same_option", "entropy", "cloze_agreement")


def collapse_questions(
    models: Iterable[tuple[str, torch.nn.Module, PreTrainedTokenizerBase]],
    questions: Path,
    limit: int | None,
    circles: int,
    batch_size: int,
    plot: Path | None,
    format: Format,  # noqa: A002
    *,
    skip_bad_rows: bool,
) -> str:
    """The models' biases as text; and as a picture, where one is asked for."""
    from calibfast.data.questions import read_questions
    from calibfast.evaluation.bias import measure_bias
    from calibfast.report.collapse import plot_letters

    read = read_rows(read_questions, questions, limit, skip_bad_rows=skip_bad_rows)
    found = {
        name: measure_bias(model, tokenizer, read, circles=circles, batch_size=batch_size)
        for name, model, tokenizer in models
    }
    if plot is not None:
        plot_letters(found, plot)
    return _render(found, format)


def _render(found: dict[str, OptionBias], format: Format) -> str:  # noqa: A002
    from calibfast.report.rows import render_rows

    if format is Format.json:
        return json.dumps([{"model": name} | each.to_dict() for name, each in found.items()], indent=2) + "\n"
    if format is Format.csv:
        return render_rows([_row(name, each) for name, each in found.items()], "csv")
    rows, letters = [], []
    for name, each in found.items():
        parts = {metric: getattr(each, metric) for metric in _SHOWN}
        row: dict[str, Any] = {"model": name, "questions": each.n}
        row |= {metric: with_interval(part.estimate, (part.low, part.high)) for metric, part in parts.items()}
        rows.append(row | {"cloze_distance": each.cloze_distance})
        for letter in each.letters:
            shown = with_interval(letter.probability, letter.ci)
            letters.append({"model": name, "letter": letter.letter, "probability": shown, "uniform": letter.uniform})
    text = render_rows(rows) + "\nWhat the letters draw, every option having had every place equally often:\n"
    return text + render_rows(letters)


def _row(name: str, each: OptionBias) -> dict[str, Any]:
    row: dict[str, Any] = {"model": name, "questions": each.n, "circles": each.circles}
    parts = {metric: getattr(each, metric) for metric in _SHOWN}
    for metric, part in parts.items():
        row |= {metric: part.estimate, f"{metric}_low": part.low, f"{metric}_high": part.high}
    for letter in each.letters:
        low, high = letter.ci or (None, None)
        row |= {letter.letter: letter.probability, f"{letter.letter}_low": low, f"{letter.letter}_high": high}
    return row | {"cloze_distance": each.cloze_distance}
