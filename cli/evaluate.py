"""`calibfast evaluate`: a model's answers to multiple-choice questions, and their calibration."""

from __future__ import annotations

import csv
import io
import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calibfast.cli.output import Format, write
from calibfast.cli.train import Dtype
from calibfast.models.extra import require_train_extra

if TYPE_CHECKING:
    from calibfast.errors import InputError
    from calibfast.evaluation.options import OptionScores
    from calibfast.metrics.report import Report


class Quantize(str, Enum):
    """How a model's weights are packed."""

    none = "none"
    eight = "8bit"
    four = "4bit"


def evaluate(
    model: Annotated[
        str,
        typer.Option(help="The model: a folder, a .gguf file or a hub id.", metavar="PATH|ID", show_default=False),
    ],
    data: Annotated[
        Path, typer.Option(help="Questions: .jsonl or .json, also with .gz.", metavar="FILE", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(
            help="Where to write the predictions (.npz), for calibfast ece.", metavar="FILE", show_default=False
        ),
    ],
    adapter: Annotated[
        Path | None, typer.Option(help="An adapter for the model, as calibfast train saves it.", metavar="DIR")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Read this many questions at most.", metavar="N", min=1)] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave out rows that are no question, and list them on stderr.")
    ] = False,
    bins: Annotated[int, typer.Option(help="Number of equal-width bins.", min=1)] = 10,
    batch_size: Annotated[int, typer.Option(help="Questions in a forward pass at most.", min=1)] = 256,
    dtype: Annotated[
        Dtype, typer.Option(help="Type of the weights; auto is float32 on a CPU, else the model's own.")
    ] = Dtype.auto,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")] = "auto",
    quantize: Annotated[
        Quantize, typer.Option(help="Pack the weights while loading, by bitsandbytes.")
    ] = Quantize.none,
    format: Annotated[Format, typer.Option(help="How to print the result.")] = Format.table,  # noqa: A002
) -> None:
    """Ask a model multiple-choice questions and measure how far its confidence can be trusted.

    An option's probability is that of its letter as the next token, among the letters of the question. How much
    probability all letters hold is printed with the metrics: where it is small, the model would say something else.

    calibfast evaluate --model ./model --data test.jsonl.gz --output preds.npz

    calibfast ece preds.npz --bins 15 --plot reliability.png
    """
    require_train_extra("calibfast evaluate")
    from calibfast.data.questions import describe_skipped, read_questions
    from calibfast.evaluation.options import check_predictions_path, score_options
    from calibfast.models.adapter import load_adapter
    from calibfast.models.load import load_model
    from calibfast.models.memory import memory_advice

    skipped: list[InputError] | None = [] if skip_bad_rows else None
    questions = read_questions(data, limit, skipped=skipped)
    if skipped:
        print(describe_skipped(data, skipped), file=sys.stderr)
    check_predictions_path(output)
    with memory_advice("a smaller --batch-size; --dtype bfloat16; --quantize 8bit or 4bit"):
        base, tokenizer = load_model(model, dtype=dtype.value, device=device, quantize=quantize.value)
        scorer = base if adapter is None else load_adapter(base, adapter)
        scores = score_options(scorer, tokenizer, questions, batch_size=batch_size)
    scores.save(output)
    write(_render(scores, scores.report(bins), format))


def _render(scores: OptionScores, report: Report, format: Format) -> str:  # noqa: A002
    from calibfast.report import render

    assert scores.letter_mass is not None
    mass = float(scores.letter_mass.mean())
    text = render(report, format.value)
    if format is Format.json:
        return json.dumps(json.loads(text) | {"letter_mass": mass}, indent=2) + "\n"
    if format is Format.csv:
        [row] = csv.DictReader(io.StringIO(text))
        row["letter_mass"] = repr(mass)
        wider = io.StringIO()
        writer = csv.DictWriter(wider, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)
        return wider.getvalue()
    return f"{text}The letters hold {mass:.1%} of the probability.\n"
