"""`calibfast collapse`: a model that is surer than people are, or prefers letters whatever they name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calibfast.cli.bad_rows import SkipBadRows
from calibfast.cli.output import Format, RunFormat, write
from calibfast.cli.settings import Device, Dtype
from calibfast.models.extra import require_train_extra

_KNOBS = "a smaller --batch-size; --dtype bfloat16"


def collapse(
    *,
    model: Annotated[
        list[str],
        typer.Option(
            help="A model: a folder, a .gguf file or a hub id. Several times: each gets its rows.",
            metavar="PATH|ID",
            rich_help_panel="Data",
        ),
    ],
    adapter: Annotated[
        list[Path] | None,
        typer.Option(
            help="An adapter, such as a run of calibfast train, on the last --model. Several times, too.",
            metavar="DIR",
            rich_help_panel="Data",
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="Preference pairs: .jsonl or .json, also with .gz, or .parquet.",
            metavar="FILE",
            rich_help_panel="Data",
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            help="Multiple-choice questions, in place of pairs: which letters are preferred whatever they name.",
            metavar="FILE",
            rich_help_panel="Data",
        ),
    ] = None,
    share_key: Annotated[
        str | None,
        typer.Option(
            help="The field of the share of people who prefer the chosen answer. Default: share, where there is one.",
            metavar="NAME",
            rich_help_panel="Data",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="Read the first N pairs or questions alone.", metavar="N", min=1, rich_help_panel="Data"),
    ] = None,
    skip_bad_rows: SkipBadRows = False,
    bins: Annotated[
        int | None, typer.Option(help="pairs: number of equal-width bins of the human share. Default: 10.", min=1)
    ] = None,
    circles: Annotated[
        int | None,
        typer.Option(
            help="questions: circular orders of the options, each from every option on; beyond the file's own they are "
            "drawn, the same each time. (K - 1)! are all orders of K options. Default: 1.",
            metavar="N",
            min=1,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the preferences against people's, or what the letters draw.", metavar="FILE"),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(help="Pairs or questions in a forward pass at most.", min=1, rich_help_panel="Run")
    ] = 64,
    dtype: Dtype = "auto",
    device: Device = "auto",
    format: RunFormat = Format.table,  # noqa: A002
) -> None:
    """See whether a model's preferences have collapsed: whether it is surer of them than people are.

    Of each pair, the preference ratio pi(chosen) / (pi(chosen) + pi(rejected)) stands against the share of people who
    prefer the chosen answer: from the answers' log-likelihoods as they are (sum, the definition), and divided by their
    tokens (token).

    calibfast collapse --model ./base --model ./aligned --adapter ./restored --pairs pairs.jsonl

    Or of questions: what each letter draws, every option having had every place equally often, how often the answer is
    the same letter or the same option in every order, and whether letters and texts agree.

    calibfast collapse --model ./aligned --adapter ./restored --questions test.jsonl
    """
    require_train_extra("calibfast collapse")
    from calibfast.models.memory import memory_advice
    from calibfast.models.several import each_model
    from calibfast.report.picture import check_picture_path

    if (pairs is None) == (questions is None):
        raise typer.BadParameter("give one of them", param_hint="'--pairs', '--questions'")
    if questions is not None and (share_key is not None or bins is not None):
        raise typer.BadParameter("they go with --pairs", param_hint="'--share-key', '--bins'")
    if pairs is not None and circles is not None:
        raise typer.BadParameter("it goes with --questions", param_hint="'--circles'")
    if plot is not None:
        check_picture_path("a picture of preferences", plot)
    models = each_model(model, adapter or [], dtype=dtype, device=device)
    with memory_advice(_KNOBS):
        if pairs is not None:
            from calibfast.cli.collapse_pairs import collapse_pairs

            text = collapse_pairs(
                models, pairs, share_key, limit, bins or 10, batch_size, plot, format, skip_bad_rows=skip_bad_rows
            )
        else:
            assert questions is not None
            from calibfast.cli.collapse_questions import collapse_questions

            text = collapse_questions(
                models, questions, limit, circles or 1, batch_size, plot, format, skip_bad_rows=skip_bad_rows
            )
    write(text)
