"""`calibfast winrate`: which of two models a judge prefers."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calibfast.cli.output import Format, RunFormat, write
from calibfast.cli.settings import Device, Dtype, is_given
from calibfast.models.extra import require_train_extra

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from calibfast.winrate.judge import Endpoint
    from calibfast.winrate.run import Result

_KNOBS = "a smaller --batch-size; a smaller --max-new-tokens; --dtype bfloat16"
_REWARD = "reward:"
_ENDPOINTS = ("judge_model", "judge_settings", "api_key_env", "concurrency", "requests_per_minute", "timeout")
"""Parameters that a reward model does not read."""
_SHOWN = {
    "win_rate": "win rate of A",
    "length_controlled": "at equal lengths",
    "agreement": "orders agree",
    "first_rate": "win rate of the first",
}


def winrate(
    *,
    context: typer.Context,
    a: Annotated[
        str,
        typer.Option(
            "--a",
            help="The first model: a folder, a .gguf file or a hub id, +ADAPTER behind it for an adapter; or a file of "
            "its answers, .json or .jsonl, also with .gz.",
            metavar="MODEL[+ADAPTER]|FILE",
            rich_help_panel="Data",
        ),
    ],
    b: Annotated[
        str,
        typer.Option(
            "--b", help="The second, which A is compared with.", metavar="MODEL[+ADAPTER]|FILE", rich_help_panel="Data"
        ),
    ],
    prompts: Annotated[
        Path,
        typer.Option(
            help="Prompts: .jsonl or .json, also with .gz; AlpacaEval, Arena-Hard, UltraFeedback.",
            metavar="FILE",
            rich_help_panel="Data",
        ),
    ],
    limit: Annotated[
        int | None, typer.Option(help="Read the first N prompts alone.", metavar="N", min=1, rich_help_panel="Data")
    ] = None,
    judge: Annotated[
        str,
        typer.Option(
            help="An endpoint of OpenAI's protocol, such as http://localhost:8000/v1, or reward:MODEL.",
            metavar="URL|reward:MODEL",
            rich_help_panel="Judge",
        ),
    ],
    judge_model: Annotated[
        str | None, typer.Option(help="The judge's name at the endpoint.", metavar="NAME", rich_help_panel="Judge")
    ] = None,
    judge_settings: Annotated[
        str,
        typer.Option(
            help="What is sent along with each request: temperature, max_tokens, seed ...",
            metavar="JSON",
            rich_help_panel="Judge",
        ),
    ] = '{"temperature": 0}',
    api_key_env: Annotated[
        str,
        typer.Option(
            help="The environment variable that holds the endpoint's key.", metavar="NAME", rich_help_panel="Judge"
        ),
    ] = "OPENAI_API_KEY",
    concurrency: Annotated[
        int, typer.Option(help="Requests under way at the same time.", min=1, rich_help_panel="Judge")
    ] = 8,
    requests_per_minute: Annotated[
        float | None,
        typer.Option(help="How many requests may begin.", metavar="N", min=0.01, rich_help_panel="Judge"),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for an answer of the judge.", min=0.01, rich_help_panel="Judge")
    ] = 120.0,
    max_new_tokens: Annotated[
        int, typer.Option(help="Of an answer of A or B; longer ones are cut.", min=1, rich_help_panel="Answers")
    ] = 1024,
    temperature: Annotated[
        float, typer.Option(help="Of the answers; 0 is greedy.", min=0, rich_help_panel="Answers")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the answers and the bootstrap.", min=0, rich_help_panel="Answers")] = 0,
    batch_size: Annotated[
        int, typer.Option(help="Prompts answered at the same time.", min=1, rich_help_panel="Answers")
    ] = 16,
    output: Annotated[
        Path,
        typer.Option(
            help="The folder of answers and judgements; what is there is not done again.",
            metavar="DIR",
            rich_help_panel="Run",
        ),
    ],
    dtype: Dtype = "auto",
    device: Device = "auto",
    format: RunFormat = Format.table,  # noqa: A002
) -> None:
    """Have a judge say, prompt by prompt, whether the answer of A or of B is better.

    Each pair is shown in both orders. A pair that the judge says nothing clear of is asked about again, then left out
    and counted, and the exit code is 1. The same command goes on where it was stopped.

    calibfast winrate --a ./model+run --b ./model --prompts alpaca_eval.json --judge http://localhost:8000/v1
    --judge-model NAME --output winrate
    """
    from calibfast.winrate.decoding import Decoding
    from calibfast.winrate.prompts import read_prompts
    from calibfast.winrate.run import is_answers_file, run_winrate

    asked = read_prompts(prompts, limit)
    judged_by: Endpoint | str
    if judge.startswith(_REWARD):
        if given := [f"'--{name.replace('_', '-')}'" for name in _ENDPOINTS if is_given(context, name)]:
            raise typer.BadParameter("it is for an endpoint; a reward model has none", param_hint=", ".join(given))
        judged_by = judge.removeprefix(_REWARD)
    else:
        judged_by = _endpoint(
            judge, judge_model, judge_settings, api_key_env, concurrency, requests_per_minute, timeout
        )
    with _local_models(isinstance(judged_by, str) or not (is_answers_file(a) and is_answers_file(b))):
        result = run_winrate(
            a,
            b,
            asked,
            judged_by,
            output,
            decoding=Decoding(max_new_tokens, temperature, seed),
            batch_size=batch_size,
            dtype=dtype,
            device=device,
            seed=seed,
        )
    write(_render(result, format))
    for remark in _remarks(result):
        print(f"note: {remark}", file=sys.stderr)
    if result.unjudged:
        raise typer.Exit(1)


def _endpoint(
    url: str,
    model: str | None,
    settings: str,
    key_name: str,
    concurrency: int,
    requests_per_minute: float | None,
    timeout: float,
) -> Endpoint:
    from calibfast.winrate.judge import Endpoint

    if model is None:
        raise typer.BadParameter("an endpoint needs one", param_hint="'--judge-model'")
    try:
        sent = json.loads(settings)
    except ValueError as error:
        raise typer.BadParameter(f"no JSON ({error})", param_hint="'--judge-settings'") from None
    if not isinstance(sent, dict) or not {"model", "messages", "stream", "n"}.isdisjoint(sent):
        raise typer.BadParameter(
            'a JSON object such as {"temperature": 0}, without model, messages, stream and n',
            param_hint="'--judge-settings'",
        )
    key = os.environ.get(key_name, "")
    return Endpoint(url, model, sent, key, concurrency, requests_per_minute, timeout)


def _local_models(needed: bool) -> AbstractContextManager[None]:
    if not needed:
        return nullcontext()
    require_train_extra("calibfast winrate with a model on this machine")
    from calibfast.models.memory import memory_advice

    return memory_advice(_KNOBS)


def _render(result: Result, format: Format) -> str:  # noqa: A002
    from calibfast.report.rows import render_rows

    if format is Format.json:
        return json.dumps(result.to_dict(), indent=2, allow_nan=False) + "\n"
    rates = result.rates
    shown = {name: getattr(rates, name) for name in _SHOWN}
    if format is Format.csv:
        row: dict[str, object] = {"a": result.a, "b": result.b, "judge": result.judge}
        row |= {name: value for name, value in rates.to_dict().items() if name not in shown}
        for name, rate in shown.items():
            row |= {name: rate and rate.value, f"{name}_low": rate and rate.low, f"{name}_high": rate and rate.high}
        return render_rows([row | {"unjudged": sum(result.unjudged.values())}], "csv")
    lines = [f"A: {result.a}", f"B: {result.b}", f"judge: {result.judge}"]
    rows = [
        {"": _SHOWN[name], "rate": rate.value, "low": rate.low, "high": rate.high}
        for name, rate in shown.items()
        if rate is not None
    ]
    if rows:
        lines += [render_rows(rows).rstrip(), ""]
        lines += [f"A wins {rates.wins:,} of {rates.judged:,} pairs, B {rates.losses:,}; {rates.ties:,} are ties."]
        lines += [f"Answers of A have {rates.length_a:,.0f} characters on average, of B {rates.length_b:,.0f}."]
    else:
        lines += ["", "No pair is judged."]
    return "\n".join(lines) + "\n"


def _remarks(result: Result) -> Iterator[str]:
    """What is to be known beside the rates."""
    rates = result.rates
    if result.unjudged:
        yield (
            f"{rates.pairs - rates.judged} of {rates.pairs} pairs are not judged and left out of all rates "
            f"({_counts(result.unjudged)}); the same command asks about them again"
        )
    if result.failures:
        yield f"replies without a verdict, those among them that were asked again: {_counts(result.failures)}"
    if result.error is not None:
        yield f"one of them: {result.error}"
    if rates.identical:
        yield f"{rates.identical} pairs have the same answer twice: ties, unasked"
    for name, cut in zip("AB", result.cut, strict=True):
        if cut:
            yield f"{cut} answers of {name} were cut at --max-new-tokens"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
