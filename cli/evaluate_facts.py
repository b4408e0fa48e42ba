"""`calibfast evaluate --task facts`: facts that the model says in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibfast.cli.bad_rows import read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from calibfast.cli.evaluated import Measured
    from calibfast.evaluation.facts import Completing
    from calibfast.metrics.report import Report

_CONFIDENCE = {
    "mean": "the geometric mean of the probabilities of the answer's tokens",
    "first": "the probability of the answer's first token",
    "agreement": "the share of {samples} drawn answers that are the same",
    "stated": "what the model says when it is asked how likely its answer is right",
}
_MATCH = {
    "exact": "it is one of the answers",
    "contains": "one of the answers stands in it",
    "f1": "its words have an F1 of at least {f1_threshold:g} with those of one of the answers",
}


def evaluate_facts(measured: Measured, asking: Completing, output: Path) -> tuple[Report, dict[str, Any], list[str]]:
    """Have the facts completed and write the predictions: the report, what else is known, and notes for the table."""
    from calibfast.data.facts import read_facts
    from calibfast.evaluation.facts import answer_facts

    facts = read_rows(read_facts, asking.data, asking.limit, skip_bad_rows=asking.skip_bad_rows)
    with measured.loaded() as (model, tokenizer, parameters):
        found = answer_facts(model, tokenizer, facts, asking)
    report = found.report(asking.bins)
    found.save(output)
    unstated = [fact.id for fact, stated in zip(found.facts, found.stated, strict=True) if not stated]
    settings = {name: getattr(asking, name) for name in ("decoding", "match", "f1_threshold", "confidence", "samples")}
    told = {
        "parameters": parameters,
        **settings,
        "empty": len(found.empty),
        "unstated": len(unstated),
    }
    notes = [
        f"Confidence is {_CONFIDENCE[asking.confidence]}.".format(**settings),
        f"An answer is right where {_MATCH[asking.match]}, both without case, punctuation and articles.".format(
            **settings
        ),
    ]
    if found.empty:
        notes.append(f"{len(found.empty):,} answers are empty, and so wrong, such as that to '{found.empty[0]}'.")
    if unstated:
        notes.append(f"{len(unstated):,} facts are left out, as no probability was stated, such as '{unstated[0]}'.")
    return report, told, notes
