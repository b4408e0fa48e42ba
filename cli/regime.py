"""`calibfast regime`: whether a run went beyond what can be calibrated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from calibfast.cli.output import Format, RunFormat, write
from calibfast.cli.settings import Device, Dtype
from calibfast.models.extra import require_train_extra

_KNOBS = "a smaller --batch-size; --dtype bfloat16"


def regime(
    run: Annotated[Path, typer.Argument(help="A run of calibfast train --keep-epochs.", metavar="RUN")],
    *,
    batch_size: Annotated[int, typer.Option(help="Questions in a forward pass at most.", min=1)] = 256,
    dtype: Dtype = "auto",
    device: Device = "auto",
    format: RunFormat = Format.table,  # noqa: A002
) -> None:
    """See after which epoch a run's model can no longer be calibrated, and what to do.

    A* is the highest accuracy that any model can have on fresh questions. Where the accuracy on the training questions
    exceeds it, the model has memorised answers, and a calibration error of at least the excess is forced. The advice
    goes by the held-out questions.

    calibfast train --model ./model --data train.jsonl --epochs 10 --keep-epochs --output run

    calibfast regime run
    """
    require_train_extra("calibfast regime")
    from calibfast.models.memory import memory_advice
    from calibfast.report.rows import render_rows
    from calibfast.training.regime import measure_regime

    with memory_advice(_KNOBS):
        found = measure_regime(run, batch_size=batch_size, dtype=dtype, device=device)
    if format is Format.json:
        write(json.dumps(found.to_dict(), indent=2) + "\n")
        return
    text = render_rows([vars(epoch) for epoch in found.epochs], format.value)
    if format is Format.table:
        critical = found.critical_accuracy
        interval = f" [{critical.low:.3f}, {critical.high:.3f}]"
        known = {
            "truth": f", from the true probabilities; luck alone reaches {critical.high:.3f}",
            "votes": f"{interval}, from several people's answers",
            "estimate": f"{interval} as far as the held-out questions tell; it may be higher",
        }
        text += f"\nA* = {critical.value:.3f}{known[critical.known_by]}.\n"
        text += f"Advice: {found.advice}.\nEvidence: {found.evidence}.\n"
    write(text)
