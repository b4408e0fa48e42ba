"""Calibration error as a metric of torchmetrics, for Lightning modules and other training loops."""

from calibfast.torch.calibration_error import CalibrationError

__all__ = ["CalibrationError"]
