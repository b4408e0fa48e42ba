"""Charts as SVG text: no library, no script. A bar says what it is when it is pointed at or focused (`charts.css`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from calibfast.metrics.interval_methods import WILSON
from calibfast.metrics.score_intervals import wilson
from calibfast.report.table import bin_labels, interval_of, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibfast.metrics import Bin, Report

_LEVEL = 0.95
_LINE = 17  # from one line of text to the next
_FAINTEST = 0.22  # of a bin that holds next to nothing
_FIFTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)
_MINUS = "\u2212"


@dataclass(frozen=True)
class _Frame:
    """Where values stand in a picture: x in [0, 1], y in [low, high]."""

    low: float = 0.0
    high: float = 1.0
    width: float = 440.0
    height: float = 360.0
    left: float = 56.0
    right: float = 12.0
    top: float = 46.0
    bottom: float = 46.0

    def x(self, value: float) -> float:
        return self.left + value * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        return self.top + (self.high - value) / (self.high - self.low) * (self.height - self.top - self.bottom)

    def box(self, name: str, x: tuple[float, float], y: tuple[float, float], **more: str | float) -> str:
        """A rectangle between two values either way."""
        (left, right), (low, high) = map(self.x, x), map(self.y, y)
        return _tag("rect", class_=name, x=left, y=min(low, high), width=right - left, height=abs(low - high), **more)

    def bar(self, name: str, x: tuple[float, float], y: tuple[float, float], **more: str | float) -> str:
        """A rectangle that keeps off its neighbours."""
        apart = (x[1] - x[0]) / 50
        return self.box(name, (x[0] + apart, x[1] - apart), y, **more)

    def line(self, name: str, x: tuple[float, float], y: tuple[float, float]) -> str:
        """A line between two points."""
        return _tag("line", class_=name, x1=self.x(x[0]), y1=self.y(y[0]), x2=self.x(x[1]), y2=self.y(y[1]))

    def axes(self, x_label: str, y_label: str, ticks: Sequence[float]) -> str:
        """Grid, ticks and what they measure; for eyes alone, as every bar says its numbers."""
        parts = []
        for value in ticks:
            parts.append(self.line("grid", (0, 1), (value, value)))
            parts.append(_text(f"{value:.0%}", self.left - 8, self.y(value) + 4, anchor="end"))
        foot = self.height - self.bottom + 19
        parts += [_text(f"{value:.0%}", self.x(value), foot, anchor="middle") for value in _FIFTHS]
        parts.append(_text(x_label, self.x(0.5), self.height - 6, anchor="middle", class_="axis"))
        middle = (self.top + self.height - self.bottom) / 2
        turned = f"rotate(-90 10 {_short(middle)})"
        parts.append(_text(y_label, 10, middle, anchor="middle", class_="axis", transform=turned))
        return f'<g aria-hidden="true">{"".join(parts)}</g>'

    def spot(self, x: tuple[float, float], says: tuple[str, str], marks: str) -> str:
        """What answers to the pointer and the keyboard: marks in a column, with two lines that they say."""
        tip = "".join(_text(line, self.left, 13 + _LINE * place) for place, line in enumerate(says))
        return (
            f'<g class="spot" tabindex="0" role="img" aria-label="{escape("; ".join(filter(None, says)))}">{marks}'
            f'{self.box("hit", x, (self.low, self.high))}<g class="tip" aria-hidden="true">{tip}</g></g>'
        )

    def svg(self, label: str, rest: tuple[str, str], body: str, keys: tuple[str, str] = ("", "")) -> str:
        """The picture; `rest` stands where bars speak, as long as none does, in the colours of `keys`."""
        lines = "".join(
            _text(line, self.left, 13 + _LINE * place, class_=key)
            for place, (line, key) in enumerate(zip(rest, keys, strict=True))
        )
        return (
            f'<svg class="chart" viewBox="0 0 {_short(self.width)} {_short(self.height)}" role="group" '
            f'aria-label="{escape(label)}"><g class="rest">{lines}</g>{body}</svg>'
        )


def reliability(bins: Sequence[Bin], *, label: str, rest: tuple[str, str], intervals: bool) -> str:
    """The reliability diagram, its depth of colour the share of the rows.

    Args:
        bins: To draw.
        label: What the diagram is of.
        rest: Two lines that stand above it.
        intervals: Whether each bin's accuracy gets its 95% interval (Wilson 1927).
    """
    frame = _Frame()
    bars = [
        frame.spot((part.lower, part.upper), says, _pair(frame, part, bins) + _whisker(frame, part, intervals))
        for part, says in zip(bins, _said(bins, intervals), strict=True)
    ]
    diagonal = frame.line("diagonal", (0, 1), (0, 1))
    axes = frame.axes("confidence", "accuracy", _FIFTHS)
    return frame.svg(label, rest, axes + diagonal + "".join(bars))


def confidence_diagram(report: Report) -> str:
    """The reliability diagram of a report, with intervals where its rows are plain counts."""
    error, counts = interval_of(report, "conf_ece"), report.ci_method.get("accuracy") == WILSON
    head = f"conf-ECE {number(report.conf_ece)}" + (f" ({error})" if error else "")
    rest = (head, f"{report.n:,} rows, {report.bins} bins")
    return reliability(report.reliability, label="Reliability of confidence", rest=rest, intervals=counts)


def small_reliability(bins: Sequence[Bin], *, label: str) -> str:
    """The reliability diagram without axes, the size of a stamp."""
    frame = _Frame(width=120, height=120, left=1, right=1, top=1, bottom=1)
    body = frame.box("paper", (0, 1), (0, 1)) + frame.line("diagonal", (0, 1), (0, 1))
    body += "".join(_pair(frame, part, bins) for part in bins)
    return f'<svg class="stamp" viewBox="0 0 120 120" role="img" aria-label="{escape(label)}">{body}</svg>'


def histogram(bins: Sequence[Bin], *, accuracy: float, mean_confidence: float) -> str:
    """The share of the rows in each bin, with accuracy and mean confidence marked."""
    whole = sum(part.count for part in bins)
    top = max(part.count for part in bins) / whole
    ticks = _ticks(top)
    frame = _Frame(high=ticks[-1])
    bars = [
        frame.spot((part.lower, part.upper), says, frame.bar("rows", (part.lower, part.upper), (0, part.count / whole)))
        for part, says in zip(bins, _said(bins, intervals=False), strict=True)
    ]
    marks = frame.line("mark-right", (accuracy, accuracy), (0, ticks[-1]))
    marks += frame.line("mark-said", (mean_confidence, mean_confidence), (0, ticks[-1]))
    rest = (f"— accuracy {accuracy:.1%}", f"┄ mean confidence {mean_confidence:.1%}")
    keys = ("key-right", "key-said")
    axes = frame.axes("confidence", "share of rows", ticks)
    return frame.svg("Histogram of confidence", rest, axes + "".join(bars) + marks, keys)


def signed_gap(bins: Sequence[Bin], *, rest: tuple[str, str], intervals: bool) -> str:
    """Mean confidence - accuracy of each bin: above 0 over-confident, below under-confident."""
    whole = sum(part.count for part in bins)
    gaps = [0.0 if part.count == 0 else _known(part.confidence) - _known(part.accuracy) for part in bins]
    ends = [_gap_interval(part) if part.count and intervals else (0.0, 0.0) for part in bins]
    # A bin of a few rows has an interval that would leave the others no room: its bracket is cut.
    shown = [*gaps, *(end for part, pair in zip(bins, ends, strict=True) for end in pair if part.count > whole / 100)]
    ticks = _ticks(max(shown), min(shown))
    frame = _Frame(low=ticks[0], high=ticks[-1])
    bars = []
    for part, gap, pair, says in zip(bins, gaps, ends, _said(bins, intervals), strict=True):
        name, edges, marks = "over" if gap > 0 else "under", (part.lower, part.upper), ""
        if part.count:
            marks = frame.bar(f"gap {name}", edges, (0, gap), fill_opacity=_depth(part, bins))
            marks += _bracket(frame, part, *pair) if intervals else ""
        bars.append(frame.spot(edges, says, marks))
    axes = frame.axes("confidence", f"confidence {_MINUS} accuracy", ticks)
    zero = frame.line("zero", (0, 1), (0, 0))
    return frame.svg("Signed gap of each bin", rest, axes + "".join(bars) + zero)


def risk_coverage(curve: Sequence[tuple[float, float]], *, error: float, rest: tuple[str, str]) -> str:
    """The share of wrong answers among the most confident, over all coverages."""
    ticks = _ticks(max([error, *(risk for _, risk in curve)]))
    frame = _Frame(high=ticks[-1])
    points = " ".join(f"{_short(frame.x(x))},{_short(frame.y(y))}" for x, y in curve)
    area = f"{_short(frame.x(curve[0][0]))},{_short(frame.y(0))} {points} {_short(frame.x(1))},{_short(frame.y(0))}"
    body = _tag("polygon", class_="area", points=area) + _tag("polyline", class_="curve", points=points)
    body += frame.line("diagonal", (0, 1), (error, error))
    step = len(curve) // 10
    for coverage, risk in curve[step - 1 :: step]:
        says = (f"Surest {coverage:.0%} of the rows", f"{risk:.1%} of them wrong")
        dot = _tag("circle", class_="dot", cx=frame.x(coverage), cy=frame.y(risk), r=4)
        body += frame.spot((coverage - 0.05, min(1, coverage + 0.05)), says, dot)
    return frame.svg("Risk-coverage curve", rest, frame.axes("coverage", "wrong", ticks) + body)


def decomposition(*, mcb: float, dsc: float, unc: float) -> str:
    """Uncertainty less discrimination plus miscalibration is the score."""
    score = unc - dsc + mcb
    frame = _Frame(left=4, right=4, height=316)
    scale = max(unc, score)
    steps = (
        ("mean", "Uncertainty: always saying the base rate", (0.0, unc), unc, ""),
        ("under", "Discrimination: knowing right from wrong saves", (unc - dsc, unc), dsc, _MINUS),
        ("over", "Miscalibration: saying it wrongly costs", (unc - dsc, score), mcb, "+"),
        ("rows", "Brier score of the top option", (0.0, score), score, "="),
    )
    body = ""
    for place, (name, words, (start, end), value, sign) in enumerate(steps):
        y = 24 + 84 * place
        x = frame.x(start / scale)
        wide = max(1.0, frame.x(end / scale) - x)
        body += _text(words, frame.left, y) + _text(f"{sign} {value:.4f}", 436, y, anchor="end", class_="strong")
        body += _tag("rect", class_=f"part {name}", x=x, y=y + 12, width=wide, height=26)
    said = "; ".join(f"{words} {value:.4f}" for _, words, _, value, _ in steps)
    size = f"{_short(frame.width)} {_short(frame.height)}"
    return f'<svg class="chart" viewBox="0 0 {size}" role="img" aria-label="{escape(said)}">{body}</svg>'


def dumbbell(accuracy: float, confidence: float) -> str:
    """Accuracy and mean confidence on a line from 0 to 100%; for eyes alone, beside the numbers."""
    frame = _Frame(width=160, height=16, left=5, right=5, top=0, bottom=0)
    name = "over" if confidence > accuracy else "under"
    body = frame.line("grid", (0, 1), (0.5, 0.5)) + frame.line(f"bar {name}", (accuracy, confidence), (0.5, 0.5))
    body += _tag("circle", class_="right", cx=frame.x(accuracy), cy=8, r=4)
    body += _tag("circle", class_=f"said {name}", cx=frame.x(confidence), cy=8, r=4)
    return f'<svg class="dumbbell" viewBox="0 0 160 16" aria-hidden="true">{body}</svg>'


def _pair(frame: _Frame, part: Bin, bins: Sequence[Bin]) -> str:
    """Said and right as far as they agree; what follows is what one has beyond the other."""
    if part.count == 0:
        return ""
    accuracy, confidence, edges = _known(part.accuracy), _known(part.confidence), (part.lower, part.upper)
    common, name = min(accuracy, confidence), "over" if confidence > accuracy else "under"
    marks = frame.bar("right", edges, (0, common), fill_opacity=_depth(part, bins))
    return marks + frame.bar(f"beyond {name}", edges, (common, max(accuracy, confidence)))


def _whisker(frame: _Frame, part: Bin, intervals: bool) -> str:
    if part.count == 0 or not intervals:
        return ""
    return _bracket(frame, part, *wilson(_known(part.accuracy), part.count, _LEVEL))


def _bracket(frame: _Frame, part: Bin, low: float, high: float) -> str:
    middle, half = (part.lower + part.upper) / 2, (part.upper - part.lower) / 10
    inside = [end for end in (low, high) if frame.low <= end <= frame.high]
    caps = "".join(frame.line("whisker", (middle - half, middle + half), (end, end)) for end in inside)
    return frame.line("whisker", (middle, middle), (max(low, frame.low), min(high, frame.high))) + caps


def _gap_interval(part: Bin) -> tuple[float, float]:
    low, high = wilson(_known(part.accuracy), part.count, _LEVEL)
    return _known(part.confidence) - high, _known(part.confidence) - low


def _said(bins: Sequence[Bin], intervals: bool) -> list[tuple[str, str]]:
    """What each bin says of itself."""
    whole = sum(part.count for part in bins)
    return [_says(part, label, whole, intervals) for part, label in zip(bins, bin_labels(bins), strict=True)]


def _says(part: Bin, label: str, whole: int, intervals: bool) -> tuple[str, str]:
    head = f"{label}  {part.count:,} rows, {part.count / whole:.1%} of all"
    if part.count == 0:
        return head, ""
    accuracy, gap = _known(part.accuracy), _known(part.confidence) - _known(part.accuracy)
    low, high = wilson(accuracy, part.count, _LEVEL)
    sure = f" ({100 * low:.0f} to {100 * high:.0f})" if intervals else ""
    return head, f"says {part.confidence:.1%}, right {accuracy:.1%}{sure}: {100 * gap:+.1f} points"


def _depth(part: Bin, bins: Sequence[Bin]) -> float:
    return _FAINTEST + (1 - _FAINTEST) * part.count / max(each.count for each in bins)


def _ticks(top: float, low: float = 0.0) -> list[float]:
    """Round values from `low` or just below, and 0, to `top` or just above."""
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if step * 5 >= top - low)
    first, last = (math.floor(round(low / step, 6)), max(1, math.ceil(round(top / step, 6))))
    return [step * place for place in range(min(0, first), last + 1)]


def _known(value: float | None) -> float:
    assert value is not None  # of a bin with rows
    return value


def _text(words: str, x: float, y: float, *, anchor: str = "start", **more: str | float) -> str:
    return _tag("text", escape(words), x=x, y=y, text_anchor=anchor, **more)


def _tag(name: str, inner: str = "", /, **attributes: str | float) -> str:
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{value if isinstance(value, str) else _short(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{inner}</{name}>"


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
