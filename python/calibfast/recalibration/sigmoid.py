"""Maps with few parameters: Platt scaling (1999) and beta calibration (Kull, Silva Filho & Flach 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibfast.recalibration.one_vs_rest import OneVsRest
from calibfast.recalibration.scipy_optimize import minimise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibfast.recalibration.one_vs_rest import Column, Map
    from calibfast.recalibration.options import Floats


class PlattScaling(OneVsRest):
    """1 / (1 + exp(-(a l + b))) of the log-odds l = ln(p / (1 - p)), one-vs-rest.

    By the likelihood of Platt's targets, (n_right + 1) / (n_right + 2) for a right option and 1 / (n_wrong + 2) for a
    wrong one (Platt 1999, section 2.2), which keep it finite. The score is the log-odds as in Kumar, Liang & Ma (2019).

    Attributes:
        maps_: `coefficients` a, b of each option.
    """

    kind = "platt"

    def _fit_map(self, column: Column, hits: NDArray[np.bool_]) -> Map:
        return {"coefficients": fit_platt(column, hits)}

    def _apply_map(self, found: Map, column: Column) -> Floats:
        return platt(found["coefficients"], column)


class BetaCalibration(OneVsRest):
    """1 / (1 + exp(-(a ln p - b ln(1 - p) + c))) with a, b not negative, one-vs-rest, by maximum likelihood.

    Attributes:
        maps_: `coefficients` a, b, c of each option. a = b = 1, c = 0 changes nothing.
    """

    kind = "beta"

    def _fit_map(self, column: Column, hits: NDArray[np.bool_]) -> Map:
        features = _beta_features(column)
        bounds: list[tuple[float | None, float | None]] = [(0, None), (0, None), (None, None)]
        return {"coefficients": _logistic(features, hits.astype(np.float64), np.array([1.0, 1, 0]), "beta", bounds)}

    def _apply_map(self, found: Map, column: Column) -> Floats:
        return _sigmoid(_beta_features(column) @ found["coefficients"])


def fit_platt(column: Column, hits: NDArray[np.bool_]) -> Floats:
    """The coefficients a and b."""
    right = int(hits.sum())
    targets = np.where(hits, (right + 1) / (right + 2), 1 / (len(hits) - right + 2))
    return _logistic(_platt_features(column), targets, np.array([1.0, 0]), "Platt")


def platt(coefficients: Floats, column: Column) -> Floats:
    """(N,) mapped probabilities."""
    return _sigmoid(_platt_features(column) @ coefficients)


def _platt_features(column: Column) -> Floats:
    return np.stack([column.log_odds, np.ones_like(column.log_odds)], axis=1)


def _beta_features(column: Column) -> Floats:
    odds = column.log_odds
    return np.stack([-np.logaddexp(0, -odds), np.logaddexp(0, odds), np.ones_like(odds)], axis=1)


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0, -z)))


def _logistic(
    features: Floats,
    targets: Floats,
    start: Floats,
    name: str,
    bounds: list[tuple[float | None, float | None]] | None = None,
) -> Floats:
    """Coefficients of the lowest mean cross-entropy of sigmoid(features @ coefficients) with the targets."""

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        z = features @ coefficients
        return float((np.logaddexp(0, z) - targets * z).mean()), (_sigmoid(z) - targets) @ features / len(z)

    return minimise(loss, start, f"{name} scaling", bounds)
