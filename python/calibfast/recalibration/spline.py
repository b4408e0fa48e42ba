"""Spline calibration (Gupta et al. 2021): the derivative of a smooth cumulative curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibfast import _core
from calibfast.errors import InputError, MissingExtraError
from calibfast.recalibration.one_vs_rest import OneVsRest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibfast.recalibration.one_vs_rest import Column, Map
    from calibfast.recalibration.options import Floats


class SplineCalibration(OneVsRest):
    """A natural cubic spline through cumulative right ones less cumulative scores, one-vs-rest (Gupta et al. 2021).

    Over the share t of rows with a score up to s, the curve's slope is how much accuracy at s is above s; the map is s
    plus the slope of the spline of least squares, with knots that are evenly spaced in t as in the authors' code.
    Where rows share a score it is the mean slope over them; between scores it is linear. Cut to [0, 1], so a right
    option may get 0, which makes the NLL infinite.

    Args:
        knots: From 2; 6 in the paper.

    Attributes:
        maps_: `scores` of each option, rising, and the `values` that they get.
    """

    kind = "spline"

    def __init__(self, knots: int = 6) -> None:
        self.knots = knots

    def _fit_map(self, column: Column, hits: NDArray[np.bool_]) -> Map:
        try:
            from scipy.interpolate import CubicSpline
        except ImportError as error:
            raise MissingExtraError("fitting splines", "recalibrate") from error
        if isinstance(self.knots, bool) or not isinstance(self.knots, int) or self.knots < 2:
            raise InputError(f"knots is a whole number from 2, got {self.knots!r}")
        scores, weights, right = _core.SortedRows(column.p, hits.view(np.uint8)).ties()
        reached = np.concatenate([[0.0], np.cumsum(weights)]) / weights.sum()
        above = np.concatenate([[0.0], np.cumsum(right - weights * scores)]) / weights.sum()
        # The spline is linear in its values at the knots, and these are found by least squares.
        places = np.linspace(0, 1, self.knots)
        basis = CubicSpline(places, np.eye(self.knots), bc_type="natural")(reached)
        root = np.sqrt(np.concatenate([[0.0], weights]))
        heights = np.linalg.lstsq(basis * root[:, np.newaxis], above * root, rcond=None)[0]
        slope = np.diff(basis @ heights) / np.diff(reached)
        return {"scores": scores, "values": np.clip(scores + slope, 0, 1)}

    def _apply_map(self, found: Map, column: Column) -> Floats:
        return np.interp(column.p, found["scores"], found["values"])
