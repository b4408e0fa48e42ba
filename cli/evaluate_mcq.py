"""`calibfast evaluate --task mcq`: multiple-choice questions."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from calibfast.cli.bad_rows import read_rows

if TYPE_CHECKING:
    from calibfast.cli.evaluated import Measured
    from calibfast.metrics.report import Report
    from calibfast.models.forward import Normalize
    from calibfast.models.prompt import Scoring
    from calibfast.training.finished import FinishedRun


@dataclass(frozen=True)
class Asking:
    """The flags of this task; see `calibfast evaluate --help`."""

    data: Path
    limit: int | None
    skip_bad_rows: bool
    scoring: Scoring | None
    normalize: Normalize | None
    few_shot: int | None
    few_shot_data: Path | None
    option_order: Literal["given", "permute"]
    bins: int
    batch_size: int


def evaluate_mcq(measured: Measured, asking: Asking, output: Path) -> tuple[Report, dict[str, Any], list[str]]:
    """Ask the questions and write the predictions: the report, what else is known, and notes for the table."""
    from calibfast.data.few_shot import few_shot_examples
    from calibfast.data.overlap import overlap
    from calibfast.data.questions import read_questions
    from calibfast.evaluation.options import score_options
    from calibfast.evaluation.permute import ask_in_orders, average_orders
    from calibfast.evaluation.subjects import MEANS, report_subjects
    from calibfast.report.rows import render_rows
    from calibfast.training.finished import read_run

    run = read_run(measured.adapter or measured.model)
    scoring, normalize = _asked_as(run, asking)
    permuted = asking.option_order == "permute"
    if permuted and scoring != "letter":
        raise typer.BadParameter("permute: a cloze does not show the options", param_hint="'--option-order'")
    questions = read_rows(read_questions, asking.data, asking.limit, skip_bad_rows=asking.skip_bad_rows)
    if run is not None:
        run.check_unseen(questions)
        if seen := overlap(questions, run.trained):
            print(
                f"warning: {len(seen)} of the {len(questions)} questions were trained on; on them the numbers tell "
                "what is memorised",
                file=sys.stderr,
            )
    asked = ask_in_orders(questions) if permuted else questions
    examples = None
    if asking.few_shot is not None and asking.few_shot_data is not None:
        solved = read_rows(read_questions, asking.few_shot_data, skip_bad_rows=asking.skip_bad_rows)
        examples = few_shot_examples(asked, solved, asking.few_shot)
    with measured.loaded(adapted=run is None or run.trains) as (model, tokenizer, parameters):
        scores = score_options(
            model,
            tokenizer,
            asked,
            scoring=scoring,
            normalize=normalize,
            examples=examples,
            batch_size=asking.batch_size,
        )
    temperature = None if run is None else run.temperature
    if temperature is not None:
        scores = scores.at_temperature(temperature)
    biases = None
    if permuted:
        scores, biases = average_orders(questions, scores)
    scores.save(output)
    found = report_subjects(scores, asking.bins)
    categories = [
        {"category": name, "n": part.n, **{mean: getattr(part, mean) for mean in MEANS}}
        for name, part in found.categories.items()
    ]
    mass = None if scores.letter_mass is None else float(scores.letter_mass.mean())
    facts = {
        "parameters": parameters,
        "scoring": scoring,
        "normalize": normalize,
        "letter_mass": mass,
        "temperature": temperature,
        "position_bias": None if biases is None else [asdict(bias) for bias in biases],
        "categories": categories or None,
    }
    asked_how = f"Asked as a cloze; normalize: {normalize}."
    notes = [asked_how if mass is None else f"The letters hold {mass:.1%} of the probability."]
    if temperature is not None:
        notes.append(f"All scores are divided by the run's temperature, {temperature:.4g}.")
    if biases is not None:
        shares = ", ".join(f"{bias.letter} {bias.probability:.1%} ({bias.uniform:.1%})" for bias in biases)
        notes.append(f"What the letters draw, whatever they name (and their fair share): {shares}.")
    if categories:
        notes = [render_rows(categories), *notes]
    return found.report, facts, notes


def _asked_as(run: FinishedRun | None, asking: Asking) -> tuple[Scoring, Normalize]:
    """How the questions are asked: as the flags say, else as the run was trained."""
    trained: tuple[Scoring, Normalize] = ("letter", "sum") if run is None else (run.scoring, run.normalize)
    asked = (asking.scoring or trained[0], asking.normalize or trained[1])
    if run is not None and asked != trained:
        print(
            f"warning: {run.folder} was trained with --scoring {trained[0]} --normalize {trained[1]}", file=sys.stderr
        )
    return asked
