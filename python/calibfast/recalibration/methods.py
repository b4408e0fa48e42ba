"""The recalibration methods by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from calibfast.errors import STUMBLES, InputError, StateError
from calibfast.recalibration.binning import BBQ, HistogramBinning, ScalingBinning
from calibfast.recalibration.ensemble_temperature import EnsembleTemperatureScaling
from calibfast.recalibration.isotonic import IsotonicCalibration, VennAbers
from calibfast.recalibration.linear import DirichletCalibration, MatrixScaling, VectorScaling
from calibfast.recalibration.sigmoid import BetaCalibration, PlattScaling
from calibfast.recalibration.spline import SplineCalibration
from calibfast.recalibration.temperature import TemperatureScaling

if TYPE_CHECKING:
    from calibfast.recalibration.base import Recalibrator

METHODS: dict[str, type[Recalibrator]] = {
    method.kind: method
    for method in (
        TemperatureScaling,
        EnsembleTemperatureScaling,
        VectorScaling,
        MatrixScaling,
        DirichletCalibration,
        PlattScaling,
        BetaCalibration,
        IsotonicCalibration,
        VennAbers,
        HistogramBinning,
        BBQ,
        ScalingBinning,
        SplineCalibration,
    )
}


def recalibrator(name: str) -> Recalibrator:
    """The method of a name, with its default settings, to be fitted.

    Raises:
        InputError: There is no such method.

    Examples:
        >>> recalibrator("histogram")
        HistogramBinning(bins=10)
    """
    if name not in METHODS:
        raise InputError(f"there is no recalibration method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]()


def from_json(text: str) -> Recalibrator:
    """The fitted map that some method's `to_json` wrote.

    Raises:
        StateError: The text is damaged, or newer than this version.
    """
    try:
        kind = json.loads(text)["kind"]
        method = METHODS[kind]
    except STUMBLES as error:
        raise StateError("this is no saved recalibration map") from error
    return method.from_json(text)
