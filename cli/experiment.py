"""`calibfast experiment`: methods side by side, over seeds, in domain and out of it."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calibfast.cli.output import write
from calibfast.cli.settings import KNOBS, Device, Dtype, Settings, with_settings
from calibfast.errors import InputError
from calibfast.whole import write_whole

if TYPE_CHECKING:
    from calibfast.report.methods import Domain
    from calibfast.training.experiment import Measurement


class TableFormat(str, Enum):
    """How the table is shown."""

    table = "table"
    json = "json"
    csv = "csv"
    latex = "latex"


@with_settings
def experiment(
    *,
    model: Annotated[
        str | None,
        typer.Option(
            help="The aligned model: a folder, a .gguf file or a hub id.", metavar="PATH|ID", rich_help_panel="Data"
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="The model before its alignment, for a row of its own.", metavar="PATH|ID", rich_help_panel="Data"
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(help="Questions to train on, and to hold out.", metavar="FILE", rich_help_panel="Data"),
    ] = None,
    test_in: Annotated[
        Path | None,
        typer.Option("--in", help="Test questions of the same domain.", metavar="FILE", rich_help_panel="Data"),
    ] = None,
    test_out: Annotated[
        Path | None,
        typer.Option("--out", help="Test questions of another domain.", metavar="FILE", rich_help_panel="Data"),
    ] = None,
    limit_test: Annotated[
        int | None,
        typer.Option(
            help="Use a random draw of this many questions of each test file.",
            metavar="N",
            min=1,
            rich_help_panel="Data",
        ),
    ] = None,
    world: Annotated[
        bool,
        typer.Option(
            "--world",
            help="The embedded world in place of models and files; see calibfast demo.",
            rich_help_panel="Data",
        ),
    ] = False,
    method: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="Methods of calibfast train, such as cft,rcft,cft+temperature. Default: those in the --config file.",
            metavar="METHOD,...",
            rich_help_panel="Training",
        ),
    ] = None,
    seed: Annotated[
        str,
        typer.Option("--seeds", help="Each trains every method once.", metavar="SEED,...", rich_help_panel="Training"),
    ] = "0,1,2",
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A row for each value of a setting, such as lambda=0.5,1,2, for the methods that read it. Several "
            "such settings multiply.",
            metavar="NAME=VALUE,...",
            rich_help_panel="Training",
        ),
    ] = None,
    settings: Settings,
    output: Annotated[
        Path, typer.Option(help="The experiment's folder, new or to go on with.", metavar="DIR", rich_help_panel="Run")
    ],
    dtype: Dtype = "auto",
    device: Device = "auto",
    format: Annotated[  # noqa: A002
        TableFormat, typer.Option(help="How to print the table.", rich_help_panel="Run")
    ] = TableFormat.table,
) -> None:
    """Compare training methods: calibration and accuracy, in domain and out of it, over seeds.

    Beside the methods stand the model as it is (aligned) and temperature scaling. Temperatures are fitted on questions
    held out from the training file; test questions that stand in it are refused. What is done is not done again: the
    same command goes on where it was stopped, and with more methods, values or seeds it adds to the folder.

    calibfast experiment --model ./model --train train.jsonl --in test.jsonl --out other.jsonl --methods cft,sft2,rcft
    --set lambda=0.5,1,2 --seeds 0,1,2 --output experiment

    calibfast experiment --world --output world

    In a --config file a list of values makes rows as --set does, and `methods` may hold settings of each:
    {epochs: 5, methods: {cft: {}, rcft: {epochs: 12, lambda: [0.1, 0.2]}}}.
    """
    from calibfast.models.memory import memory_advice

    seeds = _seeds(seed)
    files = {"--model": model, "--train": train, "--in": test_in}
    try:
        with memory_advice(f"{KNOBS}; what is done stands in the folder"):
            if world:
                others: dict[str, object] = {
                    **files,
                    "--out": test_out,
                    "--base": base,
                    "--limit-test": limit_test,
                    "--methods": method,
                }
                others |= {"--set": values or None, "--config": settings.path, "--preset": settings.preset}
                others |= {f"--{name}": value for name, value in settings.flags.items()}
                if given := [name for name, value in others.items() if value is not None]:
                    raise typer.BadParameter(
                        "--world has models, files and settings of its own", param_hint=f"'{given[0]}'"
                    )
                from calibfast.world.experiment import run_world_experiment

                measured, bins = run_world_experiment(output, seeds), 10
            else:
                if missing := [name for name, value in files.items() if value is None]:
                    raise typer.BadParameter("needed, or --world", param_hint=f"'{missing[0]}'")
                assert model is not None
                assert train is not None
                assert test_in is not None
                from calibfast.training.experiment import Sources, run_experiment

                cells = _cells(method, seeds, values or [], settings)
                tests: dict[Domain, Path] = {"in": test_in} if test_out is None else {"in": test_in, "out": test_out}
                sources = Sources(model, train, tests, base)
                measured = run_experiment(cells, sources, output, limit_test=limit_test, dtype=dtype, device=device)
                bins = cells[0].config.bins
    except KeyboardInterrupt:
        print("stopped; the same command goes on from where it stopped", file=sys.stderr)
        raise
    write(_render(measured, seeds, bins, output, format))


def _seeds(text: str) -> list[int]:
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"'{text}' is no list of whole numbers such as 0,1,2", param_hint="'--seeds'"
        ) from None


def _cells(methods: str | None, seeds: list[int], values: list[str], settings: Settings) -> list[Any]:
    import yaml

    from calibfast.training.cells import plan_cells

    common = dict(settings.file)
    own = common.pop("methods", None) or {}
    if not isinstance(own, dict) or not all(isinstance(each, dict) for each in own.values()):
        raise InputError(f"{settings.path}: 'methods' holds the settings of each, such as 'cft: {{epochs: 3}}'")
    flags = dict(settings.flags)
    if settings.preset is not None:
        flags["preset"] = settings.preset
    for text in values:
        name, _, given = text.partition("=")
        try:
            flags[name] = [yaml.safe_load(value) for value in given.split(",")]
        except (yaml.YAMLError, RecursionError):
            raise typer.BadParameter(f"'{text}' is no NAME=VALUE,...", param_hint="'--set'") from None
    chosen = list(own) if methods is None else [method.strip() for method in methods.split(",")]
    if not chosen:
        raise typer.BadParameter("name the methods to compare", param_hint="'--methods'")
    return plan_cells(chosen, seeds, common | flags, {method: own.get(method, {}) | flags for method in chosen})


def _render(
    measured: list[Measurement],
    seeds: list[int],
    bins: int,
    output: Path,
    format: TableFormat,  # noqa: A002
) -> str:
    from rich.console import Console

    from calibfast.report.methods import render_methods
    from calibfast.training.experiment import method_rows

    rows = method_rows(measured)
    write_whole(output / "results.json", render_methods(rows, "json", seeds=seeds, bins=bins))
    console = Console()
    color = console.color_system is not None and not console.no_color
    return render_methods(rows, format.value, seeds=seeds, bins=bins, color=color)
