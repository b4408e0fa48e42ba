"""calibfast: measure, explain and restore the calibration of language models.

It needs NumPy alone, which the first function that is asked for loads; torch, transformers, polars and matplotlib are
loaded by the parts that use them.

Examples:
    >>> import calibfast
    >>> round(calibfast.ece([0.95, 0.95, 0.6, 0.6], [True, False, True, False]), 3)
    0.275
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from calibfast import _core
from calibfast._core import __version__
from calibfast.errors import CalibfastError, CalibfastWarning, InputError, MissingExtraError, StateError

if TYPE_CHECKING:
    from calibfast import recalibration
    from calibfast.e_step import EStep, estep
    from calibfast.io.stream import stream
    from calibfast.metrics import (
        Bin,
        CalibrationError,
        CalibrationTest,
        Cox,
        Decomposition,
        Evaluation,
        GroupErrors,
        Interval,
        Report,
        RiskCoverage,
        adaptive_ece,
        aurc,
        auroc,
        classwise_ece,
        corp,
        cox,
        critical_accuracy,
        critical_accuracy_of_answers,
        debiased_rmsce,
        ecce,
        ecce_test,
        ece,
        equal_mass_ece,
        evaluate,
        group_errors,
        hosmer_lemeshow,
        interval,
        kde_ece,
        ks_error,
        mce,
        mmce,
        murphy,
        overconfidence_error,
        risk_coverage,
        rmsce,
        signed_gap,
        skce,
        skce_test,
        smece,
        spiegelhalter,
        sweep_ece,
        t_cal,
        target_ece,
        tce,
        top_k_ece,
        underconfidence_error,
    )
    from calibfast.metrics.compare import Comparison, Difference, compare

__all__ = [
    "Bin",
    "CalibfastError",
    "CalibfastWarning",
    "CalibrationError",
    "CalibrationTest",
    "Comparison",
    "Cox",
    "Decomposition",
    "Difference",
    "EStep",
    "Evaluation",
    "GroupErrors",
    "InputError",
    "Interval",
    "MissingExtraError",
    "Report",
    "RiskCoverage",
    "StateError",
    "__version__",
    "adaptive_ece",
    "aurc",
    "auroc",
    "classwise_ece",
    "compare",
    "corp",
    "cox",
    "critical_accuracy",
    "critical_accuracy_of_answers",
    "debiased_rmsce",
    "ecce",
    "ecce_test",
    "ece",
    "equal_mass_ece",
    "estep",
    "evaluate",
    "group_errors",
    "hosmer_lemeshow",
    "interval",
    "kde_ece",
    "ks_error",
    "mce",
    "mmce",
    "murphy",
    "overconfidence_error",
    "recalibration",
    "risk_coverage",
    "rmsce",
    "signed_gap",
    "skce",
    "skce_test",
    "smece",
    "spiegelhalter",
    "stream",
    "sweep_ece",
    "t_cal",
    "target_ece",
    "tce",
    "top_k_ece",
    "underconfidence_error",
]


_ROOMS = ("metrics", "recalibration")
_HOMES = {"EStep": "e_step", "estep": "e_step", "stream": "io.stream"}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"calibfast.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"calibfast.{_HOMES.get(name, 'metrics')}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if _core.DEBUG_BUILD:
    warnings.warn(
        "calibfast's core is a debug build, many times slower than a release: run `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )
