"""The table of the paper on the embedded world: what each method makes of its collapsed model.

A seed decides world, models and questions. Unlike the demo's, the test questions are none that the models were restored
with or that a temperature was fitted to.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibfast.data.overlap import fingerprint
from calibfast.errors import InputError
from calibfast.training.cells import plan_cells
from calibfast.training.experiment import Sources, run_experiment
from calibfast.training.folder import MARK, whole_folder
from calibfast.world.designer import DesignedQuestions
from calibfast.world.making import FULL, few_threads, make_world, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibfast.report.methods import Domain
    from calibfast.training.experiment import Measurement

RECIPE = replace(FULL, test=10_000)
"""Two in five test questions in domain were not asked in training."""
LIMIT_TEST = 4000

COMMON = {
    "batch_size": 64,
    "lora_r": 16,
    "lora_alpha": 32,
    "held_out": RECIPE.held_out / (RECIPE.train + RECIPE.held_out),
}
_LONG = {"epochs": 12, "learning_rate": 8e-3}
METHODS: dict[str, dict[str, Any]] = {
    "label-smoothing": {"epochs": 5, "learning_rate": 2e-3},
    "cft": {"epochs": 5, "learning_rate": 2e-3},
    "sft2": _LONG,
    "rcft": _LONG | {"lambda": 0.3, "estep_data": ["held-out", "training"]},
}
"""Chosen on seed 100."""


def run_world_experiment(output: str | Path, seeds: Sequence[int], *, progress: bool = True) -> list[Measurement]:
    """Make a world for each seed, restore its model by every method, and measure.

    What is done is not done again; see `run_experiment`.

    Args:
        output: The folder: `world-SEED` (as `make_world` fills it) and `seed-SEED` (as `run_experiment` does).
        seeds: At least one.
        progress: Whether to show progress on stderr.

    Raises:
        InputError: The folder holds something else.
        KeyboardInterrupt: Ctrl-C was pressed. The folder holds what was done.
    """
    output = Path(output)
    if output.exists() and not (output / MARK).is_file() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output}: holds something that is no experiment; name another folder")
    output.mkdir(parents=True, exist_ok=True)
    (output / MARK).touch()
    measured: list[Measurement] = []
    with few_threads():
        for seed in seeds:
            say(f"seed {seed}", progress=progress)
            sources = _sources(output / f"world-{seed}", seed, progress=progress)
            cells = plan_cells(METHODS, [seed], COMMON, METHODS)
            folder = output / f"seed-{seed}"
            measured += run_experiment(cells, sources, folder, limit_test=LIMIT_TEST, device="cpu", progress=progress)
    return measured


def _sources(folder: Path, seed: int, *, progress: bool) -> Sources:
    if not folder.exists():
        with whole_folder(folder, overwrite=False) as made:
            world = make_world(made, seed, RECIPE, progress=progress)
            asked = [*world.sets["train"].questions, *world.sets["held-out"].questions]
            seen = {fingerprint(question) for question in asked}
            test = world.sets["test-in"]
            fresh = [row for row, question in enumerate(test.questions) if fingerprint(question) not in seen]
            DesignedQuestions([test.questions[row] for row in fresh], test.truth[fresh]).write(made / "test-in.jsonl")
            texts = [(made / name).read_text(encoding="utf-8") for name in ("train.jsonl", "held-out.jsonl")]
            (made / "questions.jsonl").write_text("".join(texts), encoding="utf-8")
    tests: dict[Domain, Path] = {"in": folder / "test-in.jsonl", "out": folder / "test-out.jsonl"}
    return Sources(str(folder / "aligned"), folder / "questions.jsonl", tests, base=str(folder / "base"))
