"""`calibfast evaluate`: a model's answers, facts or next tokens, and their calibration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from calibfast.cli.evaluated import render_measured
from calibfast.cli.output import Format, RunFormat, write
from calibfast.cli.settings import Model
from calibfast.cli.task import Task, with_task
from calibfast.errors import InputError
from calibfast.whole import write_whole


@with_task
def evaluate(
    *,
    task: Callable[[], Task],
    model: Model,
    revision: Annotated[
        str | None, typer.Option(help="Of a hub id: a branch, tag or commit.", rich_help_panel="Data")
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(
            help="A run of calibfast train, or another adapter. A run brings its temperature along, and how to ask.",
            metavar="DIR",
            rich_help_panel="Data",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            help="Where to write the predictions (.npz), for calibfast ece; with --task clm the result (.json).",
            metavar="FILE",
            rich_help_panel="Run",
        ),
    ],
    format: RunFormat = Format.table,  # noqa: A002
) -> None:
    """Measure how far a model's confidence can be trusted.

    --task mcq asks multiple-choice questions. An option's probability is that of saying it next, among the options of
    the question: its letter, or its text. How much probability all letters hold is printed with the metrics: where it
    is small, the model would say something else.

    calibfast evaluate --model ./model --data test.jsonl.gz --output preds.npz

    calibfast ece preds.npz --bins 15 --plot reliability.png

    --task facts lets the model complete facts, and compares what it says with the known answers.

    calibfast evaluate --task facts --model ./model --data facts.jsonl --output facts.npz

    --task clm reads a text: each next token is a prediction, whose confidence is the probability of the likeliest one.
    What was stopped goes on when the same command is given again.

    calibfast evaluate --task clm --model ./model --data text.txt --output text.json
    """
    chosen = task()
    if output.suffix != chosen.suffix:
        raise InputError(f"{output}: --task {chosen.name} writes {chosen.suffix}")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}")
    report, facts, notes = chosen.measure(model, revision, adapter, output)
    if output.suffix == ".json":
        write_whole(output, render_measured(report, facts, notes, Format.json))
    write(render_measured(report, facts, notes, format))
