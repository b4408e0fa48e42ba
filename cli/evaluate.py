"""`calibfast evaluate`: a model's answers to multiple-choice questions, and their calibration."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from calibfast.cli.output import Format, write
from calibfast.cli.settings import Device, Dtype, SkipBadRows
from calibfast.models.extra import require_train_extra
from calibfast.models.prompt import Scoring

if TYPE_CHECKING:
    from calibfast.data.questions import Question
    from calibfast.errors import InputError
    from calibfast.metrics.report import Report
    from calibfast.training.finished import FinishedRun

Normalize = Literal["sum", "token", "byte"]
_KNOBS = "a smaller --batch-size; --dtype bfloat16; --quantize 8bit or 4bit"


def evaluate(
    *,
    model: Annotated[
        str,
        typer.Option(help="The model: a folder, a .gguf file or a hub id.", metavar="PATH|ID", rich_help_panel="Data"),
    ],
    adapter: Annotated[
        Path | None,
        typer.Option(
            help="A run of calibfast train, or another adapter. A run brings its temperature along, and how to ask.",
            metavar="DIR",
            rich_help_panel="Data",
        ),
    ] = None,
    data: Annotated[
        Path, typer.Option(help="Questions: .jsonl or .json, also with .gz.", metavar="FILE", rich_help_panel="Data")
    ],
    limit: Annotated[
        int | None, typer.Option(help="Read the first N questions alone.", metavar="N", min=1, rich_help_panel="Data")
    ] = None,
    skip_bad_rows: SkipBadRows = False,
    scoring: Annotated[
        Scoring | None,
        typer.Option(
            help="An option's probability is that of its letter, or of its text without seeing the options. Default: "
            "the run's, or letter.",
            rich_help_panel="Scoring",
        ),
    ] = None,
    normalize: Annotated[
        Normalize | None,
        typer.Option(
            help="cloze: an option's log-likelihood as it is, or divided by its tokens or bytes. Default: the run's, "
            "or sum.",
            rich_help_panel="Scoring",
        ),
    ] = None,
    few_shot: Annotated[
        int | None,
        typer.Option(help="Show N solved questions first.", metavar="N", min=1, rich_help_panel="Scoring"),
    ] = None,
    few_shot_data: Annotated[
        Path | None,
        typer.Option(
            help="Where they come from: the first of the question's subject, if the file has it.",
            metavar="FILE",
            rich_help_panel="Scoring",
        ),
    ] = None,
    option_order: Annotated[
        Literal["given", "permute"],
        typer.Option(
            help="letter: permute asks each question once for each cyclic order of its options, takes the mean of each "
            "option's probability, and reports what the letters themselves draw.",
            rich_help_panel="Scoring",
        ),
    ] = "given",
    bins: Annotated[int, typer.Option(help="Number of equal-width bins.", min=1, rich_help_panel="Scoring")] = 10,
    output: Annotated[
        Path,
        typer.Option(
            help="Where to write the predictions (.npz), for calibfast ece.", metavar="FILE", rich_help_panel="Run"
        ),
    ],
    batch_size: Annotated[
        int, typer.Option(help="Questions in a forward pass at most.", min=1, rich_help_panel="Run")
    ] = 256,
    dtype: Dtype = "auto",
    quantize: Annotated[
        Literal["none", "8bit", "4bit"],
        typer.Option(help="Pack the weights while loading, by bitsandbytes.", rich_help_panel="Run"),
    ] = "none",
    device: Device = "auto",
    format: Annotated[  # noqa: A002
        Format, typer.Option(help="How to print the result.", rich_help_panel="Run")
    ] = Format.table,
) -> None:
    """Ask a model multiple-choice questions and measure how far its confidence can be trusted.

    An option's probability is that of saying it next, among the options of the question: its letter, or its text.
    How much probability all letters hold is printed with the metrics: where it is small, the model would say something
    else.

    calibfast evaluate --model ./model --data test.jsonl.gz --output preds.npz

    calibfast ece preds.npz --bins 15 --plot reliability.png
    """
    require_train_extra("calibfast evaluate")
    from calibfast.data.few_shot import few_shot_examples
    from calibfast.data.overlap import overlap
    from calibfast.evaluation.options import check_predictions_path, score_options
    from calibfast.evaluation.permute import average_orders, cyclic_orders
    from calibfast.models.adapter import load_adapter
    from calibfast.models.load import load_model
    from calibfast.models.memory import memory_advice
    from calibfast.training.finished import read_run

    check_predictions_path(output)
    if (few_shot is None) != (few_shot_data is None):
        raise typer.BadParameter("give both or neither", param_hint="'--few-shot', '--few-shot-data'")
    run = read_run(adapter or model)
    scoring, normalize = _asking(run, scoring, normalize)
    permuted = option_order == "permute"
    if permuted and scoring != "letter":
        raise typer.BadParameter("permute: a cloze does not show the options", param_hint="'--option-order'")
    questions = _read(data, limit, skip_bad_rows=skip_bad_rows)
    if run is not None:
        run.check_unseen(questions)
        if seen := overlap(questions, run.trained):
            print(
                f"warning: {len(seen)} of the {len(questions)} questions were trained on; on them the numbers tell "
                "what is memorised",
                file=sys.stderr,
            )
    asked = cyclic_orders(questions) if permuted else questions
    examples = None
    if few_shot is not None and few_shot_data is not None:
        examples = few_shot_examples(asked, _read(few_shot_data, skip_bad_rows=skip_bad_rows), few_shot)
    with memory_advice(_KNOBS):
        scorer, tokenizer = load_model(model, dtype=dtype, device=device, quantize=quantize)
        if adapter is not None and (run is None or run.trains):
            scorer = load_adapter(scorer, adapter)  # type: ignore[assignment]
        scores = score_options(
            scorer, tokenizer, asked, scoring=scoring, normalize=normalize, examples=examples, batch_size=batch_size
        )
    temperature = None if run is None else run.temperature
    if temperature is not None:
        scores = scores.at_temperature(temperature)
    biases = None
    if permuted:
        scores, biases = average_orders(questions, scores)
    scores.save(output)
    facts = {
        "scoring": scoring,
        "normalize": normalize,
        "letter_mass": None if scores.letter_mass is None else float(scores.letter_mass.mean()),
        "temperature": temperature,
        "position_bias": None if biases is None else [asdict(bias) for bias in biases],
    }
    write(_render(scores.report(bins), facts, format))


def _read(path: Path, limit: int | None = None, *, skip_bad_rows: bool) -> list[Question]:
    from calibfast.data.questions import describe_skipped, read_questions

    skipped: list[InputError] | None = [] if skip_bad_rows else None
    questions = read_questions(path, limit, skipped=skipped)
    if skipped:
        print(describe_skipped(path, skipped), file=sys.stderr)
    return questions


def _asking(run: FinishedRun | None, scoring: Scoring | None, normalize: Normalize | None) -> tuple[Scoring, Normalize]:
    """How the questions are asked: as the flags say, else as the run was trained."""
    trained: tuple[Scoring, Normalize] = ("letter", "sum") if run is None else (run.scoring, run.normalize)
    asking = (scoring or trained[0], normalize or trained[1])
    if run is not None and asking != trained:
        print(
            f"warning: {run.folder} was trained with --scoring {trained[0]} --normalize {trained[1]}", file=sys.stderr
        )
    return asking


def _render(report: Report, facts: dict[str, Any], format: Format) -> str:  # noqa: A002
    from calibfast.report import render

    text = render(report, format.value)
    if format is Format.json:
        return json.dumps(json.loads(text) | facts, indent=2) + "\n"
    if format is Format.csv:
        [row] = csv.DictReader(io.StringIO(text))
        wider = io.StringIO()
        cells = row | {name: fact for name, fact in facts.items() if name != "position_bias"}
        writer = csv.DictWriter(wider, list(cells), lineterminator="\n")
        writer.writeheader()
        writer.writerow(cells)
        return wider.getvalue()
    notes = ["Asked as a cloze; normalize: {normalize}."]
    if facts["letter_mass"] is not None:
        notes = ["The letters hold {letter_mass:.1%} of the probability."]
    if facts["temperature"] is not None:
        notes.append("All scores are divided by the run's temperature, {temperature:.4g}.")
    if facts["position_bias"] is not None:
        shares = ("{letter} {probability:.1%} ({uniform:.1%})".format(**bias) for bias in facts["position_bias"])
        notes.append(f"What the letters draw, whatever they name (and their fair share): {', '.join(shares)}.")
    return text + "".join(note.format(**facts) + "\n" for note in notes)
