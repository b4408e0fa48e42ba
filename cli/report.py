"""`calibfast report`: a page that shows and explains the calibration of models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from calibfast.cli.ece import Precision, parse_bins
from calibfast.cli.output import write

PageFormat = Literal["html", "md", "latex", "json"]
_BY_SUFFIX: dict[str, PageFormat] = {".html": "html", ".md": "md", ".tex": "latex", ".json": "json"}


def report(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Predictions as calibfast ece reads them. Several are models on the same questions in the same order, "
            "and each is compared with the first.",
            metavar="FILE...",
        ),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it.", metavar="FILE")] = None,
    format: Annotated[  # noqa: A002
        PageFormat | None, typer.Option(help="By default what the name of the output says, else html.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A .npy file of labels, or of 0 and 1 beside confidences.", metavar="NPY")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Name of the predictions, where it is another.", metavar="NAME")
    ] = None,
    label_key: Annotated[
        str | None, typer.Option(help="Name of the labels (of right and wrong).", metavar="NAME")
    ] = None,
    group_key: Annotated[str | None, typer.Option(help="Name of a column of groups.", metavar="NAME")] = None,
    logits: Annotated[bool, typer.Option("--logits", help="--key holds logits; never guessed.")] = False,
    options: Annotated[
        int | None, typer.Option(help="Keep the first K options of each row, renormalised.", metavar="K", min=2)
    ] = None,
    dtype: Annotated[Precision | None, typer.Option(help="The type that numbers in text were computed in.")] = None,
    normalize: Annotated[
        Literal["sum", "token", "byte"], typer.Option(help="Log-likelihoods of a sample log.")
    ] = "sum",
    tokenizer: Annotated[
        Path | None, typer.Option(help="The model's folder, to count tokens for --normalize token.", metavar="PATH")
    ] = None,
    bins: Annotated[
        str, typer.Option(help="Number of equal-width bins, or edges: 0,0.5,0.9,1.", metavar="M|EDGES")
    ] = "10",
    ignore_index: Annotated[
        int | None, typer.Option(help="Leave out the rows with this label.", metavar="LABEL")
    ] = None,
) -> None:
    """Write a page on one model, or on several side by side.

    One HTML file that needs no network: what the numbers say in words, reliability diagrams, intervals, groups by
    the harm that they do, paired differences, and how every number was computed. Holds the files in memory.

    calibfast report before.npz after.npz -o report.html
    """
    from calibfast.io import read_predictions
    from calibfast.report.latex import latex
    from calibfast.report.markdown import markdown
    from calibfast.report.page import page
    from calibfast.report.study import read_studies

    chosen = format or _BY_SUFFIX.get("" if output is None else output.suffix.lower())
    if chosen is None:
        problem = "say where the page goes (-o report.html), or --format md, latex or json"
        raise typer.BadParameter(problem, param_hint="'--output'")
    edges = parse_bins(bins)

    read = [
        read_predictions(
            path,
            labels=labels,
            key=key,
            label_key=label_key,
            group_key=group_key,
            logits=logits,
            options=options,
            dtype=dtype.value if dtype else None,
            ignore_index=ignore_index,
            normalize=normalize,
            tokenizer=tokenizer,
        )
        for path in files
    ]
    studies = read_studies(read, bins=edges)
    if chosen == "json":
        text = studies.to_json(indent=2) + "\n"
    else:
        text = {"html": page, "md": markdown, "latex": latex}[chosen](studies)
    if output is None:
        write(text)
    else:
        output.write_text(text, encoding="utf-8")
