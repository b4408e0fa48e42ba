"""Calibration for the `Trainer` of transformers, and with the interface of the library `evaluate`. Needs neither."""

from calibfast.huggingface.compute_metrics import compute_metrics
from calibfast.huggingface.evaluation_module import CalibrationModule

__all__ = ["CalibrationModule", "compute_metrics"]
