"""What a report page knows of models: their metrics, and what only the rows tell."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError
from calibfast.io.compare import compare_files
from calibfast.io.gather import gather
from calibfast.metrics import CalibrationError, evaluate, risk_coverage
from calibfast.metrics.evaluation import reliability
from calibfast.metrics.rows import read_rows
from calibfast.recalibration import TemperatureScaling, cross_fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibfast.io.predictions import Chunk, PredictionFile
    from calibfast.metrics import Bin, Comparison, Report

FOLDS = 5
_FURTHER = ("smece", "corp")
_COVERAGES = np.linspace(0.01, 1, 100)


@dataclass(frozen=True)
class OneOption:
    """One option against the rest.

    Attributes:
        option: Its index, from 0.
        rows: Rows that have it.
        probability: Its mean probability.
        share: How often it is the right one.
        ece: Calibration error of its probability, the option's part of cw-ECE.
        reliability: Bins of its probability.
    """

    option: int
    rows: int
    probability: float
    share: float
    ece: float
    reliability: tuple[Bin, ...]


@dataclass(frozen=True)
class Temperature:
    """What temperature scaling does to rows that it was not fitted to.

    Attributes:
        temperature: Fitted to all rows.
        conf_ece: Of every row at the temperature that was fitted to the other folds.
        nll: Of the same.
    """

    temperature: float
    conf_ece: float
    nll: float


@dataclass(frozen=True)
class Study:
    """One model.

    Attributes:
        name: What it is called.
        source: What was read of which file, in words.
        report: Its metrics with their intervals, smECE and the CORP decomposition among them.
        options: Each option against the rest; empty for confidences.
        pooled: Bins of the probabilities of all options together; empty for confidences.
        risk_coverage: Coverage, and the share of wrong answers among so many of the most confident.
        temperature: What a temperature does, or None ...
        no_temperature: ... and why.
    """

    name: str
    source: str
    report: Report
    options: tuple[OneOption, ...]
    pooled: tuple[Bin, ...]
    risk_coverage: tuple[tuple[float, float], ...]
    temperature: Temperature | None
    no_temperature: str | None


@dataclass(frozen=True)
class Studies:
    """Models side by side.

    Attributes:
        models: At least one.
        comparisons: Each further model against the first, by its name.
    """

    models: tuple[Study, ...]
    comparisons: dict[str, Comparison]

    def to_json(self, indent: int | None = None) -> str:
        """All of it as JSON; what is not finite is a string."""
        models: list[dict[str, Any]] = []
        for study in self.models:
            found = asdict(study)
            if study.temperature is not None and not np.isfinite(study.temperature.nll):
                found["temperature"]["nll"] = str(study.temperature.nll)
            models.append(found | {"report": json.loads(study.report.to_json())})
        comparisons = {name: json.loads(found.to_json()) for name, found in self.comparisons.items()}
        return json.dumps({"models": models, "comparisons": comparisons}, indent=indent, allow_nan=False)


def read_studies(files: Sequence[PredictionFile], *, bins: int | Sequence[float] = 10) -> Studies:
    """Study prediction files; they are held in memory.

    Args:
        files: At least one; several are of the same questions in the same order.
        bins: Number of equal-width bins, or their edges.

    Raises:
        InputError: A file breaks its contract, is named twice, or two are not of the same questions.
        MissingExtraError: SciPy is not installed.
    """
    names = _names([Path(str(file.path)) for file in files])
    comparisons = {
        name: compare_files(files[0], file, bins=bins) for name, file in zip(names[1:], files[1:], strict=True)
    }
    models = tuple(_study(name, file, bins) for name, file in zip(names, files, strict=True))
    return Studies(models, comparisons)


def _study(name: str, file: PredictionFile, bins: int | Sequence[float]) -> Study:
    report = file.evaluate(bins=bins, metrics=_FURTHER, ci=True)
    rows = gather(file)
    if file.ignore_index is not None:
        kept = rows.y != file.ignore_index
        rows = rows._replace(p=rows.p[kept], y=rows.y[kept], mask=None if rows.mask is None else rows.mask[kept])
    logits = file.kind == "logits"
    options, pooled = ((), ()) if file.kind == "confidence" else _options(rows, bins, logits=logits)
    try:
        temperature, refused = _temperature(rows, bins, logits=logits), None
    except InputError as error:
        temperature, refused = None, str(error)
    return Study(
        name=name,
        source=f"{file.path.name}: {file.used}",
        report=report,
        options=options,
        pooled=pooled,
        risk_coverage=_curve(rows, logits=logits),
        temperature=temperature,
        no_temperature=refused,
    )


def _options(
    rows: Chunk, bins: int | Sequence[float], *, logits: bool
) -> tuple[tuple[OneOption, ...], tuple[Bin, ...]]:
    read = read_rows(rows.p, rows.y, logits=logits, mask=rows.mask)
    present = read.predictions.present()
    values = read.probabilities("a class-wise diagram") if logits else rows.p  # bins are those of the file's own type
    everything, options = CalibrationError(bins), []
    for k in range(values.shape[1]):
        p, right = values[present[:, k], k], rows.y[present[:, k]] == k
        if len(p) == 0:
            continue
        error = CalibrationError(bins).update(p, right)
        everything.merge(error)
        share, mean = float(right.mean()), float(p.mean(dtype=np.float64))
        options.append(OneOption(k, len(p), mean, share, error.compute(), reliability(error._state)))
    return tuple(options), reliability(everything._state)


def _curve(rows: Chunk, *, logits: bool) -> tuple[tuple[float, float], ...]:
    curve = risk_coverage(rows.p, rows.y, logits=logits, mask=rows.mask)
    # Within a tie no order is known: its errors are spread evenly over it, as for AURC.
    errors = np.interp(_COVERAGES, [0, *curve.coverage], [0, *(curve.coverage * curve.risk)])
    return tuple(zip(_COVERAGES.tolist(), (errors / _COVERAGES).tolist(), strict=True))


def _temperature(rows: Chunk, bins: int | Sequence[float], *, logits: bool) -> Temperature:
    """Raises InputError where a temperature has no meaning for the rows."""
    fitted = TemperatureScaling().fit(rows.p, rows.y, logits=logits, mask=rows.mask)
    found = cross_fit(TemperatureScaling(), rows.p, rows.y, logits=logits, mask=rows.mask, folds=FOLDS)
    after = evaluate(found, rows.y, mask=rows.mask, bins=bins)
    assert fitted.temperature is not None
    return Temperature(fitted.temperature, after.conf_ece, after.nll)


def _names(paths: Sequence[Path]) -> list[str]:
    """Names of files without their suffixes, or the paths where these would be the same."""
    stems = [path.name.partition(".")[0] for path in paths]
    for names in (stems, [str(path) for path in paths]):
        if len(set(names)) == len(names):
            return names
    twice = next(path for place, path in enumerate(paths) if path in paths[:place])
    raise InputError(f"{twice}: named twice; a model is compared with others")
