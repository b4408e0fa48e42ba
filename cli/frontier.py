"""`calibfast frontier`: accuracy against calibration over all that an experiment tried."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from calibfast.cli.output import Format, OutputFormat, write


def frontier(
    folder: Annotated[Path, typer.Argument(help="A folder of calibfast experiment.", metavar="EXPERIMENT")],
    *,
    plot: Annotated[Path | None, typer.Option(help="Draw accuracy against conf-ECE and NLL.", metavar="FILE")] = None,
    format: OutputFormat = Format.table,  # noqa: A002
) -> None:
    """Show which methods, settings and epochs of an experiment nothing else beats, and which one to take.

    All of it goes by held-out questions. The chosen one, of the lowest NLL among those whose models the folder holds,
    is then measured on the test questions, once.

    calibfast frontier experiment --plot frontier.png
    """
    from calibfast.report.frontier import plot_frontier, read_frontier
    from calibfast.report.picture import check_picture_path
    from calibfast.report.rows import render_rows

    if plot is not None:
        check_picture_path("a picture of a frontier", plot)
    found = read_frontier(folder)
    if plot is not None:
        plot_frontier(found, plot)
    if format is Format.json:
        write(json.dumps(found.to_dict(), indent=2) + "\n")
        return
    if format is Format.csv:
        write(render_rows([asdict(point) for point in found.points], "csv"))
        return
    rows = []
    for point in found.points:
        if point.best or point.last:
            mark = ("best" if point.best else "") + (", chosen" if point == found.chosen else "")
            row = {"method": point.method, "epoch": point.epoch, "seeds": point.seeds, "accuracy": point.accuracy}
            rows.append(row | {"conf_ece": point.conf_ece, "nll": point.nll, "": mark.strip(", ")})
    text = render_rows(rows) + "\nHeld-out questions; best: nothing else is as good in all three and better in one.\n"
    for domain, values in found.test.items():
        measured = "accuracy {accuracy:.4f}, conf-ECE {conf_ece:.4f}, NLL {nll:.4f}".format(**values)
        text += f"Chosen, on the test questions {'in' if domain == 'in' else 'out of'} domain: {measured}.\n"
    text += f"Advice: {found.advice}.\nEvidence: {found.evidence}.\n"
    write(text)
