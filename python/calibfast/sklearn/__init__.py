"""Calibration in scikit-learn's searches and displays. Neither needs scikit-learn: what has `predict_proba` will do."""

from calibfast.sklearn.display import ReliabilityDisplay
from calibfast.sklearn.scorer import CalibrationScorer

__all__ = ["CalibrationScorer", "ReliabilityDisplay"]
