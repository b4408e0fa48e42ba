"""Accuracy against calibration over everything that an experiment tried: methods, settings and epochs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError
from calibfast.metrics import evaluate
from calibfast.report.picture import check_picture_path, picture
from calibfast.whole import reading_back

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

MEASURED = ("accuracy", "conf_ece", "nll")
ALIGNED = "aligned"
_TEMPERATURE = "temperature"


@dataclass(frozen=True)
class Point:
    """A method with its settings after an epoch, on held-out questions, in the mean over seeds.

    Attributes:
        method: The experiment's row; `aligned` is the model as it came.
        epoch: The epoch, 0 for what trains nothing.
        seeds: How many.
        accuracy: On the held-out questions.
        conf_ece: On the held-out questions.
        nll: On the held-out questions.
        last: Whether it is the row's last epoch, whose model the folder holds.
        best: Whether no other point is as good in all three and better in one (Pareto).
    """

    method: str
    epoch: int
    seeds: int
    accuracy: float
    conf_ece: float
    nll: float
    last: bool
    best: bool


@dataclass(frozen=True)
class Frontier:
    """What was tried, and what to take.

    Attributes:
        points: Row by row, epoch by epoch.
        chosen: Of the last epochs the one of the lowest held-out NLL.
        test: Its accuracy, conf-ECE and NLL on the test questions of each domain (`in`, `out`), in the mean over seeds.
        earlier: A point of an earlier epoch with a lower held-out NLL, or None: a shorter training of it may be better.
        advice: A sentence.
        evidence: Why, by the held-out questions.
    """

    points: tuple[Point, ...]
    chosen: Point
    test: dict[str, dict[str, float]]
    earlier: Point | None
    advice: str
    evidence: str

    def to_dict(self) -> dict[str, Any]:
        """The result as plain dictionaries, lists and numbers."""
        return asdict(self)


def read_frontier(folder: str | Path) -> Frontier:
    """Read what `calibfast experiment` left, and choose by held-out questions alone.

    Args:
        folder: An experiment's folder; that of `--world` holds one for each seed.

    Raises:
        InputError: It is none, nothing is finished in it, or a file is damaged.
    """
    folder = Path(folder)
    folders = [folder] if (folder / "experiment.json").is_file() else sorted(folder.glob("seed-*"))
    runs = [run for each in folders for run in sorted((each / "runs").glob("*")) if (run / "result.json").is_file()]
    if not runs:
        raise InputError(f"{folder}: no experiment with a finished run; make one by calibfast experiment")
    by_seed: dict[tuple[str, int], dict[str, Mapping[str, float]]] = {}
    files: dict[str, dict[str, dict[str, Path]]] = {}
    for run in runs:
        seed = run.name.rpartition("-")[2]
        for method, epoch, values in _measured(run):
            by_seed.setdefault((method, epoch), {})[seed] = values
            files.setdefault(method, {})[seed] = _predictions(run, method)
    last = dict(by_seed.keys())  # of a method the later epochs come later
    means = {
        place: {name: mean(each[name] for each in seeds.values()) for name in MEASURED}
        for place, seeds in by_seed.items()
    }
    points = tuple(
        Point(
            method,
            epoch,
            len(by_seed[method, epoch]),
            own["accuracy"],
            own["conf_ece"],
            own["nll"],
            last=last[method] == epoch,
            best=not any(_beats(other, own) for other in means.values()),
        )
        for (method, epoch), own in means.items()
    )
    at_hand = [point for point in points if point.last and all(files[point.method].values())]
    if not at_hand:
        raise InputError(f"{folder}: no finished run has been measured; the command that made it goes on")
    chosen = min(at_hand, key=lambda point: point.nll)
    lowest = min(points, key=lambda point: point.nll)
    earlier = lowest if lowest.nll < chosen.nll and not lowest.last else None
    test = _test(list(files[chosen.method].values()), _bins(runs[0]))
    return Frontier(points, chosen, test, earlier, *_advise(points, chosen, earlier, by_seed))


def plot_frontier(frontier: Frontier, path: str | os.PathLike[str]) -> None:
    """Draw accuracy against conf-ECE and against NLL: each method's epochs as a line, the chosen point with a ring.

    The axes reach the model as it came where nothing beats it; else the legend says where it is.

    Args:
        frontier: What to draw; points that nothing beats are filled.
        path: Where to write the picture; the suffix (.png, .pdf, .svg ...) says how.

    Raises:
        InputError: The suffix of `path` names no picture format, or its folder does not exist.
        MissingExtraError: matplotlib is not installed.
    """
    check_picture_path("a picture of a frontier", path)
    lines: dict[str, list[Point]] = {}
    for point in frontier.points:
        lines.setdefault(point.method, []).append(point)
    lines[ALIGNED] = lines.pop(ALIGNED)
    with picture(path, 9.6, 4.4) as figure:
        from matplotlib import colormaps

        colormap = colormaps["tab10" if len(lines) <= 10 else "tab20"]
        colors = cycle(map(colormap, range(colormap.N)))
        panels = figure.subplots(1, 2, sharey=True)
        for (method, own), color in zip(lines.items(), colors, strict=False):
            label = method
            if method == ALIGNED:
                label += f" (conf-ECE {own[0].conf_ece:.2f}, NLL {own[0].nll:.2f})"
            for axes, metric in zip(panels, ("conf_ece", "nll"), strict=True):
                if method == ALIGNED and not own[0].best:
                    axes.set_xlim(axes.get_xlim())  # it is so far off that all else would be one spot
                across, up = [getattr(point, metric) for point in own], [point.accuracy for point in own]
                axes.plot(across, up, linewidth=0.8, alpha=0.6, color=color)
                filled = [color if point.best else "white" for point in own]
                axes.scatter(across, up, s=22, c=filled, edgecolors=color, label=label, zorder=2)
        chosen = frontier.chosen
        for axes, metric, name in zip(panels, ("conf_ece", "nll"), ("conf-ECE", "NLL"), strict=True):
            axes.scatter([getattr(chosen, metric)], [chosen.accuracy], s=140, facecolors="none", edgecolors="#444444")
            axes.set(xlabel=f"{name} on held-out questions")
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("accuracy on held-out questions")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)


def _advise(
    points: Sequence[Point],
    chosen: Point,
    earlier: Point | None,
    by_seed: Mapping[tuple[str, int], Mapping[str, Mapping[str, float]]],
) -> tuple[str, str]:
    """What to do and why."""
    taken = earlier or chosen
    if taken.method == ALIGNED:
        advice = "keep the model as it came"
    elif taken.method == _TEMPERATURE:
        advice = "a temperature is enough: calibfast train --method temperature"
    elif earlier is not None:
        advice = f"stop {taken.method} at epoch {taken.epoch}"
    else:
        advice = f"use {taken.method} for {taken.epoch} epochs"
    evidence = f"it has a held-out NLL of {taken.nll:.3f}, conf-ECE {taken.conf_ece:.3f}, accuracy {taken.accuracy:.3f}"
    # What was trained stands against what was not, and a point whose model is gone against the one that is at hand.
    others = [chosen] if earlier else [point for point in points if (point.epoch > 0) != (chosen.epoch > 0)]
    if others:
        other = min(others, key=lambda point: point.nll)
        own, theirs = (by_seed[point.method, point.epoch] for point in (taken, other))
        both = own.keys() & theirs.keys()
        lower = sum(own[seed]["nll"] < theirs[seed]["nll"] for seed in both)
        after = f" after epoch {other.epoch}" if other.epoch else ""
        evidence += f"; {other.method}{after} has {other.nll:.3f}, {other.conf_ece:.3f} and {other.accuracy:.3f}"
        evidence += f", and a higher NLL on {lower} of {len(both)} seeds"
    return advice, evidence


def _measured(run: Path) -> list[tuple[str, int, Mapping[str, float]]]:
    """Method, epoch and values of what a run measured on its held-out questions."""
    with reading_back(run):
        result = json.loads((run / "result.json").read_text(encoding="utf-8"))
        events = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        row, _, _ = run.name.rpartition("-")
        raw = row.replace(f"+{_TEMPERATURE}", "")
        asked = [event for event in events if event["event"] == "held-out"]
        scaled, method = result["scaled"], result["config"]["method"]
        found = [(ALIGNED if event["epoch"] == 0 else raw, int(event["epoch"]), event) for event in asked]
        if scaled is not None:
            if _TEMPERATURE not in method.split("+"):  # the run's own temperature belongs to it
                found.pop()
            found.append((row, asked[-1]["epoch"], scaled))
    return found


def _predictions(run: Path, method: str) -> dict[str, Path]:
    """The test predictions of a method that a run measured, by domain."""
    seed = run.name.rpartition("-")[2]
    name = ALIGNED if method == ALIGNED else f"{method}-{seed}"
    paths = {domain: run.parents[1] / "predictions" / f"{domain}-{name}.npz" for domain in ("in", "out")}
    return {domain: path for domain, path in paths.items() if path.is_file()}


def _bins(run: Path) -> int:
    with reading_back(run):
        return int(json.loads((run / "result.json").read_text(encoding="utf-8"))["config"]["bins"])


def _test(files: Sequence[dict[str, Path]], bins: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for domain in files[0]:
        reports = []
        for each in files:
            with np.load(each[domain]) as saved:
                reports.append(evaluate(saved["logits"], saved["labels"], logits=True, bins=bins))
        found[domain] = {name: mean(getattr(report, name) for report in reports) for name in MEASURED}
    return found


def _beats(other: Mapping[str, float], own: Mapping[str, float]) -> bool:
    gains = [other["accuracy"] - own["accuracy"], own["conf_ece"] - other["conf_ece"], own["nll"] - other["nll"]]
    return min(gains) >= 0 and max(gains) > 0
