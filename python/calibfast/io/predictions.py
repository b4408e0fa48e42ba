"""Prediction files: what a model said and what was right, in blocks that fit in memory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np

from calibfast.errors import InputError
from calibfast.io import columns
from calibfast.io.ahead import ahead
from calibfast.io.arrow_file import ArrowFile
from calibfast.io.columns import Place
from calibfast.io.csvfile import CsvFile
from calibfast.io.fields import EXTERNAL, Fields, Kind, choose
from calibfast.io.folder import of_run
from calibfast.io.harness import HarnessFile, Normalize
from calibfast.io.inspect_log import InspectFile
from calibfast.io.json_file import open_json
from calibfast.io.jsonl import JsonlFile
from calibfast.io.npy import UNNAMED, NpyFile
from calibfast.io.npz import NpzFile
from calibfast.io.parquet import ParquetFile
from calibfast.io.remote import RemoteFile, is_url
from calibfast.metrics.groups import Coded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

    from calibfast.io.partial import Partial
    from calibfast.io.source import Column, File, Source
    from calibfast.metrics import Report

_OPENERS: dict[str, type[NpzFile | CsvFile | ParquetFile | ArrowFile]] = {
    ".npz": NpzFile,
    ".csv": CsvFile,
    ".csv.gz": CsvFile,
    ".csv.zst": CsvFile,
    ".parquet": ParquetFile,
    ".arrow": ArrowFile,
    ".feather": ArrowFile,
}
_JSON = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".json.gz", ".json.zst")
LOGS = (*_JSON, ".eval")
"""How the names of files end that may be logs of other tools."""
FORMATS = (".npy", *_OPENERS, *LOGS)
"""How the names of prediction files end."""

_LEFT_OUT = -1


class Reading(TypedDict, total=False):
    """How files are read; see `read_predictions`."""

    labels: str | Path | None
    key: str | None
    label_key: str | None
    group_key: str | None
    logits: bool
    options: int | None
    dtype: str | None
    ignore_index: int | None
    normalize: Normalize
    tokenizer: str | Path | None


class Chunk(NamedTuple):
    """Some rows of a prediction file.

    Attributes:
        p: (N,) confidences, or (N, K) probabilities or logits; float16, float32 or float64.
        y: (N,) right or wrong beside confidences, the index of the right option beside options; empty where the
            file has no labels, and needs none.
        mask: (N, K) which options are present, or None where all are.
        lines: The line of each row in a text file, or None.
        groups: The group of each row, or None where none was asked for.
    """

    p: NDArray[Any]
    y: NDArray[Any]
    mask: NDArray[np.bool_] | None = None
    lines: Sequence[int] | None = None
    groups: Coded | None = None


class PredictionFile:
    """A prediction file; iterating over it reads it from the start, some 16 MB at a time.

    Attributes:
        path: The file.
        kind: "confidence", "probs" or "logits".
        n: Number of rows; None for text, where only reading tells.
        classes: Number of options, or None for confidences.
        ignore_index: What `Evaluation.update` is to leave out in the `y` of the chunks, or None.
        used: In words, what was read.
        others: Names of further predictions in the file, which were not read.
        labelled: Whether the file says what was right.
        is_table: Whether it is a table or arrays, and no log of another tool.
    """

    def __init__(
        self,
        source: Source,
        fields: Fields,
        labels: NpyFile | None,
        *,
        options: int | None,
        dtype: DTypeLike | None,
        ignore_index: int | None,
    ) -> None:
        self.path = source.path
        self.kind: Kind = fields.kind
        self.n = source.rows(fields.p)
        self.used = f"'{fields.p}' ({fields.kind}) {fields.outcome}"
        self.others, self.labelled = fields.others, fields.labelled
        self.is_table = isinstance(source, (NpyFile, JsonlFile, *_OPENERS.values()))
        self.ignore_index = ignore_index if ignore_index is None or fields.pred is None else _LEFT_OUT
        self._source, self._fields, self._labels = source, fields, labels
        self._options, self._ignore = options, ignore_index
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._width = None if self.kind == "confidence" else source.width(fields.p)
        if options is not None and (self._width is None or not 2 <= options <= self._width):
            held = "has confidences alone" if self._width is None else f"has {self._width} options a row"
            raise InputError(f"{self.path}: cannot keep {options} options (--options): '{fields.p}' {held}")
        self.classes = self._width if options is None else options
        if labels is not None and self.n is not None and labels.rows() != self.n:
            raise InputError(f"{labels.path}: {labels.rows()} labels for the {self.n} rows of {self.path}")

    def __iter__(self) -> Iterator[Chunk]:
        fields, row = self._fields, 0
        wanted = (fields.p, fields.label, fields.correct, fields.pred, fields.mask, fields.group)
        names = [name for name in wanted if name is not None and name != EXTERNAL]
        grouping = columns.Grouping()
        with ExitStack() as stack:
            labels = stack.enter_context(self._labels.array.open()) if self._labels else None
            for block in self._source.blocks(names):
                found: dict[str | None, Column] = {
                    name: column.texts() if isinstance(column, Coded) and name != fields.group else column
                    for name, column in zip(names, block.columns, strict=True)
                }
                if labels is not None:
                    found[EXTERNAL] = taken = labels.take(block.rows)
                    if len(taken) < block.rows:
                        held = row + len(taken)
                        raise InputError(f"{labels.where}: {held} labels, fewer than the rows of {self.path}")
                places = {name: Place(self.path, str(name), row, block.lines) for name in found}
                p, mask = self._predictions(found, places)
                group = fields.group
                groups = None if group is None else grouping(found[group], places[group])
                yield Chunk(p, self._outcomes(found, places), mask, block.lines, groups)
                row += block.rows
            if labels is not None and len(labels.take(1)):
                raise InputError(f"{labels.where}: more labels than the {row} rows of {self.path}")

    def evaluate(
        self,
        *,
        bins: int | Sequence[float] = 10,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
        metrics: str | Iterable[str] = (),
        ci: bool = False,
    ) -> Report:
        """Measure the calibration of the file, block by block.

        Args:
            bins: Number of equal-width bins, or their edges.
            threads: Number of threads; None for all. The answer does not depend on it.
            progress: Called with the number of rows of each block that is done.
            metrics: "all", or names of further metrics; see `calibfast.evaluate`.
            ci: Whether every metric that a report always has gets its interval; see `calibfast.evaluate`.

        Returns:
            Every metric.

        Raises:
            InputError: The file, its rows or the bins break their contract; the message says where.
        """
        return self.measure(bins=bins, threads=threads, progress=progress, metrics=metrics, ci=ci).report()

    def measure(
        self,
        *,
        bins: int | Sequence[float] = 10,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
        metrics: str | Iterable[str] = (),
        ci: bool = False,
        keep_rows: bool = True,
    ) -> Partial:
        """The rows of the file as a state that merges with those of other files; arguments as of `evaluate`.

        Args:
            bins: Number of equal-width bins, or their edges.
            threads: Number of threads; None for all.
            progress: Called with the number of rows of each block that is done.
            metrics: Names of further metrics.
            ci: Whether metrics get intervals.
            keep_rows: Whether rows are kept for the metrics that need them, while there are not too many.

        Raises:
            InputError: The file, its rows or the bins break their contract; the message says where.
        """
        from calibfast.io.partial import Counted, Partial
        from calibfast.metrics import Evaluation
        from calibfast.metrics.evaluation import MAX_KEPT_ROWS

        if not self.labelled:
            raise InputError(f"{self.path}: there are no labels, so there is nothing to measure")
        keep_rows &= self.n is None or self.n <= MAX_KEPT_ROWS
        evaluation, done, form = Evaluation(bins, metrics=metrics, ci=ci, keep_rows=keep_rows), 0, ""
        counted = Counted.of(self.path)
        for p, y, mask, lines, groups in self if threads == 1 else ahead(self):
            form = form or f"{p.dtype} {self.kind}" + ("" if self.classes is None else f" of {self.classes} options")
            try:
                evaluation.update(
                    p,
                    y,
                    logits=self.kind == "logits",
                    mask=mask,
                    groups=groups,
                    ignore_index=self.ignore_index,
                    threads=threads,
                )
            except InputError as error:
                line = "" if lines is None or error.row is None else f" (line {lines[error.row - done]})"
                raise InputError(f"{self.path}: {error}{line}", error.row, error.column) from None
            done += len(p)
            if progress:
                progress(len(p))
        if Counted.of(self.path) != counted:
            raise InputError(f"{self.path}: changed while it was read; measure it again once it is written")
        return Partial(evaluation, form, (counted,))

    def _predictions(
        self, found: dict[str | None, Column], places: dict[str | None, Place]
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        name = self._fields.p
        if self._width is None:
            return self._cast(columns.confidences(found[name], places[name])), None
        absent = -np.inf if self.kind == "logits" else 0.0
        p, mask = columns.scores(found[name], self._width, absent, places[name])
        p = self._cast(p)
        if self._fields.mask:
            mask = columns.presence(found[self._fields.mask], p.shape, places[self._fields.mask])
        if self._options is not None:
            kept = p[:, : self._options]
            p = kept if self.kind == "logits" else columns.renormalised(p, self._options, places[name])
            mask = None if mask is None else mask[:, : self._options]
        return p, mask

    def _outcomes(self, found: dict[str | None, Column], places: dict[str | None, Place]) -> NDArray[Any]:
        fields, ignore = self._fields, self._ignore
        if not fields.labelled:
            return np.empty(0, np.int64)
        if fields.pred is not None:
            label, place = found[fields.label], places[fields.label]
            right = columns.agree(found[fields.pred], label, places[fields.pred], place)
            if ignore is None:
                return right
            return np.where(columns.equals(label, ignore, place), _LEFT_OUT, right)
        if self.kind == "confidence":
            name = fields.correct
            return columns.correct(found[name], places[name])
        return columns.labels(found[fields.label], places[fields.label])

    def _cast(self, p: NDArray[Any]) -> NDArray[Any]:
        return p if self._dtype is None else p.astype(self._dtype, copy=False)


def read_predictions(
    path: str | File,
    *,
    labels: str | Path | None = None,
    key: str | None = None,
    label_key: str | None = None,
    group_key: str | None = None,
    logits: bool = False,
    options: int | None = None,
    dtype: DTypeLike | None = None,
    ignore_index: int | None = None,
    normalize: Normalize = "sum",
    tokenizer: str | Path | None = None,
    labels_needed: bool = True,
) -> PredictionFile:
    r"""Open a prediction file; its rows are read when one iterates over the result or calls its `evaluate`.

    Args:
        path: `.npy` ((N, 2): confidence and correct; (N, K) or (N,) with `labels`), `.npz`, `.csv`, `.jsonl`,
            `.json`, `.parquet` or `.arrow` (`.feather`); text may be compressed (`.csv.gz`,
            `.jsonl.zst`). Named columns: `probs`, `logits` or `confidence` (`conf`), the first of these that has its
            outcomes beside it; outcomes are `correct`, or `labels` (`label`, `answer`), or `pred` (`prediction`)
            with labels. In tables, `probs` is a
            column of lists or the columns `p0 .. pK-1`. Rows of lists may have different lengths.
            A sample log of lm-evaluation-harness is known by its content: its `logits` are log-likelihoods.
            So are completions with `top_logprobs` (OpenAI, vLLM) and logs of Inspect (`.eval`, `.json`): theirs are
            log-probabilities of the letters. Of a HELM run give the folder, or its `scenario_state.json`. Also a URL
            (`s3://`, `gs://`, `az://`, `https://`).
        labels: A `.npy` file of (N,) labels; beside one confidence a row, of 0 and 1.
        key: Name of the predictions, where it is no usual one; also the prefix of columns `key0 .. keyK-1`.
        label_key: Name of the labels, or of right and wrong, where it is no usual one.
        group_key: Name of a column of groups (subject, language ...): `evaluate` then has a report for each.
        logits: `key`, or the one array of a `.npy` file, holds logits. Never guessed from the values.
        options: Keep the first so many options of every row and renormalise over them; of completions, how many
            options a question has.
        dtype: The type that the numbers were computed in (float16, float32, float64), where the file does not
            tell: text is read as float64, whose rounding bounds how far the sum of a row may be from 1.
        ignore_index: Rows with this label are left out, and counted.
        normalize: The log-likelihoods of a sample log as the `sum` over an option's tokens, or divided by their number
            (`token`) or by the bytes of its text (`byte`).
        tokenizer: The model's folder or its `tokenizer.json`, for `normalize="token"`.
        labels_needed: Whether a file without labels is refused.

    Returns:
        The open file.

    Raises:
        InputError: The file is none of these, is damaged, or lacks what is needed.
        MissingExtraError: A URL without obstore; `.parquet`, `.arrow` or `.zst` without pyarrow;
            or `normalize="token"` without tokenizers.
        OSError: The file cannot be opened.

    Examples:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "preds.csv"
        >>> _ = file.write_text("conf,pred,answer\n0.9,A,A\n0.6,B,A\n")
        >>> predictions = read_predictions(file)
        >>> predictions.used
        "'conf' (confidence) right where 'pred' equals 'answer'"
        >>> [chunk.y.tolist() for chunk in predictions] == [[True, False]]
        True
    """
    if not isinstance(path, RemoteFile):
        path = RemoteFile(str(path)) if is_url(path) else of_run(Path(path))
    beside = None if labels is None else _labels(Path(labels))
    source = _open(path, pair=labels is None and not logits, options=options)
    if isinstance(source, HarnessFile):
        source.normalize(normalize, tokenizer)
    elif normalize != "sum" or tokenizer is not None:
        raise InputError(f"{path}: --normalize and --tokenizer are for sample logs of lm-evaluation-harness")
    if UNNAMED in source.dims and isinstance(source, NpyFile):
        if key is not None or label_key is not None or group_key is not None:
            raise InputError(
                f"{path}: the array of a .npy file has no name for --key, --label-key or --group-key; use .npz"
            )
        key = UNNAMED
    fields = choose(
        source,
        key=key,
        label_key=label_key,
        group_key=group_key,
        logits=logits,
        labels_beside=beside is not None,
        labels_needed=labels_needed,
    )
    return PredictionFile(source, fields, beside, options=options, dtype=dtype, ignore_index=ignore_index)


def _open(path: File, *, pair: bool, options: int | None) -> Source:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if not path.is_file():
        path.open().close()  # raises the system's own error: no such file, a folder, no permission
    if suffixes[-1:] == [".npy"]:
        return NpyFile(path, pair=pair)
    for suffix in ("".join(suffixes[-2:]), *suffixes[-1:]):
        if suffix in _OPENERS:
            return _OPENERS[suffix](path)
        if suffix in _JSON:
            return open_json(path, options)
        if suffix == ".eval":
            return InspectFile(path, options)
    raise InputError(f"{path}: cannot tell the format from the name; expected one of {', '.join(FORMATS)}")


def _labels(path: Path) -> NpyFile:
    if path.suffix.lower() != ".npy":
        raise InputError(f"{path}: --labels takes a .npy file of (N,) integers; other formats hold both in one file")
    file = NpyFile(path)
    if file.dims[UNNAMED] != 1:
        raise InputError(f"{path}: has shape {file.array.shape}, expected (N,) labels")
    return file
