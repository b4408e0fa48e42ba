"""The reliability diagram: accuracy against confidence, over a histogram of confidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calibfast.errors import InputError, MissingExtraError
from calibfast.report.table import sentence

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure

    from calibfast.metrics import Report

_RIGHT, _OVER, _UNDER, _LINE = "#3b6ea8", "#d1495b", "#2a9d8f", "#444444"


def plot(report: Report, path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw the reliability diagram (DeGroot and Fienberg 1983, Niculescu-Mizil and Caruana 2005).

    Bars reach as far as accuracy and mean confidence of a bin agree, their hatched ends are what one has beyond
    the other, the diagonal is perfect calibration. Below stands the share of the rows in each bin, with accuracy
    and mean confidence marked.

    Args:
        report: What to draw.
        path: Where to write the picture; the suffix (.png, .pdf, .svg ...) says how.

    Returns:
        The figure, which belongs to no window: `pyplot` is not touched.

    Raises:
        InputError: The suffix of `path` names no picture format.
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.colors import to_rgba
        from matplotlib.figure import Figure
        from matplotlib.ticker import PercentFormatter
    except ImportError:
        raise MissingExtraError("a reliability diagram", "plot") from None

    figure = Figure(figsize=(5.2, 6.2), layout="constrained")
    if path is not None:
        known = sorted(figure.canvas.get_supported_filetypes())
        if Path(path).suffix.lower().removeprefix(".") not in known:
            raise InputError(f"{path}: no picture format; end the name in one of .{', .'.join(known)}")
    diagram, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))

    lower = np.array([part.lower for part in report.reliability])
    width = np.array([part.upper - part.lower for part in report.reliability])
    count = np.array([part.count for part in report.reliability], dtype=float)
    accuracy = np.array([np.nan if part.accuracy is None else part.accuracy for part in report.reliability])
    confidence = np.array([np.nan if part.confidence is None else part.confidence for part in report.reliability])

    over, under = np.fmax(confidence - accuracy, 0), np.fmax(accuracy - confidence, 0)
    common = np.fmin(accuracy, confidence)
    diagram.bar(lower, common, width, align="edge", color=_RIGHT, edgecolor="white", label="right")
    for gap, color, hatch, label in (
        (over, _OVER, "///", "said but wrong: over-confident"),
        (under, _UNDER, "...", "right but unsaid: under-confident"),
    ):
        diagram.bar(
            lower,
            gap,
            width,
            bottom=common,
            align="edge",
            color=to_rgba(color, 0.3),
            edgecolor=to_rgba(color, 0.8),
            linewidth=0.6,
            hatch=hatch,
            label=label,
        )
    diagram.plot([0, 1], [0, 1], color=_LINE, linestyle="--", linewidth=1, label="perfect calibration")
    diagram.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    diagram.legend(loc="upper left", frameon=False, fontsize=8)
    title = sentence(report).replace(": ", ":\n", 1)
    scores = f"conf-ECE {report.conf_ece:.4f}   Brier {report.brier:.4f}   NLL {report.nll:.4f}"
    diagram.set_title(f"{title}\n{scores}", fontsize=10)

    histogram.bar(lower, count / count.sum(), width, align="edge", color="#9aa5b1", edgecolor="white")
    histogram.axvline(report.accuracy, color=_RIGHT, linewidth=1.5, label="accuracy")
    histogram.axvline(report.mean_confidence, color=_OVER, linewidth=1.5, linestyle=":", label="mean confidence")
    histogram.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    histogram.set(xlabel="confidence", ylabel=f"share of\n{report.n:,} rows")
    histogram.margins(y=0.45)
    histogram.legend(loc="upper left", fontsize=8, ncols=2, frameon=True, edgecolor="none", framealpha=0.9)
    for axes in (diagram, histogram):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)

    if path is not None:
        with rc_context({"pdf.fonttype": 42, "ps.fonttype": 42}):  # many venues refuse Type 3 fonts
            figure.savefig(path, dpi=160)
    return figure
