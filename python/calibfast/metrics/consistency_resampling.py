"""P-values under the law of outcomes that calibrated confidences have, which is known in full.

Under calibration outcomes are independent Bernoulli(confidence). So p-values are made by drawing outcomes from it
(consistency resampling, Brocker & Smith 2007), exact for every number of rows; where there are so many distinct
confidences that a draw is slow, by the limit law, which is then close. A test has no weights: it asks about rows that
are drawn independently, and two copies of a row are not that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from calibfast.errors import InputError
from calibfast.metrics.rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Method = Literal["auto", "resampling", "asymptotic"]

_MAX_DISTINCT = 20_000  # beyond it "auto" takes the limit law, whose size is then within .3 points
_BLOCK = 2_000_000  # numbers in memory at once while outcomes are drawn


@dataclass(frozen=True)
class CalibrationTest:
    """What a test of calibration says.

    Attributes:
        statistic: The test statistic; its scale is the test's own.
        p_value: How often calibrated predictions look as bad; uniform on [0, 1] if the model is calibrated.
        method: Where the p-value comes from.
    """

    statistic: float
    p_value: float
    method: str


class RowsToTest(TypedDict, total=False):
    """What every test takes by keyword.

    Attributes:
        method: "resampling" draws outcomes from the confidences, "asymptotic" takes the limit law, "auto" (the default)
            draws up to 20,000 distinct confidences.
        replicates: Draws. Default 999.
        seed: Of the draws. The order of the rows does not matter.
        logits: Whether `p` holds logits. Never guessed.
        mask: (N, K) bool, True where an option is present.
        ignore_index: Rows with this `y` are left out.
    """

    method: Method
    replicates: int
    seed: int
    logits: bool
    mask: ArrayLike | None
    ignore_index: int | None


@dataclass(frozen=True)
class Draws:
    """How p-values are made; see `RowsToTest`.

    Raises:
        InputError: There is no such method, or there are too few replicates.
    """

    method: Method
    replicates: int
    seed: int

    def __post_init__(self) -> None:
        if self.method not in ("auto", "resampling", "asymptotic"):
            raise InputError(f"method is 'auto', 'resampling' or 'asymptotic', got {self.method!r}")
        if self.replicates < 19:
            raise InputError(f"replicates is at least 19, for a p-value of .05, got {self.replicates}")

    def normal(self, deviation: Floats) -> Floats:
        """(replicates, J) independent normal draws."""
        return np.random.default_rng(self.seed).standard_normal((self.replicates, len(deviation))) * deviation


@dataclass(frozen=True)
class TiedRows:
    """Rows with equal confidence together: all that the tests look at, in an order that the rows' own cannot change."""

    u: Floats  # distinct confidences, ascending
    n: NDArray[np.int64]  # rows of each
    hits: Floats

    @property
    def variance(self) -> Floats:
        """Of the hits of each under calibration."""
        return self.n * self.u * (1 - self.u)


def read(
    p: ArrayLike,
    y: ArrayLike,
    *,
    logits: bool = False,
    mask: ArrayLike | None = None,
    ignore_index: int | None = None,
    method: Method = "auto",
    replicates: int = 999,
    seed: int = 0,
) -> tuple[TiedRows, Draws]:
    """What `RowsToTest` describes.

    Raises:
        InputError: Something breaks its contract, there are no rows, or every confidence is 0 or 1.
    """
    given = read_rows(p, y, logits=logits, mask=mask, ignore_index=ignore_index)
    if not len(given.predictions.labels):
        raise InputError("no rows to test")
    given.sorted()  # checks every value
    confidence, correct = given.top()
    u, place, n = np.unique(confidence, return_inverse=True, return_counts=True)
    hits = np.bincount(place, weights=correct).astype(np.float64)
    if not ((u > 0) & (u < 1)).any():
        raise InputError("every confidence is 0 or 1: a test of calibration needs some that leave room for chance")
    return TiedRows(u, n, hits), Draws(method, replicates, seed)


def judged(
    rows: TiedRows,
    statistic: Callable[[Floats], Floats],
    tail: Callable[[float], float],
    law: str,
    draws: Draws,
) -> CalibrationTest:
    """The test that rejects where a statistic is large.

    Args:
        rows: The rows.
        statistic: (..., J) hits of the distinct confidences to (...) values.
        tail: The limit law of the statistic: a value to the probability of more.
        law: Its name.
        draws: How the p-value is made.
    """
    observed = float(statistic(rows.hits))
    if (rows.hits[rows.u == 0] > 0).any() or (rows.hits < rows.n)[rows.u == 1].any():
        return CalibrationTest(observed, 0.0, "an outcome that was given probability 0")
    if draws.method == "asymptotic" or (draws.method == "auto" and len(rows.u) > _MAX_DISTINCT):
        return CalibrationTest(observed, tail(observed), f"asymptotic ({law})")
    rng, simulated, at_once = np.random.default_rng(draws.seed), [], max(1, _BLOCK // len(rows.u))
    single = bool((rows.n == 1).all())  # a comparison is several times faster than a binomial
    for start in range(0, draws.replicates, at_once):
        shape = (min(at_once, draws.replicates - start), len(rows.u))
        hits = rng.random(shape) < rows.u if single else rng.binomial(rows.n, rows.u, shape)
        simulated.append(statistic(hits.astype(np.float64)))
    return CalibrationTest(observed, share_above(np.concatenate(simulated), observed), f"{draws.replicates} resamples")


def share_above(simulated: Floats, observed: float) -> float:
    """The rank of what was observed among what was simulated: never 0, and uniform under the null."""
    # The same outcome summed in another order is a tie.
    return float((1 + np.count_nonzero(simulated >= observed - 1e-9 * abs(observed))) / (1 + len(simulated)))
