"""`calibfast train`: restore a model's calibration by fine-tuning."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calibfast.cli.bad_rows import SkipBadRows
from calibfast.cli.output import Format, RunFormat, write
from calibfast.cli.settings import KNOBS, Device, Dtype, Model, Settings, with_settings

if TYPE_CHECKING:
    from calibfast.training.run import TrainingReport

_SHOWN = {"conf_ece": "conf-ECE", "cw_ece": "cw-ECE", "accuracy": "accuracy", "nll": "NLL", "brier": "Brier"}


@with_settings
def train(
    *,
    model: Model,
    data: Annotated[
        Path,
        typer.Option(help="Questions: .jsonl or .json, also with .gz.", metavar="FILE", rich_help_panel="Data"),
    ],
    skip_bad_rows: SkipBadRows = False,
    settings: Settings,
    output: Annotated[
        Path,
        typer.Option(help="The folder to make: adapter, log.jsonl, result.json.", metavar="DIR", rich_help_panel="Run"),
    ],
    dtype: Dtype = "auto",
    device: Device = "auto",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what an earlier run left, finished or not.", rich_help_panel="Run"),
    ] = False,
    format: RunFormat = Format.table,  # noqa: A002
) -> None:
    """Restore a model's calibration by fine-tuning an adapter on multiple-choice questions.

    A share of the questions is held out; conf-ECE, cw-ECE, accuracy and NLL on them are printed on stderr as the
    epochs go by, and before and after on stdout. A run that was stopped goes on where it was: give the same command.

    calibfast train --model ./model --data train.jsonl.gz --method cft --output run

    calibfast evaluate --model ./model --adapter run --data test.jsonl.gz --output preds.npz
    """
    config = settings.config()
    from accelerate import PartialState  # type: ignore[import-untyped]

    from calibfast.models.memory import memory_advice
    from calibfast.training.checkpoint import newest
    from calibfast.training.folder import unfinished_of
    from calibfast.training.run import train as run

    try:
        with memory_advice(f"{KNOBS}; the last checkpoint stands, and --overwrite begins anew"):
            report = run(
                config,
                model=model,
                data=data,
                output=output,
                overwrite=overwrite,
                skip_bad_rows=skip_bad_rows,
                dtype=dtype,
                device=device,
            )
    except KeyboardInterrupt:
        if newest(unfinished_of(output)) is not None:
            print("stopped; the same command goes on from where it stopped", file=sys.stderr)
        raise
    if PartialState().is_main_process:
        write(_render(report, format))


def _render(report: TrainingReport, format: Format) -> str:  # noqa: A002
    from calibfast.report.rows import render_rows

    if format is Format.json:
        return json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"
    reports = {"before": report.before, "after": report.after}
    if report.scaled is not None:
        reports[f"after, at temperature {report.temperature:.3g}"] = report.scaled
    rows = [
        {"when": when, "held-out questions": row.n} | {name: getattr(row, metric) for metric, name in _SHOWN.items()}
        for when, row in reports.items()
    ]
    text = render_rows(rows, format.value)
    if format is Format.table and report.e_steps:
        text += "\nThe bins at each epoch's E-step: how many questions, and the share q that was answered right.\n"
        text += render_rows(_bins(report))
    return text


def _bins(report: TrainingReport) -> list[dict[str, object]]:
    """A row for each bin, with its count and q at each E-step."""
    from calibfast.report.table import bin_labels

    rows: list[dict[str, object]] = []
    for place, label in enumerate(bin_labels(report.after.reliability)):
        row: dict[str, object] = {"bin": label}
        for step in report.e_steps:
            row |= {f"n {step['epoch']}": step["count"][place], f"q {step['epoch']}": step["q"][place]}
        rows.append(row)
    return rows
