"""`calibfast train`: restore a model's calibration by fine-tuning."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calibfast.cli.output import Format, write
from calibfast.models.extra import require_train_extra
from calibfast.training.config import TrainingConfig, help_of

if TYPE_CHECKING:
    from calibfast.training.run import TrainingReport

_SHOWN = {"conf_ece": "conf-ECE", "cw_ece": "cw-ECE", "accuracy": "accuracy", "nll": "NLL", "brier": "Brier"}


class Method(str, Enum):
    """Training methods."""

    cft = "cft"
    rcft = "rcft"


class Schedule(str, Enum):
    """Learning rate schedules."""

    linear = "linear"
    cosine = "cosine"
    constant = "constant"


class EStepData(str, Enum):
    """Where the bins' accuracies are read."""

    held_out = "held-out"
    training = "training"


class Dtype(str, Enum):
    """Types of a model's weights."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


def train(
    model: Annotated[
        str,
        typer.Option(help="The model: a folder, a .gguf file or a hub id.", metavar="PATH|ID", show_default=False),
    ],
    data: Annotated[
        Path, typer.Option(help="Questions: .jsonl or .json, also with .gz.", metavar="FILE", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(help="The folder to make: adapter, log.jsonl, result.json.", metavar="DIR", show_default=False),
    ],
    method: Annotated[Method, typer.Option(help=help_of("method"))] = Method(TrainingConfig.method),
    limit: Annotated[
        int | None, typer.Option(help="Use a random draw of this many questions.", metavar="N", min=1)
    ] = None,
    epochs: Annotated[int, typer.Option(help=help_of("epochs"), min=1)] = TrainingConfig.epochs,
    learning_rate: Annotated[float, typer.Option("--lr", help=help_of("learning_rate"))] = TrainingConfig.learning_rate,
    schedule: Annotated[Schedule, typer.Option(help=help_of("schedule"))] = Schedule(TrainingConfig.schedule),
    batch_size: Annotated[int, typer.Option(help=help_of("batch_size"), min=1)] = TrainingConfig.batch_size,
    gradient_accumulation: Annotated[
        int, typer.Option(help=help_of("gradient_accumulation"), min=1)
    ] = TrainingConfig.gradient_accumulation,
    lora_r: Annotated[int, typer.Option(help=help_of("lora_r"), min=1)] = TrainingConfig.lora_r,
    lora_alpha: Annotated[int, typer.Option(help=help_of("lora_alpha"), min=1)] = TrainingConfig.lora_alpha,
    bins: Annotated[int, typer.Option(help=help_of("bins"), min=1)] = TrainingConfig.bins,
    lambda_: Annotated[float, typer.Option("--lambda", help=help_of("lambda_"), min=0)] = TrainingConfig.lambda_,
    estep_data: Annotated[EStepData, typer.Option(help=help_of("estep_data"))] = EStepData(TrainingConfig.estep_data),
    held_out: Annotated[float, typer.Option(help=help_of("held_out"))] = TrainingConfig.held_out,
    seed: Annotated[int, typer.Option(help=help_of("seed"))] = TrainingConfig.seed,
    dtype: Annotated[
        Dtype, typer.Option(help="Type of the weights; auto is float32 on a CPU, else the model's own.")
    ] = Dtype.auto,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output folder that is not empty.")] = False,
    format: Annotated[Format, typer.Option(help="How to print the result.")] = Format.table,  # noqa: A002
) -> None:
    """Restore a model's calibration by fine-tuning an adapter on multiple-choice questions.

    A share of the questions is held out; conf-ECE, cw-ECE, accuracy and NLL on them are printed on stderr as the
    epochs go by, and before and after on stdout.

    calibfast train --model ./model --data train.jsonl.gz --method cft --output run

    calibfast evaluate --model ./model --adapter run --data test.jsonl.gz --output preds.npz
    """
    config = TrainingConfig(
        method=method.value,
        epochs=epochs,
        learning_rate=learning_rate,
        schedule=schedule.value,
        batch_size=batch_size,
        gradient_accumulation=gradient_accumulation,
        lora_r=lora_r,
        lora_alpha=lora_alpha,
        bins=bins,
        lambda_=lambda_,
        estep_data=estep_data.value,
        held_out=held_out,
        limit=limit,
        seed=seed,
    )
    require_train_extra("calibfast train")
    from calibfast.training.run import train as run

    report = run(
        config,
        model=model,
        data=data,
        output=output,
        overwrite=overwrite,
        dtype=dtype.value,
        device=device,
    )
    write(_render(report, format))


def _render(report: TrainingReport, format: Format) -> str:  # noqa: A002
    from calibfast.report.rows import render_rows

    if format is Format.json:
        return json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"
    rows = [
        {"when": when, "held-out questions": row.n} | {name: getattr(row, metric) for metric, name in _SHOWN.items()}
        for when, row in (("before", report.before), ("after", report.after))
    ]
    return render_rows(rows, format.value)
