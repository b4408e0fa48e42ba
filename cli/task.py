"""The tasks by which a model is measured, and their flags, which every command that measures models has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from calibfast.cli.bad_rows import SkipBadRows
from calibfast.cli.evaluate_clm import evaluate_clm
from calibfast.cli.evaluate_facts import evaluate_facts
from calibfast.cli.evaluate_mcq import Asking, evaluate_mcq
from calibfast.cli.evaluated import Measured
from calibfast.cli.settings import Device, Dtype, is_given
from calibfast.models.extra import require_train_extra
from calibfast.models.prompt import Scoring

if TYPE_CHECKING:
    from calibfast.evaluation.clm import Reading
    from calibfast.evaluation.facts import Completing
    from calibfast.metrics.report import Report
    from calibfast.models.load import Dtype as WeightType
    from calibfast.models.load import Quantize

TaskName = Literal["mcq", "facts", "clm"]
Normalize = Literal["sum", "token", "byte"]

_SUFFIX: dict[TaskName, str] = {"mcq": ".npz", "facts": ".npz", "clm": ".json"}
_OWN: dict[TaskName, set[str]] = {
    "mcq": {field.name for field in fields(Asking)},
    "facts": {
        "data",
        "limit",
        "skip_bad_rows",
        "decoding",
        "match",
        "f1_threshold",
        "confidence",
        "samples",
        "max_new_tokens",
        "seed",
        "bins",
        "batch_size",
    },
    "clm": {"data", "text_key", "window", "stride", "max_tokens", "top_k", "bins", "batch_size"},
}
"""The flags that a task has."""
_MCQ, _FACTS, _CLM = "Multiple choice (--task mcq)", "Facts (--task facts)", "Next tokens (--task clm)"


@dataclass(frozen=True)
class Task:
    """What every model is asked, and how it is loaded."""

    name: TaskName
    asked: Asking | Completing | Reading
    dtype: WeightType
    quantize: Quantize
    device: str

    @property
    def suffix(self) -> str:
        """Of the file that the task writes."""
        return _SUFFIX[self.name]

    def measure(
        self, model: str, revision: str | None, adapter: Path | None, output: Path
    ) -> tuple[Report, dict[str, Any], list[str]]:
        """Measure a model: the report, what else is known, and notes for the table."""
        measured = Measured(model, revision, adapter, self.dtype, self.device, self.quantize)
        run: Any = {"mcq": evaluate_mcq, "facts": evaluate_facts, "clm": evaluate_clm}[self.name]
        report, facts, notes = run(measured, self.asked, output)
        return report, {"task": self.name, "model": model, **facts}, notes


def with_task(command: Callable[..., None]) -> Callable[..., None]:
    """Put the flags of all tasks in the place of a command's parameter `task`.

    The command, all of whose parameters are keywords, gets a function there that makes the `Task`; it may be given
    the data. It needs the extra `train`.
    """
    own = inspect.signature(command, eval_str=True).parameters
    flags = inspect.signature(_task, eval_str=True).parameters

    @wraps(command)
    def filled(**given: Any) -> None:
        require_train_extra(f"calibfast {command.__name__}")
        chosen = {name: given.pop(name) for name in flags}
        command(task=partial(_task, **chosen), **given)

    parameters: list[inspect.Parameter] = []
    for parameter in own.values():
        parameters += flags.values() if parameter.name == "task" else [parameter]
    filled.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return filled


def _task(
    *,
    context: typer.Context,
    task: Annotated[
        TaskName,
        typer.Option(
            help="mcq: multiple-choice questions. facts: in the model's own words. clm: every next token of a text.",
            rich_help_panel="Data",
        ),
    ] = "mcq",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Questions or facts: .jsonl or .json. Text: .jsonl or .parquet, else the whole file. Also with .gz.",
            metavar="FILE",
            rich_help_panel="Data",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="Read the first N questions or facts alone.", metavar="N", min=1, rich_help_panel="Data"),
    ] = None,
    skip_bad_rows: SkipBadRows = False,
    scoring: Annotated[
        Scoring | None,
        typer.Option(
            help="An option's probability is that of its letter, or of its text without seeing the options. Default: "
            "the run's, or letter.",
            rich_help_panel=_MCQ,
        ),
    ] = None,
    normalize: Annotated[
        Normalize | None,
        typer.Option(
            help="cloze: an option's log-likelihood as it is, or divided by its tokens or bytes. Default: the run's, "
            "or sum.",
            rich_help_panel=_MCQ,
        ),
    ] = None,
    few_shot: Annotated[
        int | None,
        typer.Option(help="Show N solved questions first.", metavar="N", min=1, rich_help_panel=_MCQ),
    ] = None,
    few_shot_data: Annotated[
        Path | None,
        typer.Option(
            help="Where they come from: the first of the question's subject, if the file has it.",
            metavar="FILE",
            rich_help_panel=_MCQ,
        ),
    ] = None,
    option_order: Annotated[
        Literal["given", "permute"],
        typer.Option(
            help="letter: permute asks each question once for each cyclic order of its options, takes the mean of each "
            "option's probability, and reports what the letters themselves draw.",
            rich_help_panel=_MCQ,
        ),
    ] = "given",
    decoding: Annotated[
        Literal["greedy", "sample"],
        typer.Option(help="Take the likeliest tokens, or draw them at temperature 1.", rich_help_panel=_FACTS),
    ] = "greedy",
    match: Annotated[
        Literal["exact", "contains", "f1"],
        typer.Option(
            help="An answer is right where it is a known one, or has one in it, or shares enough words with one.",
            rich_help_panel=_FACTS,
        ),
    ] = "contains",
    f1_threshold: Annotated[
        float, typer.Option(help="f1: how many are enough.", min=0, max=1, rich_help_panel=_FACTS)
    ] = 0.5,
    confidence: Annotated[
        Literal["mean", "first", "agreement", "stated"],
        typer.Option(
            help="The mean probability (geometric) of the answer's tokens, that of the first one, the share of drawn "
            "answers that are the same, or a probability that the model states in words.",
            rich_help_panel=_FACTS,
        ),
    ] = "mean",
    samples: Annotated[
        int, typer.Option(help="agreement: how many answers are drawn.", metavar="N", min=1, rich_help_panel=_FACTS)
    ] = 10,
    max_new_tokens: Annotated[
        int, typer.Option(help="Tokens of an answer at most.", metavar="N", min=1, rich_help_panel=_FACTS)
    ] = 16,
    seed: Annotated[int, typer.Option(help="Of what is drawn.", min=0, rich_help_panel=_FACTS)] = 0,
    text_key: Annotated[
        str, typer.Option(help="Field or column of the text.", metavar="NAME", rich_help_panel=_CLM)
    ] = "text",
    window: Annotated[
        int | None,
        typer.Option(
            help="Tokens that the model reads at once. Default: 1024, or what it can read.",
            metavar="N",
            min=2,
            rich_help_panel=_CLM,
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            help="Tokens from one window to the next; each token is predicted once, in the first window that has it. "
            "Default: half a window.",
            metavar="N",
            min=1,
            rich_help_panel=_CLM,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Predict the first N tokens alone.", metavar="N", min=1, rich_help_panel=_CLM)
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            help="Also measure whether the token is among the K likeliest.", metavar="K", min=2, rich_help_panel=_CLM
        ),
    ] = None,
    bins: Annotated[int, typer.Option(help="Number of equal-width bins.", min=1, rich_help_panel="Run")] = 10,
    batch_size: Annotated[
        int, typer.Option(help="Questions, facts or windows in a forward pass at most.", min=1, rich_help_panel="Run")
    ] = 256,
    dtype: Dtype = "auto",
    quantize: Annotated[
        Literal["none", "8bit", "4bit"],
        typer.Option(help="Pack the weights while loading, by bitsandbytes.", rich_help_panel="Run"),
    ] = "none",
    device: Device = "auto",
) -> Task:
    given = dict(locals())
    for parameter in context.command.params:
        others = set().union(*_OWN.values()) - _OWN[task]
        if parameter.name in others and is_given(context, parameter.name):
            raise typer.BadParameter(f"--task {task} has no such setting", param_hint=f"'{parameter.opts[0]}'")
    if data is None:
        raise typer.BadParameter("needed", param_hint="'--data'")
    if (few_shot is None) != (few_shot_data is None):
        raise typer.BadParameter("give both or neither", param_hint="'--few-shot', '--few-shot-data'")
    asked = _kind(task)(**{name: given[name] for name in _OWN[task]})
    return Task(task, asked, dtype, quantize, device)


def _kind(task: TaskName) -> Any:
    if task == "mcq":
        return Asking
    if task == "facts":
        from calibfast.evaluation.facts import Completing

        return Completing
    from calibfast.evaluation.clm import Reading

    return Reading
