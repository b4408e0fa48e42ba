"""Ensemble temperature scaling (Zhang, Kailkhura & Han 2020, Mix-n-Match)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibfast.recalibration.base import Recalibrator
from calibfast.recalibration.options import softmax
from calibfast.recalibration.scipy_optimize import optimize
from calibfast.recalibration.temperature import TemperatureScaling, refuse_lost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibfast.recalibration.options import Floats, Options


class EnsembleTemperatureScaling(Recalibrator):
    """w_1 softmax(z / T) + w_2 softmax(z) + w_3 / K, with weights that are not negative and sum to 1.

    T is that of temperature scaling, the weights have the lowest mean -ln p(label) at this T (equation 9 of the paper
    and its code). The prediction never changes. In a row with absent options, K counts those that are present.

    Attributes:
        temperature_: T in [1e-4, 1e4].
        weights_: (3,) w.
    """

    kind = "ensemble-temperature"
    any_width = True
    _learned = ("temperature_", "weights_")

    temperature_: float
    weights_: Floats

    def _check(self, options: Options, right: NDArray[np.intp]) -> None:
        refuse_lost(options, right)

    def _fit(self, options: Options, right: NDArray[np.intp]) -> None:
        scaling = TemperatureScaling()
        scaling._fit(options, right)
        assert scaling.temperature_ is not None
        self.temperature_ = scaling.temperature_
        parts = self._parts(options)[np.arange(len(right)), right]

        def nll(weights: Floats) -> tuple[float, Floats]:
            p = np.maximum(parts @ weights, np.finfo(np.float64).tiny)
            return float(-np.log(p).mean()), -(parts / p[:, np.newaxis]).mean(axis=0)

        found = optimize("weights of temperatures").minimize(
            nll,
            np.array([1.0, 0.0, 0.0]),
            jac=True,
            method="SLSQP",
            bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            options={"ftol": 1e-14, "maxiter": 1000},
        )
        weights = np.clip(found.x, 0, 1)
        self.weights_ = weights / weights.sum()

    def _predict(self, options: Options) -> Floats:
        return self._parts(options) @ self.weights_

    def _parts(self, options: Options) -> Floats:
        """(N, K, 3) what is mixed."""
        scores = options.scores()
        scores = scores - scores.max(axis=1, keepdims=True)
        even = options.present / options.present.sum(axis=1, keepdims=True)
        return np.stack([softmax(scores / self.temperature_), softmax(scores), even], axis=2)
