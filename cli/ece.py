"""`calibfast ece`: the calibration of the predictions in a file."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from calibfast.cli.output import Format, OutputFormat, files_progress, write
from calibfast.cli.prediction_files import (
    Bins,
    Dtype,
    GroupKey,
    IgnoreIndex,
    Key,
    LabelKey,
    Labels,
    Logits,
    Normalize,
    Options,
    Tokenizer,
    parse_bins,
)
from calibfast.cli.result import FailAbove, GithubSummary, Junit, Plot, judge, parse_thresholds, show
from calibfast.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibfast.io.source import File
    from calibfast.io.stream import Elsewhere
    from calibfast.metrics import Report
    from calibfast.metrics.compat import Compat

_OF_A_TASK = ("accuracy", "mean_confidence", "conf_ece", "cw_ece", "brier", "nll", "auroc")
"""The metrics of a task's row, few enough for a terminal."""


def _compat(name: str | None) -> Compat | None:
    from calibfast.metrics.compat import Compat

    if name is None or name in get_args(Compat):
        return cast("Compat | None", name)
    known = ", ".join(get_args(Compat))
    raise typer.BadParameter(f"{name!r} is none of {known}", param_hint="'--compat'")


def ece(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Predictions: .npy ((N,2): confidence, correct; (N,K) or (N,) with --labels), .npz, .csv, .jsonl, "
            ".parquet or .arrow with confidence (conf), probs or logits beside correct, labels, or pred and labels; or "
            "a log of lm-evaluation-harness, Inspect or HELM. Several, patterns ('shards/*.parquet') and folders are "
            "one set of rows; a folder of logs is a row for each task.",
            metavar="FILE...",
        ),
    ],
    labels: Labels = None,
    key: Key = None,
    label_key: LabelKey = None,
    group_key: GroupKey = None,
    logits: Logits = False,
    options: Options = None,
    dtype: Dtype = None,
    normalize: Normalize = "sum",
    tokenizer: Tokenizer = None,
    bins: Bins = "10",
    metrics: Annotated[
        str | None,
        typer.Option(help="Further metrics: all, or names with commas between: smece,corp,ks_error.", metavar="NAMES"),
    ] = None,
    ci: Annotated[bool, typer.Option("--ci", help="A 95% interval for every metric that is always shown.")] = False,
    compat: Annotated[
        str | None,
        typer.Option(
            help="Also the numbers that another package gives, to their last digit: guo, torchmetrics, netcal, kumar, "
            "sklearn, rcft or an older version. Holds the whole file in memory.",
            metavar="NAME",
        ),
    ] = None,
    ignore_index: IgnoreIndex = None,
    on_error: Annotated[
        Literal["stop", "skip"],
        typer.Option(help="A file at fault ends it all; or it is left out and named, and the exit code is 1."),
    ] = "stop",
    threads: Annotated[
        int | None, typer.Option(help="Number of threads, by default all; changes no digit.", metavar="N", min=1)
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Keep what is counted in this file, after each file; files that it has are not read again. No rows "
            "are kept, so that AUROC and AURC are null.",
            metavar="CFS",
        ),
    ] = None,
    engine: Annotated[
        Literal["threads", "ray"],
        typer.Option(help="What measures the files: threads of this machine, or a Ray cluster, a task for each file."),
    ] = "threads",
    address: Annotated[
        str | None,
        typer.Option(
            help="Of the Ray cluster; by default that of RAY_ADDRESS, or one that runs here.", metavar="HOST:PORT"
        ),
    ] = None,
    fail_above: FailAbove = None,
    junit: Junit = None,
    github_summary: GithubSummary = False,
    format: OutputFormat = Format.table,  # noqa: A002
    plot: Plot = None,
) -> None:
    """Measure the calibration of predictions in files.

    Prints accuracy, confidence, conf-ECE, cw-ECE, MCE, RMSCE, Brier, NLL, AUROC and AURC with the same numbers for a
    predictor that always says the base rate, and the reliability of every bin.

    calibfast ece preds.npz --bins 15
    """
    from calibfast.io import read_predictions
    from calibfast.io.files import holds_logs, prediction_files
    from calibfast.io.gather import gather
    from calibfast.io.predictions import Reading
    from calibfast.io.stream import measure_files
    from calibfast.metrics.compat import reproduce_all
    from calibfast.report.rows import render_rows

    edges, package, thresholds = parse_bins(bins), _compat(compat), parse_thresholds(fail_above, junit)
    rowless = "--state" if state else "--engine ray" if engine == "ray" else None
    for option, given in {"--metrics": metrics, "--ci": ci, "--compat": compat}.items():
        if rowless and given:
            problem = f"goes without {option}: it keeps no rows"
            raise typer.BadParameter(problem, param_hint=f"'{rowless}'")
    if address and engine != "ray":
        raise typer.BadParameter("is that of a Ray cluster, and goes with --engine ray", param_hint="'--address'")
    reading = Reading(
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
    left_out: list[File] = []

    def leave_out(path: File, error: Exception) -> None:
        left_out.append(path)
        print(f"note: left out: {error}", file=sys.stderr)

    def start_engine() -> AbstractContextManager[Elsewhere | None]:
        if engine == "threads":
            return nullcontext()
        from calibfast.engines.ray import files_on

        return files_on(address)

    def measure(paths: Sequence[File]) -> Report:
        with start_engine() as elsewhere, files_progress(len(paths)) as progress:
            report = measure_files(
                paths,
                threads=threads,
                progress=progress,
                failed=leave_out if on_error == "skip" else None,
                state=state,
                elsewhere=elsewhere,
                bins=edges,
                metrics=[name.strip() for name in metrics.split(",")] if metrics else (),
                ci=ci,
                **reading,
            ).report()
        if package is None:
            return report
        opened = [read_predictions(path, **reading) for path in paths if path not in left_out]
        rows = gather(*opened)
        numbers = reproduce_all(
            package,
            rows.p,
            rows.y,
            bins=edges,
            logits=opened[0].kind == "logits",
            mask=rows.mask,
            ignore_index=opened[0].ignore_index,
        )
        return replace(report, metrics={**report.metrics, **numbers})

    name = " ".join(files)
    logs = len(files) == 1 and holds_logs(Path(name), **reading)
    if logs and (labels or group_key or plot or rowless):
        raise typer.BadParameter(
            "--labels, --group-key, --state, --engine and --plot take one file, not a folder of logs"
        )
    paths = [] if logs else prediction_files(files)
    if labels and len(paths) > 1:
        raise typer.BadParameter(f"goes with one file, not with {len(paths)}", param_hint="'--labels'")
    reports = _measure_folder(Path(name), measure) if logs else {"": measure(paths)}
    if logs:
        write(render_rows([_row(task, report, ci=ci) for task, report in reports.items()], format.value))
    else:
        show(reports[""], format, plot)
    passed = judge(reports, thresholds, name, ci=ci, junit=junit, github_summary=github_summary)
    if left_out or not passed:
        raise typer.Exit(1)


def _measure_folder(folder: Path, measure: Callable[[Sequence[File]], Report]) -> dict[str, Report]:
    """The report of each log that has confidences; the others are named on stderr."""
    from calibfast.io.folder import sample_logs

    def measured(path: Path) -> Report | None:
        try:
            return measure([path])
        except InputError as error:
            print(f"note: left out: {error}", file=sys.stderr)
            return None

    reports = {task: report for task, path in sample_logs(folder).items() if (report := measured(path))}
    if not reports:
        raise InputError(f"{folder}: none of its logs could be measured")
    return reports


def _row(task: str, report: Report, *, ci: bool) -> dict[str, object]:
    row = {"task": task, "n": report.n, **{name: getattr(report, name) for name in _OF_A_TASK}, **report.metrics}
    if ci:
        row["conf_ece_low"], row["conf_ece_high"] = report.ci.get("conf_ece", (None, None))
    return row
