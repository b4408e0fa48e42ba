"""The settings of training as flags, made from `TrainingConfig`, and from a preset and a YAML file."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from calibfast.errors import InputError
from calibfast.models.extra import require_train_extra
from calibfast.training.config import ALIASES, PRESETS, TrainingConfig, read_config

Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    typer.Option(help="Type of the weights; auto is float32 on a CPU, else the model's own.", rich_help_panel="Run"),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...", rich_help_panel="Run")]
Model = Annotated[
    str, typer.Option(help="The model: a folder, a .gguf file or a hub id.", metavar="PATH|ID", rich_help_panel="Data")
]
KNOBS = (
    "a smaller --batch-size with a larger --gradient-accumulation; --gradient-checkpointing; --precision bfloat16 or "
    "--dtype bfloat16; a smaller --lora-r"
)
"""What makes training need less memory."""


@dataclass(frozen=True)
class Settings:
    """What the user set, and where.

    Attributes:
        flags: On the command line, by the names of `TrainingConfig`'s fields.
        preset: The name of a preset, or None.
        path: The YAML file, or None.
        file: What it holds, as it stands there.
    """

    flags: dict[str, Any]
    preset: str | None
    path: Path | None
    file: dict[Any, Any]

    def config(self) -> TrainingConfig:
        """The settings together: flags before the file, the file before the preset, the preset before the defaults.

        Raises:
            InputError: A setting is unknown or not as it must be.
        """
        try:
            read_config({}, file=self.file)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None
        return read_config(self.flags, preset=self.preset, file=self.file)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Put the flags of all settings, `--preset` and `--config` in the place of a command's parameter `settings`.

    The command, all of whose parameters are keywords, gets a `Settings` there. A parameter of its own stands for the
    setting of the same name. It needs the extra `train`.
    """
    own = inspect.signature(command, eval_str=True).parameters
    hints = get_type_hints(TrainingConfig)
    shown = {name: alias for alias, name in ALIASES.items()}
    flags = [_parameter("preset", str | None, None, "--preset", "Start from these settings.", "|".join(PRESETS))]
    flags.append(_parameter("config", Path | None, None, "--config", "Read settings from a YAML file.", "FILE"))
    settings = [setting for setting in fields(TrainingConfig) if setting.name not in own]
    for setting in settings:
        flag = "--" + shown.get(setting.name, setting.name).replace("_", "-")
        help, panel = setting.metadata["help"], setting.metadata["panel"]  # noqa: A001
        flags.append(_parameter(setting.name, hints[setting.name], setting.default, flag, help, panel=panel))
    names = [setting.name for setting in settings]

    @functools.wraps(command)
    def filled(context: typer.Context, preset: str | None, config: Path | None, **given: Any) -> None:
        require_train_extra(f"calibfast {command.__name__}")
        values = {name: given.pop(name) for name in names}
        named = {name: value for name, value in values.items() if is_given(context, name)}
        command(settings=Settings(named, preset, config, _read(config)), **given)

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context]
    for parameter in own.values():
        parameters += flags if parameter.name == "settings" else [parameter]
    filled.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return filled


def _parameter(
    name: str,
    kind: Any,
    default: Any,
    flag: str,
    help: str,  # noqa: A002
    metavar: str | None = None,
    panel: str = "Training",
) -> inspect.Parameter:
    option = typer.Option(flag, help=help, metavar=metavar, rich_help_panel=panel)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the user typed a parameter, also where it has its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _read(path: Path | None) -> dict[Any, Any]:
    """What a YAML file holds: names and values."""
    if path is None:
        return {}
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: settings are names and values, such as 'epochs: 3'")
    return found
