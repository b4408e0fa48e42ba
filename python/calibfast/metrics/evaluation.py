"""Every metric at once: of two arrays, or of a stream of chunks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from calibfast import _core
from calibfast.errors import InputError
from calibfast.metrics import catalogue
from calibfast.metrics.accumulator import to_bins
from calibfast.metrics.arrays import Predictions, joined, renumbered, to_predictions
from calibfast.metrics.groups import Coded, GroupTable, coded, multicalibration_gap, name_order
from calibfast.metrics.report import Bin, Report
from calibfast.metrics.report_intervals import state_intervals, with_intervals
from calibfast.metrics.rows import Rows
from calibfast.metrics.sample import FEWEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike

MAX_KEPT_ROWS = 4_000_000
"""Rows up to which a report has the metrics that need the rows; ranking alone takes 17 bytes for each."""
MAX_GROUP_REPORTS = 1000
"""Groups up to which each has a report of its own; of more there is a line of a table for each."""


class Evaluation:
    """The streaming form of `evaluate`: chunks in, one report out, and for every way to chunk the same.

    Memory does not grow with the rows, but for the metrics that need them: confidences are kept for up to
    `MAX_KEPT_ROWS` rows (with `metrics` or `ci` whole rows), beyond which they are let go and these metrics are None.

    Args:
        bins: Number of equal-width bins from 1, or edges that rise from 0 to 1. Default 10.
        metrics: "all", or names of further metrics; see `calibfast.metrics.catalogue`.
        ci: Whether every metric that a report always has gets its 95% interval; see `evaluate`.
        keep_rows: Whether rows are kept at all; without them, the metrics that need them are None from the start.

    Examples:
        >>> evaluation = Evaluation(bins=10)
        >>> evaluation.update([0.95, 0.95], [True, False])
        >>> evaluation.update([0.6, 0.6], [True, False])
        >>> report = evaluation.report()
        >>> report.n, report.accuracy, round(report.conf_ece, 3)
        (4, 0.5, 0.275)
    """

    def __init__(
        self,
        bins: int | Sequence[float] = 10,
        *,
        metrics: str | Iterable[str] = (),
        ci: bool = False,
        keep_rows: bool = True,
    ) -> None:
        self._bins = to_bins(bins)
        self._metrics = catalogue.chosen(metrics)
        self._ci = ci
        self._state: _core.State | None = None
        self._kept: list[Predictions] | None = [] if keep_rows else None
        self._groups: dict[str, Evaluation] = {}
        self._table: _core.Groups | None = None
        self._seen = 0
        self._weighted = False

    def update(
        self,
        p: ArrayLike,
        y: ArrayLike,
        *,
        logits: bool = False,
        mask: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        groups: ArrayLike | Coded | None = None,
        ignore_index: int | None = None,
        threads: int | None = None,
    ) -> None:
        """Add a chunk; arguments as in `evaluate`. Rows in errors count from the first chunk's first row.

        Raises:
            InputError: Something breaks its contract; the chunk is then not counted.
        """
        rows = to_predictions(p, y, logits=logits, mask=mask, weights=weights)
        if groups is not None:
            groups = coded(groups)
            if groups.codes.shape != rows.labels.shape:
                raise InputError(
                    f"groups have shape {groups.codes.shape}, expected {rows.labels.shape}, one for each row"
                )
            self._check_weights(rows.weights is not None)
        self._add(rows, ignore_index, threads)
        if groups is None:
            return
        if ignore_index is not None:  # a group of ignored rows alone has no report
            counted = rows.labels != ignore_index
            rows, groups = rows.take(counted), groups.take(counted)
        if not self._weighted:
            self._count_groups(rows, groups)
        if not self._has_many_groups:
            for name, members in groups.members().items():
                self._group(name)._add(rows.take(members), None, threads)

    @property
    def _has_many_groups(self) -> bool:
        return self._table is not None and self._table.has_more_than(MAX_GROUP_REPORTS)

    def _check_weights(self, weighted: bool) -> None:
        """The table of groups has no weights: it is let go, unless it is all that there is."""
        if weighted and self._has_many_groups:
            raise InputError(f"weights go with up to {MAX_GROUP_REPORTS:,} groups")
        if weighted or self._weighted:
            self._table = None

    def _count_groups(self, rows: Predictions, groups: Coded) -> None:
        """Into the table, which is all there is of very many groups."""
        confidence, correct = _core.top(rows.values, rows.labels, form=rows.form, mask=rows.mask)
        dtype = {"uint16": "bfloat16"}.get(rows.values.dtype.name, rows.values.dtype.name)
        self._table = self._table or _core.Groups(self._bins)
        if rows.form == "logits":  # probabilities that a softmax computes are doubles
            dtype = "float64"
        if groups.names is None:
            self._table.update_integers(groups.codes, confidence, correct, dtype)
        else:
            self._table.update(groups.names, groups.codes, confidence, correct, dtype)
        self._let_go()

    def merge(self, other: Evaluation) -> Evaluation:
        """Add all that `other` has seen, as if its chunks came after these, and return self.

        Raises:
            InputError: One has confidences and the other options, or they differ in the number of options.
            StateError: The two differ in bins.
        """
        if other._state is not None:
            state = self._state or _core.State(self._bins, classwise=other._state.classwise, scores=True)
            state.merge(other._state)
            self._state = state
        self._seen += other._seen
        self._weighted |= other._weighted
        self._kept = None if self._kept is None or other._kept is None else self._kept + other._kept
        self._check_weights(other._weighted)
        if other._table is not None and not self._weighted:
            self._table = self._table or _core.Groups(self._bins)
            self._table.merge(other._table)
        for name, group in other._groups.items():
            self._group(name).merge(group)
        self._let_go()
        return self

    @property
    def state(self) -> _core.State:
        """The exact state of all rows seen, without the rows kept.

        Raises:
            InputError: No row has been seen.
        """
        if self._state is None:
            raise InputError("no rows to measure: update the evaluation before its report")
        return self._state

    @property
    def group_states(self) -> dict[str, _core.State]:
        """The exact state of each group, in order; none where there are more than `MAX_GROUP_REPORTS`."""
        return {name: self._groups[name].state for name in sorted(self._groups, key=name_order)}

    @property
    def group_table(self) -> _core.Groups | None:
        """The bins of every group, however many; None where there are no groups, or rows have weights."""
        return self._table

    @classmethod
    def of_state(
        cls,
        state: _core.State,
        group_states: Mapping[str, _core.State] | None = None,
        group_table: _core.Groups | None = None,
    ) -> Evaluation:
        """The evaluation whose states these are; it has no rows, so the metrics that need them are None."""
        evaluation = cls(state.edges, keep_rows=False)
        evaluation._state, evaluation._seen = state, state.rows + state.ignored
        evaluation._weighted = not np.array_equal(state.bins()[0], state.totals()[0])
        evaluation._groups = {name: cls.of_state(group) for name, group in (group_states or {}).items()}
        evaluation._table = group_table
        return evaluation

    def _group(self, name: str) -> Evaluation:
        if name not in self._groups:
            self._groups[name] = Evaluation(
                self._bins, metrics=self._metrics, ci=self._ci, keep_rows=self._kept is not None
            )
        return self._groups[name]

    def _let_go(self) -> None:
        if self._state is not None and self._state.rows > MAX_KEPT_ROWS:
            self._kept = None
        if self._has_many_groups:
            self._groups = {}

    def _add(self, rows: Predictions, ignore_index: int | None, threads: int | None) -> None:
        options = rows.form != "confidence"
        state = self._state or _core.State(self._bins, classwise=options, scores=True)
        try:
            state.update(
                rows.values,
                rows.labels,
                form=rows.form,
                mask=rows.mask,
                weights=rows.weights,
                ignore_index=ignore_index,
                threads=threads,
            )
        except InputError as error:
            if error.row is None:
                raise
            raise renumbered(error, self._seen + error.row) from None
        self._state = state
        self._seen += len(rows.labels)
        self._weighted |= rows.weights is not None and len(rows.labels) > 0
        self._let_go()
        if self._kept is not None:
            self._kept.append(_copied(rows, ignore_index, whole=bool(self._metrics) or self._ci))

    def report(self) -> Report:
        """All metrics of the rows seen.

        Raises:
            InputError: No row has been seen.
        """
        state = self.state
        summary = state.summary()
        n, accuracy = summary["n"], summary["accuracy"]
        signed_gap = summary["mean_confidence"] - accuracy
        brier, nll, spread = summary["brier"], summary["nll"], summary["confidence_brier"]
        assert brier is not None and nll is not None and spread is not None  # noqa: PT018  # scores=True
        rows = None if self._kept is None else Rows(joined(self._kept), None, None)
        ranked = None if rows is None else rows.sorted()
        metrics, not_measured = self._further(rows)
        ci, ci_method = ({}, {}) if self._weighted else state_intervals(n, accuracy, signed_gap, spread)
        report = Report(
            n=n,
            classes=state.classes,
            bins=len(state.edges) - 1,
            accuracy=accuracy,
            mean_confidence=summary["mean_confidence"],
            signed_gap=signed_gap,
            conf_ece=summary["conf_ece"],
            cw_ece=summary["cw_ece"],
            mce=summary["mce"],
            rmsce=summary["rmsce"],
            brier=brier,
            nll=nll,
            auroc=None if ranked is None else ranked.auroc(),
            aurc=None if ranked is None else ranked.aurc(),
            ci=ci,
            ci_method=ci_method,
            base_rate={
                "accuracy": accuracy,
                "mean_confidence": accuracy,
                "signed_gap": 0.0,
                "conf_ece": 0.0,
                "cw_ece": None,
                "mce": 0.0,
                "rmsce": 0.0,
                "brier": summary["base_rate_brier"],
                "nll": summary["base_rate_nll"],
                "auroc": None if accuracy in (0.0, 1.0) else 0.5,
                "aurc": 1 - accuracy,
            },
            reliability=reliability(state),
            ignored=state.ignored,
            version=_core.__version__,
            metrics=metrics,
            not_measured=not_measured,
        )
        if self._ci and rows is not None:
            report = with_intervals(report, rows, self._bins)
        if self._table is not None and self._has_many_groups:
            table = GroupTable(self._table)
            worst = table.names[int(np.argmax(table.conf_ece))]
            return replace(report, group_table=table, worst_group=worst, multicalibration_gap=self._table.gap())
        if not self._groups:
            return report
        # As one of ignored rows alone, a group without weight has no report.
        states = {name: state for name, state in self.group_states.items() if state.totals()[0].any()}
        parts = {name: self._groups[name].report() for name in states}
        gap = multicalibration_gap(states)
        return replace(
            report,
            groups=parts,
            worst_group=max(parts, key=lambda name: parts[name].conf_ece),
            multicalibration_gap=gap.size,
        )

    def _further(self, rows: Rows | None) -> tuple[dict[str, float | None], dict[str, str]]:
        metrics: dict[str, float | None] = {}
        why = f"it needs the rows, which are kept for up to {MAX_KEPT_ROWS:,} of them, and never in a state"
        not_measured = {} if rows is not None else {"auroc": why, "aurc": why}
        for metric in self._metrics:
            try:
                if rows is None:
                    raise InputError(why)
                metrics |= catalogue.measure(metric, rows, bins=self._bins)
            except InputError as error:  # noqa: PERF203  # each for itself
                metrics |= dict.fromkeys(catalogue.names(metric))
                not_measured[metric] = str(error)
        return metrics, not_measured


def evaluate(
    p: ArrayLike,
    y: ArrayLike,
    *,
    bins: int | Sequence[float] = 10,
    logits: bool = False,
    mask: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    ignore_index: int | None = None,
    threads: int | None = None,
    metrics: str | Iterable[str] = (),
    ci: bool = False,
) -> Report:
    """Every metric of a set of predictions; ECE never stands alone.

    Args:
        p: (N,) confidences in [0, 1], or (N, K) probabilities whose rows sum to 1, or (N, K) logits.
        y: (N,) correctness (bool, 0 or 1) for confidences; (N,) integer labels in [0, K) for options.
        bins: Number of equal-width bins ((m-1)/M, m/M], or edges that rise from 0 to 1. Default 10.
        logits: Whether `p` holds logits (-inf = option absent). Never guessed.
        mask: (N, K) bool, True where an option is present. Default: all are.
        weights: (N,) finite, not negative. Default: every row counts once.
        groups: (N,) group of each row (subject, language, ...): a report for each beside the one of all rows.
        ignore_index: Rows with this `y` are left out and counted in `ignored`.
        threads: Default: CALIBFAST_NUM_THREADS, else all processors. Changes no bit of the result.
        metrics: "all", or names of further metrics (smece, corp ...; see `calibfast.metrics.catalogue`), which stand in
            the report's `metrics`. What cannot be had of these rows is None, and `not_measured` says why.
        ci: Whether every metric that a report always has gets its 95% interval, as `calibfast.interval` makes it
            (weights weigh, they do not repeat); else accuracy and signed gap alone have one, and only where there are
            no weights. Metrics that are undefined or infinite have none, nor have groups of fewer than 10 rows.

    Raises:
        InputError: Something breaks its contract; the message names the first row and column. With `ci`, also fewer
            than 10 rows.

    Examples:
        >>> report = evaluate([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1])
        >>> report.accuracy, report.mean_confidence
        (0.6666666666666666, 0.7999999999999999)
    """
    evaluation = Evaluation(bins, metrics=metrics, ci=ci)
    evaluation.update(
        p, y, logits=logits, mask=mask, weights=weights, groups=groups, ignore_index=ignore_index, threads=threads
    )
    report = evaluation.report()
    if ci and report.n < FEWEST:
        raise InputError(f"intervals need at least {FEWEST} rows, got {report.n}")
    return report


def _copied(rows: Predictions, ignore_index: int | None, *, whole: bool) -> Predictions:
    """What is kept of checked rows: a caller may fill its buffers with the next chunk."""
    if whole or ignore_index is not None:
        rows = rows.take(np.arange(len(rows.labels)) if ignore_index is None else rows.labels != ignore_index)
    if whole:
        return rows
    confidence, correct = _core.top(rows.values, rows.labels, form=rows.form, mask=rows.mask)
    return replace(rows, values=confidence[:, np.newaxis], labels=correct, form="confidence", mask=None)


def reliability(state: _core.State) -> tuple[Bin, ...]:
    """The bins of a state, in order."""
    edges = state.edges
    return tuple(
        Bin(lower, upper, int(count), float(accuracy) if count else None, float(confidence) if count else None)
        for lower, upper, count, accuracy, confidence in zip(edges, edges[1:], *state.bins(), strict=False)
    )
