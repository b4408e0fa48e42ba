"""Simulated rows under any truth on the path of `hybrid_resampling`, for calibration errors that need the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibfast.metrics.hybrid_resampling import fewest, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibfast._core import State

    Floats = NDArray[np.float64]

_COPIES = 1_000_000  # of each row in the population


class RowDraws:
    """Confidences resampled, outcomes drawn from the confidences moved by the gaps of the truth.

    The path of truths is that of the l1 norm of the bins; the error of a truth is the metric's own, on each confidence
    as right and as wrong as that truth says.

    Args:
        metric: metric(confidence, correct) -> float, of a sample.
        population: The same of all the rows there could be, taking whole weights.
        confidence: (N,) of the predicted option, sorted.
        correct: (N,) 0 or 1.
        state: The bins of these rows.
        replicates: Simulated samples.
        seed: Of the simulation.
    """

    def __init__(
        self,
        metric: Callable[..., float],
        population: Callable[..., float],
        confidence: Floats,
        correct: NDArray[np.uint8],
        state: State,
        replicates: int,
        seed: int,
    ) -> None:
        self._metric, self._population = metric, population
        self._p, self._replicates, self._seed = confidence, replicates, seed
        count, accuracy, mean = state.bins()
        full = count > 0
        n, c = count[full], mean[full]
        self.gap, self._share = accuracy[full] - c, n / n.sum()
        smooth = (accuracy[full] * n + c) / (n + 1)
        self.variance = smooth * (1 - smooth) / n + 1e-300
        edges = np.asarray(state.edges)[1:]
        self._bin = (np.cumsum(full) - 1)[np.searchsorted(edges, confidence)]
        self.estimate = metric(confidence, correct)
        self.largest = float((np.maximum(c, 1 - c) * self._share).sum())

    def truth(self, theta: float) -> Floats:
        """The likeliest gaps of the bins whose weighted mean size is theta."""
        return nearest(self.gap, self.variance, self._share, theta, "l1")

    def sparse_truth(self, theta: float) -> Floats:
        """The fewest gaps of the bins whose weighted mean size is theta."""
        return fewest(self.gap, self.variance, self._share, theta, "l1")

    def norm(self, gaps: Floats) -> float:
        """The metric of the population in which confidences are off by these gaps."""
        right = np.rint(_COPIES * self._right(gaps))
        return self._population(
            np.concatenate([self._p, self._p]),
            np.repeat([1, 0], len(self._p)),
            weights=np.concatenate([right, _COPIES - right]),
        )

    def replicates(self, gaps: Floats) -> Floats:
        """The metric of simulated samples."""
        right, rng, n = self._right(gaps), np.random.default_rng(self._seed), len(self._p)
        values = []
        for _ in range(self._replicates):
            drawn = rng.integers(0, n, n)
            values.append(self._metric(self._p[drawn], rng.random(n) < right[drawn]))
        return np.asarray(values)

    def _right(self, gaps: Floats) -> Floats:
        return np.asarray(np.clip(self._p + gaps[self._bin], 0, 1))
