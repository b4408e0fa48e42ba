"""The `calibfast` command: which commands there are, and the one door through which errors leave."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from calibfast import __version__
from calibfast.cli.output import discard_stdout, notes, write
from calibfast.errors import CalibfastError, printable

COMMANDS = (
    "ece",
    "merge",
    "train",
    "evaluate",
    "sweep",
    "collapse",
    "regime",
    "experiment",
    "frontier",
    "compare",
    "winrate",
    "report",
    "recalibrate",
    "demo",
    "bench",
)
"""Each is a function, or a group of commands, of its own name in a file of that name, imported when called for."""

_INTERRUPTED = 130
_BUG = 70

_COMPLETING = "_CALIBFAST_COMPLETE" in os.environ
if _COMPLETING:  # Typer folds what it proposes at 80 columns, and fish takes each line for a proposal of its own
    os.environ["TERMINAL_WIDTH"] = "1000"

# Older Typers raise click's UsageError, newer ones their own copy of it; neither has a public name in Typer.
_UsageError: Any = typer.BadParameter.__mro__[1]


class PanelledCommand(TyperCommand):
    """A command whose help has a section for each panel of options."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections, in the order of their first options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            panel = getattr(parameter, "rich_help_panel", None) or f"{parameter.param_type_name.title()}s"
            if record := parameter.get_help_record(ctx):
                sections.setdefault(panel, []).append(record)
        for panel, records in sections.items():
            with formatter.section(panel):
                formatter.write_dl(records)


class LazyGroup(TyperGroup):
    """Commands that cost nothing until they are used."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"calibfast.cli.{cmd_name}"), cmd_name)
        if isinstance(command, typer.Typer):  # of commands of its own
            return typer.main.get_command(command)
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, cls=PanelledCommand)(command)
        return typer.main.get_command(single)


app = typer.Typer(cls=LazyGroup, pretty_exceptions_enable=False, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        write(f"calibfast {__version__}\n")
        raise typer.Exit


@app.callback()
def calibfast(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Measure, explain and restore the calibration of language models."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    The code is 0 for success, 1 for a check that was asked for and failed, 2 for wrong use or bad input, which is
    one line on stderr, 130 after Ctrl-C, and 70 with a traceback for a bug. A closed pipe is no error.
    """
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    try:
        with notes():
            code = app(arguments or ["--help"], prog_name="calibfast", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except _UsageError as error:
        path = error.ctx.command_path if error.ctx else "calibfast"
        return _fail(f"{error.format_message().rstrip('.')}. See '{path} --help'.")
    except CalibfastError as error:
        return _fail(str(error))
    except BrokenPipeError:
        discard_stdout()
        return 0
    except SystemExit as ended:
        # A shell is told whether there are proposals; otherwise Typer ends so on a closed pipe, and on nothing else.
        return int(ended.code or 0) if _COMPLETING else 0
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except Exception:  # a bug of ours: shown whole, under a code that no check and no bad input has
        traceback.print_exc()
        return _BUG


def _fail(message: str) -> int:
    print("error:", printable(" ".join(message.split())), file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
