"""Every row recalibrated by a map that was not fitted to it, and the choice of a method by that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibfast.errors import InputError
from calibfast.metrics import evaluate
from calibfast.recalibration.base import fingerprints, measure
from calibfast.recalibration.methods import METHODS, recalibrator
from calibfast.recalibration.options import read_labelled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from calibfast.metrics import Report
    from calibfast.recalibration.base import Recalibrator
    from calibfast.recalibration.options import Floats, Options


@dataclass(frozen=True)
class Candidate:
    """A method that was tried.

    Attributes:
        method: Its name; "none" leaves the rows as they are.
        report: Every metric of the rows, each recalibrated by a map that was not fitted to it; or None.
        nll: Their mean -ln p(label), infinite where a right option got 0; or None.
        refused: Why the method has no meaning for these rows, or None.
    """

    method: str
    report: Report | None = None
    nll: float | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Selection:
    """A method chosen by cross-validation.

    Attributes:
        best: The chosen method, fitted to all rows.
        why: One sentence.
        candidates: What was tried, the best first; refused ones last.
    """

    best: Recalibrator
    why: str
    candidates: tuple[Candidate, ...]


def cross_fit(
    recalibrator: Recalibrator,
    p: ArrayLike,
    labels: ArrayLike,
    *,
    logits: bool = False,
    mask: ArrayLike | None = None,
    folds: int = 5,
) -> NDArray[np.float64]:
    """Recalibrate every row by a map that is fitted to the other folds, so that few rows serve to fit and to test.

    Folds are drawn from the rows themselves, the same ones in every order. The recalibrator is left as it is.

    Args:
        recalibrator: The method.
        p: As for `Recalibrator.fit`.
        labels: As for `Recalibrator.fit`.
        logits: Whether `p` holds logits.
        mask: As for `Recalibrator.fit`.
        folds: From 2 to N.

    Returns:
        (N, K) probabilities; (N,) for (N,) confidences.

    Raises:
        InputError: As for `Recalibrator.fit`, also where the other folds lack an option; or `folds` is out of range.

    Examples:
        >>> from calibfast.recalibration import PlattScaling
        >>> cross_fit(PlattScaling(), [0.9] * 8, [1, 1, 1, 1, 1, 1, 0, 0], folds=4).shape
        (8,)
    """
    options, right = read_labelled(p, labels, logits=logits, mask=mask)
    found = _out_of_fold(recalibrator, options, right, folds)
    return found[:, 1] if options.single else found


def select(
    p: ArrayLike,
    labels: ArrayLike,
    *,
    methods: Iterable[str] = tuple(METHODS),
    logits: bool = False,
    mask: ArrayLike | None = None,
    folds: int = 5,
) -> Selection:
    """Choose the method of the lowest cross-validated NLL.

    Args:
        p: As for `Recalibrator.fit`.
        labels: As for `Recalibrator.fit`.
        methods: Names to choose among. Default: all.
        logits: Whether `p` holds logits.
        mask: As for `Recalibrator.fit`.
        folds: From 2 to N.

    Raises:
        InputError: The rows break their contract, no method has a meaning for them, or `folds` is out of range.
    """
    options, right = read_labelled(p, labels, logits=logits, mask=mask)
    losses = {"none": _losses(options.probabilities(), right)}
    candidates = [Candidate("none", evaluate(p, labels, logits=logits, mask=mask), float(losses["none"].mean()))]
    for name in methods:
        try:
            found = _out_of_fold(recalibrator(name), options, right, folds)
        except InputError as error:
            candidates.append(Candidate(name, refused=str(error)))
            continue
        losses[name] = _losses(found, right)
        candidates.append(Candidate(name, measure(found, options, right), float(losses[name].mean())))
    candidates.sort(key=lambda each: np.inf if each.nll is None else each.nll)  # stable: refused ones stay last
    candidates.sort(key=lambda each: each.nll is None)
    tried = [each for each in candidates if each.nll is not None]
    chosen = next((each.method for each in tried if each.method != "none"), None)
    if chosen is None:
        raise InputError(f"no method fits these rows: {candidates[-1].method}: {candidates[-1].refused}")
    best = recalibrator(chosen)
    best.fit(p, labels, logits=logits, mask=mask)
    return Selection(best, _why(chosen, [each.method for each in tried], losses, folds), tuple(candidates))


def _out_of_fold(method: Recalibrator, options: Options, right: NDArray[np.intp], folds: int) -> Floats:
    n = len(right)
    if not 2 <= folds <= n:
        raise InputError(f"folds is {folds}; it must be from 2 to the number of rows, {n}")
    method = type(method)(**method.get_params())
    method._fit_rows(options, right)  # names the row of what is wrong as the caller counts
    fold = drawn_folds(options, right, folds)
    found = np.empty((n, options.width))
    for each in range(folds):
        rest, held = np.flatnonzero(fold != each), np.flatnonzero(fold == each)
        method._fit_rows(options.take(rest), right[rest])
        found[held] = method._predict_rows(options.take(held))
    return found


def drawn_folds(options: Options, right: NDArray[np.intp], folds: int) -> NDArray[np.intp]:
    """(N,) the fold of each row, which its place among the others does not decide."""
    fold = np.empty(len(right), np.intp)
    fold[np.argsort(fingerprints(options, right), kind="stable")] = np.arange(len(right)) % folds
    return fold


def _losses(p: Floats, right: NDArray[np.intp]) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(p[np.arange(len(right)), right]))


def _why(chosen: str, tried: list[str], losses: dict[str, Floats], folds: int) -> str:
    """The choice in words, with the standard errors of paired differences."""
    best, n = losses[chosen], len(losses[chosen])
    others = [name for name in tried if name not in (chosen, "none")][:1]
    parts = [f"{_difference(losses[name], best)} {name}, the next" for name in others]
    parts.append(f"{_difference(losses['none'], best)} no recalibration")
    advice = "; leave the predictions as they are" if losses["none"].mean() <= best.mean() else ""
    return f"{chosen}: cross-validated NLL {best.mean():.4f} ({n} rows, {folds} folds), {', '.join(parts)}{advice}"


def _difference(other: Floats, best: Floats) -> str:
    if not (np.isfinite(other).all() and np.isfinite(best).all()):
        return "against an infinite NLL of"
    gap = other - best
    return f"{abs(gap.mean()):.4f} ± {gap.std() / np.sqrt(len(gap)):.4f} {'below' if gap.mean() >= 0 else 'above'}"
