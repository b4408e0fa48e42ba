"""Training that restores calibration. Needs the extra `train`, but for its settings."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from calibfast.models.extra import require_train_extra
from calibfast.training.config import TrainingConfig

if TYPE_CHECKING:
    from calibfast.training.callback import CalibrationCallback
    from calibfast.training.losses import CalibrationLoss
    from calibfast.training.run import train

__all__ = ["CalibrationCallback", "CalibrationLoss", "TrainingConfig", "train"]

_MODULES = {"CalibrationCallback": "callback", "CalibrationLoss": "losses", "train": "run"}


def __getattr__(name: str) -> Any:
    # `calibfast train --help` reads the settings, and need not wait for torch.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_train_extra(f"calibfast.training.{name}")
    return getattr(import_module(f"calibfast.training.{_MODULES[name]}"), name)
