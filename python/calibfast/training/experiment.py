"""`calibfast experiment` as a function: the cells of a plan, trained and measured where that is still to be done.

The folder holds `runs/CELL` (see `calibfast.training.run`), `predictions/DOMAIN-CELL.npz` (see `OptionScores.save`),
and `experiment.json`, which says what all of that was made from.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import calibfast
from calibfast.data.overlap import fingerprint, overlap
from calibfast.data.questions import read_questions
from calibfast.data.split import draw_questions
from calibfast.errors import InputError
from calibfast.evaluation.options import score_options
from calibfast.models.adapter import load_adapter
from calibfast.models.load import load_model
from calibfast.report.methods import MEASURED, Domain, MethodRow
from calibfast.training.cells import trained_with
from calibfast.training.finished import read_run
from calibfast.training.run import train
from calibfast.whole import reading_back, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from calibfast.data.questions import Question
    from calibfast.evaluation.options import OptionScores
    from calibfast.models.load import Dtype
    from calibfast.training.cells import Cell

BASE, ALIGNED = "base", "aligned"
EXPERIMENT_FILE = "experiment.json"
SHOWN_IDS = 5
"""Of test questions that are refused."""


@dataclass(frozen=True)
class Sources:
    """What an experiment is made from.

    Attributes:
        model: The aligned model: a folder, a `.gguf` file or a hub id; see `load_model`.
        train: A question file, a share of which is held out.
        tests: For each domain a question file, none of whose questions stands in the training file.
        base: The model before its alignment, measured for comparison, or None.
    """

    model: str
    train: Path
    tests: Mapping[Domain, Path]
    base: str | None = None


@dataclass(frozen=True)
class Measurement:
    """What one cell gave in one domain.

    Attributes:
        row: The table's row.
        domain: The domain.
        questions: How many it was asked.
        values: By the names of `MEASURED`.
        scaled: See `MethodRow`.
        reference: See `MethodRow`.
    """

    row: str
    domain: Domain
    questions: int
    values: dict[str, float]
    scaled: bool = False
    reference: bool = False


def run_experiment(
    cells: Sequence[Cell],
    sources: Sources,
    output: str | Path,
    *,
    limit_test: int | None = None,
    dtype: Dtype = "auto",
    device: str = "auto",
    progress: bool = True,
) -> list[Measurement]:
    """Train and measure every cell, the model as it is, and the base model if there is one.

    What is done is not done again, also in a later call, and a training run that was stopped goes on from its last
    checkpoint. More cells may be added to a folder; cells whose settings differ from those of the same name there are
    refused.

    Args:
        cells: See `plan_cells`.
        sources: Models and question files.
        output: The experiment's folder: a new one, or one of the same sources.
        limit_test: Draw this many questions of each test file, the same for all cells. Default: all.
        dtype: The models' type; see `load_model`.
        device: The models' device; see `load_model`.
        progress: Whether to show progress on stderr.

    Returns:
        Row by row (base, aligned, cells), domain by domain.

    Raises:
        InputError: A file or model is not as it must be; test questions stand in the training file; the folder holds
            something else; or several processes were launched.
        KeyboardInterrupt: Ctrl-C was pressed. The folder holds what was done.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "an experiment runs in one process; give several machines their own seeds and folders, or launch "
            "calibfast train for one run on many"
        )
    return _Experiment(cells, sources, Path(output), limit_test, dtype, device, progress).run()


def method_rows(measurements: Sequence[Measurement]) -> list[MethodRow]:
    """The table's rows: measurements of one row and domain are those of its seeds."""
    rows = []
    for domain in dict.fromkeys(each.domain for each in measurements):
        for row in dict.fromkeys(each.row for each in measurements):
            found = [each for each in measurements if (each.row, each.domain) == (row, domain)]
            values = {metric: tuple(each.values[metric] for each in found) for metric in MEASURED}
            questions = tuple(each.questions for each in found)
            rows.append(MethodRow(row, domain, questions, values, found[0].scaled, found[0].reference))
    return rows


class _Experiment:
    def __init__(
        self,
        cells: Sequence[Cell],
        sources: Sources,
        output: Path,
        limit_test: int | None,
        dtype: Dtype,
        device: str,
        progress: bool,
    ) -> None:
        self._cells, self._sources, self._output = cells, sources, output
        self._dtype, self._device, self._progress = dtype, device, progress
        config = cells[0].config
        self._scoring, self._normalize, self._bins = config.scoring, config.normalize, config.bins
        self._scored: dict[str, dict[Domain, OptionScores]] = {}
        self._tests = {domain: _draw(path, limit_test) for domain, path in sources.tests.items()}
        _refuse_overlap(sources, self._tests)
        self._record = _Record(
            output,
            {
                "model": _identity(sources.model, output),
                **({} if sources.base is None else {"base": _identity(sources.base, output)}),
                "train_sha256": _sha256(sources.train),
                **{f"{domain}_sha256": _sha256(path) for domain, path in sources.tests.items()},
                "limit_test": limit_test,
                "dtype": dtype,
                "scoring": self._scoring,
                "normalize": self._normalize,
            },
        )

    def run(self) -> list[Measurement]:
        for cell in self._cells:
            self._record.check(cell)
        measured = []
        if self._sources.base is not None:
            self._predict(BASE, lambda: self._score(str(self._sources.base)))
            measured += self._measure(BASE, BASE, reference=True)
        self._predict(ALIGNED, lambda: self._aligned)
        measured += self._measure(ALIGNED, ALIGNED)
        for number, cell in enumerate(self._cells, start=1):
            if self._missing(cell.name):
                self._say(f"cell {number}/{len(self._cells)}: {cell.row}, seed {cell.config.seed}")
                self._record.add(cell)
                self._predict(cell.name, partial(self._answers, cell))
            measured += self._measure(cell.row, cell.name, scaled=cell.config.ends_in_temperature)
        return measured

    def _answers(self, cell: Cell) -> dict[Domain, OptionScores]:
        """What a cell's model says to the test questions, trained first where it is not yet."""
        source = trained_with(cell, self._cells)
        run = self._output / "runs" / source.name
        if not run.exists():
            self._record.add(source)
            train(
                source.config,
                model=self._sources.model,
                data=self._sources.train,
                output=run,
                dtype=self._dtype,
                device=self._device,
                progress=self._progress,
            )
        if cell.config.training_method is None:
            scores = self._aligned
        else:
            if source.name not in self._scored:  # a method's answers are also those of its temperature
                whole = cell.config.weights == "full"
                self._scored[source.name] = (
                    self._score(str(run)) if whole else self._score(self._sources.model, adapter=run)
                )
            scores = self._scored[source.name]
        finished = read_run(run)
        assert finished is not None  # it was just made, or in an earlier call
        if source is not cell or finished.temperature is None:
            return scores
        return {domain: each.at_temperature(finished.temperature) for domain, each in scores.items()}

    @cached_property
    def _aligned(self) -> dict[Domain, OptionScores]:
        return self._score(self._sources.model)

    def _score(self, source: str, adapter: Path | None = None) -> dict[Domain, OptionScores]:
        model, tokenizer = load_model(source, dtype=self._dtype, device=self._device)
        scorer = model if adapter is None else load_adapter(model, adapter)
        return {
            domain: score_options(
                scorer,
                tokenizer,
                questions,
                scoring=self._scoring,
                normalize=self._normalize,
                progress=self._progress,
            )
            for domain, questions in self._tests.items()
        }

    def _path(self, domain: Domain, name: str) -> Path:
        return self._output / "predictions" / f"{domain}-{name}.npz"

    def _missing(self, name: str) -> bool:
        return not all(self._path(domain, name).exists() for domain in self._tests)

    def _predict(self, name: str, answers: Callable[[], dict[Domain, OptionScores]]) -> None:
        if self._missing(name):
            for domain, scores in answers().items():
                path = self._path(domain, name)
                path.parent.mkdir(exist_ok=True)
                scores.save(path)

    def _measure(self, row: str, name: str, *, scaled: bool = False, reference: bool = False) -> list[Measurement]:
        measured = []
        for domain in self._tests:
            with np.load(self._path(domain, name)) as saved:
                report = calibfast.evaluate(saved["logits"], saved["labels"], logits=True, bins=self._bins)
            values = {metric: getattr(report, metric) for metric in MEASURED}
            measured.append(Measurement(row, domain, report.n, values, scaled, reference))
        return measured

    def _say(self, text: str) -> None:
        if self._progress:
            print(text, file=sys.stderr, flush=True)


class _Record:
    """What the folder's contents were made from: facts that all cells share, and each cell's settings."""

    def __init__(self, output: Path, facts: dict[str, Any]) -> None:
        self._path = output / EXPERIMENT_FILE
        self._cells: dict[str, dict[str, Any]] = {}
        before: dict[str, Any] = {}
        if self._path.is_file():
            with reading_back(self._path):
                saved = json.loads(self._path.read_text(encoding="utf-8"))
                before, self._cells = saved["shared"], saved["cells"]
                self._compare("", before, facts)
        elif output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise InputError(f"{output}: holds something that is no experiment; name another folder")
        self._facts = before | facts
        output.mkdir(parents=True, exist_ok=True)
        self._write()

    def check(self, cell: Cell) -> None:
        """Refuse a cell that was begun with other settings."""
        self._compare(f"{cell.name} ", self._cells.get(cell.name, {}), asdict(cell.config))

    def add(self, cell: Cell) -> None:
        """Write down that a cell is begun."""
        self.check(cell)
        self._cells[cell.name] = asdict(cell.config)
        self._write()

    def _compare(self, what: str, before: dict[str, Any], now: dict[str, Any]) -> None:
        for name, value in now.items():
            if name in before and before[name] != value:
                raise InputError(
                    f"{self._path.parent} holds {what}with {name.rstrip('_')} {before[name]!r}, and this experiment "
                    f"has {value!r}; name another folder, or give the values as a list where both are wanted"
                )

    def _write(self) -> None:
        write_whole(self._path, json.dumps({"shared": self._facts, "cells": self._cells}, indent=2) + "\n")


def _draw(path: Path, limit: int | None) -> list[Question]:
    questions = read_questions(path)
    return questions if limit is None else draw_questions(questions, limit, seed=0)


def _refuse_overlap(sources: Sources, tests: Mapping[Domain, Sequence[Question]]) -> None:
    """Held-out questions, to which temperatures are fitted, come from the training file."""
    trained = {fingerprint(question) for question in read_questions(sources.train)}
    for domain, questions in tests.items():
        if shared := overlap(questions, trained):
            ids = ", ".join(question.id for question in shared[:SHOWN_IDS])
            more = f" and {len(shared) - SHOWN_IDS} more" if len(shared) > SHOWN_IDS else ""
            raise InputError(
                f"{sources.tests[domain]}: {len(shared)} of its questions also stand in {sources.train} ({ids}{more}); "
                "remove them from one of the files"
            )


def _identity(model: str, output: Path) -> str:
    """A model's name; a folder's is relative, so that it holds wherever the command is called from."""
    return Path(os.path.relpath(model, output)).as_posix() if Path(model).exists() else model


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
