"""Temperature scaling (Guo et al. 2017): one number that makes every prediction more or less sure."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from calibfast.errors import CalibfastWarning, InputError
from calibfast.recalibration.base import Recalibrator
from calibfast.recalibration.options import LOST, softmax
from calibfast.recalibration.scipy_optimize import optimize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibfast.recalibration.options import Floats, Options

_LOG_RANGE = (math.log(1e-4), math.log(1e4))


class TemperatureScaling(Recalibrator):
    """Divide all logits by one temperature T, fitted by the likelihood of held-out labels, in float64.

    The prediction never changes, so accuracy stays; T above 1 makes the model less sure, below 1 surer. Absent options
    stay absent. A right option of probability 0 is refused, since no temperature helps it.

    Attributes:
        temperature_: T in [1e-4, 1e4], or None before `fit`. T at an end says that the labels know no best one: all
            predictions are right (1e-4), or confidence says nothing about them (1e4, and a warning).

    Examples:
        >>> scores = [[4.0, 0.0], [4.0, 0.0], [0.0, 4.0], [0.0, 4.0]]
        >>> scaling = TemperatureScaling().fit(scores, [0, 1, 1, 1], logits=True)
        >>> scaling.predict_proba(scores, logits=True)[0].round(3)
        array([0.75, 0.25])
    """

    kind = "temperature"
    any_width = True
    _learned = ("temperature_",)

    def __init__(self, temperature: float | None = None) -> None:
        if temperature is not None and not (math.isfinite(temperature) and temperature > 0):
            raise InputError(f"temperature is {temperature}; it must be finite and above 0")
        self.temperature_ = temperature

    @property
    def temperature(self) -> float | None:
        """`temperature_`."""
        return self.temperature_

    def _check(self, options: Options, right: NDArray[np.intp]) -> None:
        refuse_lost(options, right)

    def _fit(self, options: Options, right: NDArray[np.intp]) -> None:
        scores = options.scores()
        scores = scores - scores.max(axis=1, keepdims=True)  # so that no exp overflows

        def nll(log_temperature: float) -> float:
            scaled = scores / math.exp(log_temperature)
            return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(right)), right]))

        # Convex in 1/T, so there is one valley in log T, too.
        found = optimize("a temperature").minimize_scalar(nll, bounds=_LOG_RANGE, options={"xatol": 1e-10})
        self.temperature_ = math.exp(found.x)
        if _LOG_RANGE[1] - found.x < 1e-3:
            warnings.warn(
                f"the temperature went to the end of its range, {self.temperature_:.0e}: the rows are answered no "
                "better than by chance, or they are too few",
                CalibfastWarning,
                stacklevel=4,
            )

    def _predict(self, options: Options) -> Floats:
        scores, temperature = options.scores(), self.temperature_
        assert temperature is not None
        return softmax((scores - scores.max(axis=1, keepdims=True)) / temperature)

    def _restore(self, learned: dict[str, float]) -> None:
        self.temperature_ = TemperatureScaling(float(learned["temperature"])).temperature_


def refuse_lost(options: Options, right: NDArray[np.intp]) -> None:
    """Refuse rows whose right option has probability 0, where the likelihood is 0 whatever the parameters.

    Raises:
        InputError: There is such a row.
    """
    for row in np.flatnonzero(np.isneginf(options.scores()[np.arange(len(right)), right]))[:1].tolist():
        raise InputError(f"row {row}: {LOST.format(right[row])}", row)
