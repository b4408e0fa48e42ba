"""Preference collapse (Xiao et al. 2025, arXiv 2505.01997): a model that is surer of a preference than people are.

A model pi prefers the chosen answer y_w to the rejected y_l by its preference ratio

    r = pi(y_w | x) / (pi(y_w | x) + pi(y_l | x)) = sigmoid(ln pi(y_w | x) - ln pi(y_l | x)),

and collapses where r exceeds P(y_w > y_l | x), the share of people who do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast import _core
from calibfast.errors import InputError
from calibfast.metrics.accumulator import to_bins
from calibfast.metrics.arrays import to_floats, widened
from calibfast.metrics.residual_cells import cell_of
from calibfast.metrics.sample import FEWEST
from calibfast.metrics.score_intervals import skew_corrected, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_NO_SHARE = "these pairs do not have the share of people who prefer the chosen answer"


@dataclass(frozen=True)
class CollapseBin:
    """The pairs whose human share lies in one bin, which is closed on the right.

    Attributes:
        lower: Lower edge.
        upper: Upper edge.
        count: How many pairs.
        share: Mean human share; None where the bin is empty, as what follows.
        ratio: Mean preference ratio.
        exceeding: Share of pairs whose ratio exceeds the human share.
        excess: Mean of ratio - human share.
        ci: Intervals of `exceeding` and `excess`; none below 10 pairs.
    """

    lower: float
    upper: float
    count: int
    share: float | None
    ratio: float | None
    exceeding: float | None
    excess: float | None
    ci: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Collapse:
    """How much surer of its preferences a model is than people are.

    Attributes:
        n: Pairs.
        ratio: Mean preference ratio.
        preferring: Share of pairs whose ratio is above 1/2.
        quantiles: The ratio's 5, 25, 50, 75 and 95% quantiles.
        histogram: (M,) pairs with a ratio in each of the equal-width bins, or those given.
        share: Mean human share; None where it is not known, as what follows.
        exceeding: Share of pairs whose ratio exceeds the human share. Where people are unanimous (a share of 1)
            nothing can.
        excess: Mean of ratio - human share.
        bins: By the human share.
        ci: 95% intervals of `ratio`, `preferring`, `exceeding` and `excess`; none below 10 pairs (prompts).
        not_measured: What could not be measured, and why.
    """

    n: int
    ratio: float
    preferring: float
    quantiles: dict[str, float]
    histogram: tuple[int, ...]
    share: float | None
    exceeding: float | None
    excess: float | None
    bins: tuple[CollapseBin, ...]
    ci: dict[str, tuple[float, float]]
    not_measured: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain dictionaries, lists and numbers."""
        return asdict(self)


def preference_ratio(log_chosen: ArrayLike, log_rejected: ArrayLike) -> NDArray[np.float64]:
    """pi(y_w) / (pi(y_w) + pi(y_l)) of each pair, from log-likelihoods that may lie far below what exp can hold.

    Args:
        log_chosen: (N,) ln pi(y_w | x), finite: a sum over the answer's tokens, or a mean.
        log_rejected: (N,) ln pi(y_l | x).

    Returns:
        (N,) in [0, 1].

    Raises:
        InputError: Lengths differ, or a value is not finite.

    Examples:
        >>> preference_ratio([-1000.0, -2.0], [-1000.0, -2.0 - np.log(3)])
        array([0.5 , 0.75])
    """
    chosen, rejected = (_numbers(value, name) for value, name in ((log_chosen, "chosen"), (log_rejected, "rejected")))
    if chosen.shape != rejected.shape:
        raise InputError(f"there are {len(chosen)} log-likelihoods of chosen answers and {len(rejected)} of rejected")
    return np.exp(chosen - np.logaddexp(chosen, rejected))


def collapse(
    log_chosen: ArrayLike,
    log_rejected: ArrayLike,
    share: ArrayLike | None = None,
    *,
    bins: int | Sequence[float] = 10,
    prompts: ArrayLike | None = None,
) -> Collapse:
    """Compare a model's preference ratios with the human share.

    Args:
        log_chosen: As for `preference_ratio`.
        log_rejected: As for `preference_ratio`.
        share: (N,) P(y_w > y_l | x) in [0, 1]. Default: not known; what needs it is then in `not_measured`.
        bins: Number of equal-width bins, or edges from 0 to 1: of the human share, and of the histogram.
        prompts: (N,) which prompt each pair is of, where one has several: they are drawn together. Default: each has
            its own.

    Returns:
        The comparison. Intervals are Wilson's (1927) of shares, Hall's (1992) of means and of clustered shares; where
            all pairs are alike, Wilson's for as many rows as there are prompts.

    Raises:
        InputError: Lengths differ, there is no pair, a log-likelihood is not finite, or a share is outside [0, 1].

    Examples:
        >>> found = collapse([-1.0, -1.0], [-4.0, -1.5], share=[0.7, 0.9], bins=2)
        >>> found.exceeding, round(found.excess, 3)
        (0.5, -0.012)
    """
    ratio = preference_ratio(log_chosen, log_rejected)
    core_bins = to_bins(bins)
    edges = _core.State(core_bins).edges
    unit = np.arange(len(ratio)) if prompts is None else np.asarray(prompts)
    if unit.shape != ratio.shape:
        raise InputError(f"prompts have shape {unit.shape}, expected {ratio.shape}, one for each pair")
    means = {"ratio": ratio, "preferring": ratio > 0.5}
    human, parts = None, []
    if share is not None:
        human = _numbers(share, "share")
        if human.shape != ratio.shape:
            raise InputError(f"there are {len(human)} human shares and {len(ratio)} pairs")
        if wrong := np.flatnonzero((human < 0) | (human > 1)).tolist():
            raise InputError(f"share in row {wrong[0]} is {human[wrong[0]]}, outside [0, 1]", row=wrong[0])
        means |= {"exceeding": ratio > human, "excess": ratio - human}
        place, _ = cell_of(human, core_bins)
        for index, (lower, upper) in enumerate(pairwise(edges)):
            parts.append(_part(lower, upper, human, means, unit, place == index))
    return Collapse(
        n=len(ratio),
        ratio=float(ratio.mean()),
        preferring=float(means["preferring"].mean()),
        quantiles={f"{q:g}": float(value) for q, value in zip(QUANTILES, np.quantile(ratio, QUANTILES), strict=True)},
        histogram=tuple(np.bincount(cell_of(ratio, core_bins)[0], minlength=len(edges) - 1).tolist()),
        share=None if human is None else float(human.mean()),
        exceeding=float(means["exceeding"].mean()) if human is not None else None,
        excess=float(means["excess"].mean()) if human is not None else None,
        bins=tuple(parts),
        ci=_intervals(means, unit),
        not_measured={} if human is not None else dict.fromkeys(("share", "exceeding", "excess", "bins"), _NO_SHARE),
    )


def _part(
    lower: float, upper: float, human: Floats, means: dict[str, Any], unit: NDArray[Any], inside: NDArray[np.bool_]
) -> CollapseBin:
    own = {name: values[inside] for name, values in means.items()}
    count = int(inside.sum())
    found = {name: float(own[name].mean()) if count else None for name in ("ratio", "exceeding", "excess")}
    ci = _intervals({name: own[name] for name in ("exceeding", "excess")}, unit[inside])
    return CollapseBin(lower, upper, count, float(human[inside].mean()) if count else None, **found, ci=ci)


def _intervals(means: dict[str, Any], unit: NDArray[Any]) -> dict[str, tuple[float, float]]:
    units, place = np.unique(unit, return_inverse=True)
    n, found = len(unit), {}
    if len(units) < FEWEST:
        return {}
    for name, values in means.items():
        mean = float(values.mean())
        if values.dtype == np.bool_ and (len(units) == n or mean in (0, 1)):  # all alike, Hall's has no width
            found[name] = wilson(mean, len(units), 0.95)
        else:
            influence: Floats = np.asarray(np.bincount(place, weights=(values - mean) / n), np.float64)
            low, high = skew_corrected(mean, influence, 0.95)
            found[name] = (max(low, -1.0 if name == "excess" else 0.0), min(high, 1.0))
    return found


def _numbers(data: ArrayLike, name: str) -> Floats:
    values = widened(to_floats(data, name)).astype(np.float64)
    if values.ndim != 1 or not len(values):
        raise InputError(f"{name} has shape {values.shape}, expected (N,), a number for each pair")
    if wrong := np.flatnonzero(~np.isfinite(values)).tolist():
        raise InputError(f"{name} in row {wrong[0]} is {values[wrong[0]]}, expected a finite number", row=wrong[0])
    return values
