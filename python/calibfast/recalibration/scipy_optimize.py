"""SciPy's minimisers, loaded when a map is fitted; applying one needs NumPy alone."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import CalibfastWarning, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from calibfast.recalibration.options import Floats


def optimize(what: str) -> ModuleType:
    """The module `scipy.optimize`.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    try:
        import scipy.optimize
    except ImportError as error:
        raise MissingExtraError(f"fitting {what}", "recalibrate") from error
    return scipy.optimize


def minimise(
    loss: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    what: str,
    bounds: list[tuple[float | None, float | None]] | None = None,
) -> Floats:
    """The parameters of the lowest value of a smooth convex loss, by L-BFGS-B.

    Args:
        loss: Gives the value and its gradient.
        start: Parameters to begin with.
        what: Name of what is fitted, for messages.
        bounds: (low, high) of each parameter.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    options: dict[str, Any] = {"maxiter": 5000, "maxfun": 10000, "ftol": 1e-14, "gtol": 1e-9}
    found = optimize(what).minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    if found.status == 1:
        warnings.warn(
            f"fitting {what} was stopped after {found.nit} steps before it had settled: there are too few rows for its "
            "parameters",
            CalibfastWarning,
            stacklevel=2,
        )
    return np.asarray(found.x)
