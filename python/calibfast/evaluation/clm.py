"""Token-level calibration of causal language models (Zhu et al. 2023, arXiv 2311.13240, section 4.1).

Each next-token prediction of a text is one prediction: its confidence is the probability of the likeliest token, and it
is right if that token came. A few numbers a token leave the device, and what is kept of them are counts and exact sums.
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from calibfast._core import State
from calibfast.data.texts import read_texts
from calibfast.errors import InputError
from calibfast.evaluation.options import MAX_LOGITS, MAX_TOKENS
from calibfast.evaluation.surface import CLASSES, Surface
from calibfast.metrics import Evaluation
from calibfast.metrics.groups import multicalibration_gap
from calibfast.models.memory import fitting_batches
from calibfast.models.next_token import predict
from calibfast.models.vocabulary import check_known, known_tokens
from calibfast.models.windows import Window, beginning, tokenize, windows
from calibfast.whole import reading_back, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from calibfast.metrics.report import Report
    from calibfast.models.next_token import Predicted

WINDOW = 1024
"""Tokens at most that a model reads at once, where nothing else is asked for."""
_SAVED_EVERY = 20.0  # seconds
_ALL, _TOP = "", "top"
_GROUPINGS = 3


@dataclass(frozen=True)
class Reading:
    """How a text is read.

    Attributes:
        data: See `read_texts`.
        text_key: See `read_texts`.
        window: Tokens that the model reads at once; by default 1,024, or what it can read.
        stride: Tokens from one window to the next; by default half a window.
        max_tokens: Predictions at most. Default: all.
        top_k: Also measure whether the token is among the k likeliest, against the probability of these together.
        bins: Equal-width bins.
        batch_size: Windows in a forward pass at most; fewer where memory runs out.
    """

    data: Path
    text_key: str = "text"
    window: int | None = None
    stride: int | None = None
    max_tokens: int | None = None
    top_k: int | None = None
    bins: int = 10
    batch_size: int = 256


@dataclass(frozen=True)
class TextResult:
    """What reading a text gave.

    Attributes:
        report: Of all predictions. `metrics` holds `token_nll` (mean -ln p of the token that came), `perplexity` (its
            exponential), `bits_per_byte` (None where the tokenizer knows no places) and with `top_k` `topK_accuracy`,
            `topK_mean_confidence` and `topK_conf_ece`. `groups` are three divisions of the predictions: by how many
            tokens the model had read in the window ("context 2-3"), by how often the token that it predicts comes in
            the text ("frequency 10-99"), and by what that token looks like ("word start"). They go by what is predicted
            and not by what came: a calibrated model is calibrated on groups that are known before the outcome alone.
            `nll` is the report's own, of being right.
        window: Tokens that were read at once.
        stride: Tokens from one window to the next.
        windows: How many there were.
        seconds: Wall-clock time of this call.
    """

    report: Report
    window: int
    stride: int
    windows: int
    seconds: float


def measure_text(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    reading: Reading,
    *,
    name: str = "",
    unfinished: Path | None = None,
    progress: bool = True,
) -> TextResult:
    """Measure a model's next-token predictions on a text.

    The text is tokenised twice, first to count. Memory does not grow with it.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        reading: What is read, and how.
        name: What the model is called where `unfinished` says what it belongs to.
        unfinished: Where to keep what is counted while it is not all, every 20 seconds and on Ctrl-C, and from where to
            go on; removed in the end. Default: nowhere.
        progress: Whether to show a bar on stderr, if that is a terminal.

    Raises:
        InputError: The text cannot be read or has nothing to predict; the window is longer than the model reads; the
            tokenizer is another model's; or what is unfinished there is something else.
    """
    began = time.perf_counter()
    window, stride = _sizes(model, reading)
    prefix = beginning(tokenizer)

    def read() -> Iterator[Window]:
        pieces = tokenize(tokenizer, read_texts(reading.data, reading.text_key))
        return _first(windows(pieces, prefix, window, stride), reading.max_tokens)

    vocabulary = known_tokens(model)
    text = _count(read(), vocabulary, reading.data)
    if progress and text.longest < window:
        print(f"note: no text fills the window of {window:,} tokens; the longest has {text.longest:,}", file=sys.stderr)
    stat = reading.data.stat()
    identity = {
        "model": name,
        **{key: str(value) for key, value in asdict(reading).items() if key != "batch_size"},
        "data_size": stat.st_size,
        "data_changed": stat.st_mtime_ns,
    }
    counted = _Counted(reading, text.frequency, Surface(tokenizer, vocabulary))
    if unfinished is not None:
        counted.load(unfinished, identity)
    training = model.training
    model.eval()  # type: ignore[no-untyped-call]
    device = "cpu" if model.device.type == "cpu" else "other"
    size = max(1, min(reading.batch_size, MAX_TOKENS[device] // window, MAX_LOGITS[device] // (window * vocabulary)))
    rest, saved = islice(read(), counted.windows, None), time.monotonic()
    with tqdm(
        total=text.predictions, initial=counted.n, unit=" tokens", desc="read", disable=None if progress else True
    ) as bar:
        try:
            for batch, found in fitting_batches(rest, size, lambda batch: predict(model, batch, reading.top_k)):
                counted.add(found, batch)
                bar.update(len(found.token))
                if unfinished is not None and time.monotonic() - saved > _SAVED_EVERY:
                    counted.save(unfinished, identity)
                    saved = time.monotonic()
        except BaseException:
            if unfinished is not None and counted.n:
                counted.save(unfinished, identity)
            raise
    model.train(training)
    if unfinished is not None:
        unfinished.unlink(missing_ok=True)
    return TextResult(counted.report(), window, stride, counted.windows, round(time.perf_counter() - began, 3))


def _sizes(model: PreTrainedModel, reading: Reading) -> tuple[int, int]:
    """Window and stride."""
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None) or math.inf
    window = int(min(WINDOW, longest)) if reading.window is None else reading.window
    if window > longest:
        raise InputError(
            f"a window of {window:,} tokens is more than the {longest:,} that the model reads; make it smaller"
        )
    stride = max(1, window // 2) if reading.stride is None else reading.stride
    if not 1 <= stride < window:
        raise InputError(
            f"windows of {window:,} tokens every {stride:,}: the stride is at least 1 and smaller than the window, so "
            "that every token is predicted from another"
        )
    return window, stride


def _first(stream: Iterator[Window], most: int | None) -> Iterator[Window]:
    """The windows of the first predictions."""
    for window in stream:
        new = len(window.ids) - window.start
        if most is None or new < most:
            yield window
            most = None if most is None else most - new
            continue
        sizes = None if window.sizes is None else window.sizes[:most]
        yield Window(window.ids[: window.start + most], window.start, sizes)
        return


@dataclass(frozen=True)
class _Text:
    """What a text holds: how often each token comes, predictions, texts, and tokens of the longest window."""

    frequency: NDArray[np.int64]
    predictions: int
    longest: int


def _count(stream: Iterator[Window], vocabulary: int, data: Path) -> _Text:
    frequency = np.zeros(vocabulary, dtype=np.int64)
    longest = 0
    for window in stream:
        check_known(int(window.ids.max()), vocabulary, str(data))
        frequency += np.bincount(window.ids[window.start :], minlength=vocabulary)
        longest = max(longest, len(window.ids))
    if not longest:
        raise InputError(f"{data}: no text of two tokens or more, so there is nothing to predict")
    return _Text(frequency, int(frequency.sum()), longest)


class _Counted:
    """What is kept of the predictions: counts and exact sums, of all and of each group."""

    def __init__(self, reading: Reading, frequency: NDArray[np.int64], surface: Surface) -> None:
        self._bins, self._top_k = reading.bins, reading.top_k
        self._frequency, self._surface = frequency, surface
        self._parts: dict[str, Evaluation] = {}
        self._nll = 0.0
        self._bytes: int | None = 0
        self.windows = 0

    @property
    def n(self) -> int:
        """Predictions counted."""
        return self._parts[_ALL].state.rows if self._parts else 0

    def add(self, found: Predicted, read: Sequence[Window]) -> None:
        """Count a batch."""
        self._part(_ALL).update(found.confidence, found.right)
        if found.mass is not None and found.among is not None:
            self._part(_TOP).update(found.mass, found.among)
        seen = np.searchsorted(10 ** np.arange(19), self._frequency[found.token], side="right")
        groupings = (
            (np.log2(found.context).astype(np.int64), _position),
            (seen, _decade),
            (self._surface.classes(found.token, found.before), _surface),
        )
        for codes, called in groupings:
            for code in np.unique(codes).tolist():
                members = codes == code
                self._part(called(code)).update(found.confidence[members], found.right[members])
        self._nll += float(found.nll.sum(dtype=np.float64))
        for window in read:
            self._bytes = None if self._bytes is None or window.sizes is None else self._bytes + int(window.sizes.sum())
        self.windows += len(read)

    def report(self) -> Report:
        """All of it; see `TextResult`."""
        report = self._parts[_ALL].report()
        nll = self._nll / report.n
        metrics: dict[str, float | None] = {
            "token_nll": nll,
            "perplexity": float(np.exp(nll)),
            "bits_per_byte": self._nll / math.log(2) / self._bytes if self._bytes else None,
        }
        if _TOP in self._parts:
            top, name = self._parts[_TOP].report(), f"top{self._top_k}"
            metrics |= {f"{name}_{each}": getattr(top, each) for each in ("accuracy", "mean_confidence", "conf_ece")}
        groups = {name: part for name, part in self._parts.items() if name not in (_ALL, _TOP)}
        order = sorted(groups, key=_place)
        reports = {name: groups[name].report() for name in order}
        # Each grouping has every prediction once, so that all groups together have them three times.
        gap = _GROUPINGS * multicalibration_gap({name: groups[name].state for name in order}).size
        worst = max(order, key=lambda name: reports[name].conf_ece)
        return replace(report, metrics=metrics, groups=reports, worst_group=worst, multicalibration_gap=gap)

    def save(self, path: Path, identity: dict[str, Any]) -> None:
        """Write down how far it is, whole or not at all."""
        states = {name: part.state.to_json() for name, part in self._parts.items()}
        content = {"of": identity, "windows": self.windows, "nll": self._nll, "bytes": self._bytes, "states": states}
        write_whole(path, json.dumps(content))

    def load(self, path: Path, identity: dict[str, Any]) -> None:
        """Go on from what was written down, if anything was."""
        if not path.exists():
            return
        with reading_back(path):
            content = json.loads(path.read_text(encoding="utf-8"))
            for name, value in identity.items():
                if content["of"].get(name) != value:
                    raise InputError(
                        f"{path} is an unfinished reading with {name} {content['of'].get(name)!r}, and this one has "
                        f"{value!r}; use the same settings to go on, remove the file to begin anew, or name another "
                        "output"
                    )
            self.windows, self._nll, self._bytes = content["windows"], content["nll"], content["bytes"]
            states = {name: State.from_json(state) for name, state in content["states"].items()}
            self._parts = {name: Evaluation.of_state(state) for name, state in states.items()}

    def _part(self, name: str) -> Evaluation:
        if name not in self._parts:
            self._parts[name] = Evaluation(self._bins, keep_rows=False)
        return self._parts[name]


def _position(code: int) -> str:
    return f"context {_range(2**code, 2 ** (code + 1) - 1)}"


def _decade(code: int) -> str:
    return f"frequency {_range(10 ** (code - 1), 10**code - 1) if code else '0'}"


def _surface(code: int) -> str:
    return CLASSES[code]


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _place(name: str) -> tuple[int, int]:
    """Groupings one after the other, numbers by their size."""
    kind, _, numbers = name.partition(" ")
    if name in CLASSES:
        return 2, CLASSES.index(name)
    return int(kind == "frequency"), int(numbers.split("-")[0].replace(",", ""))
