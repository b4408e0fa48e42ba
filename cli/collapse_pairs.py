"""`calibfast collapse --pairs`: preferences against people's."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calibfast.cli.bad_rows import read_rows
from calibfast.cli.output import Format

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from transformers import PreTrainedTokenizerBase

    from calibfast.metrics.collapse import Collapse

_NORMALIZE: tuple[Literal["sum", "token"], ...] = ("sum", "token")
_SHOWN = ("ratio", "preferring", "exceeding", "excess")


def collapse_pairs(
    models: Iterable[tuple[str, torch.nn.Module, PreTrainedTokenizerBase]],
    pairs: Path,
    share_key: str | None,
    limit: int | None,
    bins: int,
    batch_size: int,
    plot: Path | None,
    format: Format,  # noqa: A002
    *,
    skip_bad_rows: bool,
) -> str:
    """The models' preferences as text; and as a picture, where one is asked for."""
    from calibfast.data.preferences import read_preferences
    from calibfast.evaluation.pairs import score_pairs
    from calibfast.report.collapse import plot_collapse

    read = read_rows(read_preferences, pairs, limit, skip_bad_rows=skip_bad_rows, share_key=share_key)
    found: dict[str, dict[str, Collapse]] = {}
    for name, model, tokenizer in models:
        if tokenizer.chat_template is not None and isinstance(read[0].prompt, str):
            print(
                f"note: {pairs} holds plain texts, so the chat template of {name} is not used; lists of turns "
                "would be read through it",
                file=sys.stderr,
            )
        scores = score_pairs(model, tokenizer, read, batch_size=batch_size)
        found[name] = {normalize: scores.collapse(normalize, bins) for normalize in _NORMALIZE}
    if plot is not None:
        plot_collapse({name: each["sum"] for name, each in found.items()}, plot)
    return _render(found, format)


def _render(found: dict[str, dict[str, Collapse]], format: Format) -> str:  # noqa: A002
    from calibfast.report.rows import render_rows

    parts = [(name, normalize, each) for name, both in found.items() for normalize, each in both.items()]
    if format is Format.json:
        whole = [{"model": name, "normalize": normalize} | each.to_dict() for name, normalize, each in parts]
        return json.dumps(whole, indent=2) + "\n"
    rows = [{"model": name, "normalize": normalize, "pairs": each.n} | _row(each) for name, normalize, each in parts]
    if format is Format.csv:
        return render_rows(rows, "csv")
    text = render_rows([_said(name, normalize, each) for name, normalize, each in parts])
    first = parts[0][2]
    for reason in dict.fromkeys(first.not_measured.values()):
        names = [name for name, why in first.not_measured.items() if why == reason]
        text += f"no {', '.join(names)}: {reason}\n"
    if first.bins:
        text += "\nBy the share of people who prefer the chosen answer, from log-likelihoods as they are:\n"
        text += render_rows([row for name, both in found.items() for row in _bins(name, both["sum"])])
    return text


def _row(each: Collapse) -> dict[str, Any]:
    row: dict[str, Any] = {"share": each.share}
    for name in _SHOWN:
        row[name] = getattr(each, name)
        row[f"{name}_low"], row[f"{name}_high"] = each.ci.get(name, (None, None))
    return row | {f"ratio_q{name}": value for name, value in each.quantiles.items()}


def _said(model: str, normalize: str, each: Collapse) -> dict[str, Any]:
    row: dict[str, Any] = {"model": model, "normalize": normalize, "pairs": each.n}
    if each.share is not None:
        row["share"] = each.share
    else:
        row |= {f"q_{name}": value for name, value in each.quantiles.items()}
    measured = [name for name in _SHOWN if name not in each.not_measured]
    return row | {name: with_interval(getattr(each, name), each.ci.get(name)) for name in measured}


def with_interval(value: float, interval: tuple[float, float] | None) -> str:
    """A number for the table, with its interval where it has one."""
    return f"{value:.3f}" + ("" if interval is None else " [{:.3f}, {:.3f}]".format(*interval))


def _bins(model: str, each: Collapse) -> list[dict[str, Any]]:
    from calibfast.report.table import bin_labels

    rows = []
    for label, part in zip(bin_labels(each.bins), each.bins, strict=True):
        if part.exceeding is not None and part.excess is not None:
            row = {"model": model, "bin": label, "pairs": part.count, "share": part.share, "ratio": part.ratio}
            row["exceeding"] = with_interval(part.exceeding, part.ci.get("exceeding"))
            rows.append(row | {"excess": with_interval(part.excess, part.ci.get("excess"))})
    return rows
