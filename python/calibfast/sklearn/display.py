"""The reliability diagram as a display of scikit-learn, several models in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import MissingExtraError
from calibfast.metrics import evaluate
from calibfast.sklearn.predictions import predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from calibfast.metrics import Report


class ReliabilityDisplay:
    """Accuracy against mean confidence of each bin: one line a model, on axes that several may share.

    In the manner of `sklearn.calibration.CalibrationDisplay`, but of the predicted class, whatever the number of
    classes; make it by `from_estimator` or `from_predictions`.

    Args:
        report: What to draw.
        name: Of the model, for the legend.

    Attributes:
        report: Every metric; see `calibfast.evaluate`.
        line_: The line that was drawn.
        ax_: The axes that it was drawn on.
        figure_: Their figure.
    """

    line_: Line2D
    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(self, report: Report, *, name: str | None = None) -> None:
        self.report = report
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,  # noqa: N803
        y: ArrayLike,
        *,
        bins: int | Sequence[float] = 10,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        ref_line: bool = True,
        **line: Any,
    ) -> Self:
        """Measure a fitted classifier and draw what was found.

        Args:
            estimator: A fitted classifier with `predict_proba` and `classes_`.
            X: (N, ...) rows for it.
            y: (N,) right classes.
            bins: Number of equal-width bins, or their edges. Default 10.
            sample_weight: (N,) weights. Default: every row counts once.
            name: For the legend. Default: the name of the classifier's type.
            ax: Axes to draw on. Default: new ones.
            ref_line: Whether to draw the diagonal of perfect calibration.
            **line: How to draw the line; see `matplotlib.axes.Axes.plot`.

        Raises:
            InputError: The classifier gives no probabilities, a label is none of its classes, or there are no rows.
            MissingExtraError: matplotlib is not installed.
        """
        probs, labels = predictions(estimator, X, y)
        report = evaluate(probs, labels, bins=bins, weights=sample_weight)
        return cls(report, name=name or type(estimator).__name__).plot(ax=ax, ref_line=ref_line, **line)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_prob: ArrayLike,
        *,
        bins: int | Sequence[float] = 10,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        ref_line: bool = True,
        **line: Any,
    ) -> Self:
        """Measure predictions and draw what was found.

        Args:
            y_true: (N,) integer labels in [0, K); for confidences (N,) right or wrong.
            y_prob: (N, K) probabilities, or (N,) confidences.
            bins: Number of equal-width bins, or their edges. Default 10.
            sample_weight: (N,) weights. Default: every row counts once.
            name: For the legend.
            ax: Axes to draw on. Default: new ones.
            ref_line: Whether to draw the diagonal of perfect calibration.
            **line: How to draw the line; see `matplotlib.axes.Axes.plot`.

        Raises:
            InputError: The predictions break their contract; see `calibfast.evaluate`.
            MissingExtraError: matplotlib is not installed.
        """
        report = evaluate(y_prob, y_true, bins=bins, weights=sample_weight)
        return cls(report, name=name).plot(ax=ax, ref_line=ref_line, **line)

    def plot(self, *, ax: Axes | None = None, name: str | None = None, ref_line: bool = True, **line: Any) -> Self:
        """Draw the line.

        Args:
            ax: Axes to draw on. Default: new ones.
            name: For the legend. Default: the display's own.
            ref_line: Whether to draw the diagonal of perfect calibration.
            **line: How to draw the line; see `matplotlib.axes.Axes.plot`.

        Returns:
            This display.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        if ax is None:
            try:
                import matplotlib.pyplot as plt
            except ImportError:
                raise MissingExtraError("a reliability diagram", "plot") from None
            ax = plt.figure().add_subplot()
            ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        if ref_line:
            ax.axline((0, 0), slope=1, color="black", linestyle=":")
        filled = [(part.confidence, part.accuracy) for part in self.report.reliability if part.count]
        label = f"conf-ECE {self.report.conf_ece:.3f}"
        name = name or self.name
        style = {"marker": "s", "label": label if name is None else f"{name}, {label}"} | line
        (self.line_,) = ax.plot(*np.array(filled, np.float64).T, **style)
        ax.legend(loc="upper left")
        self.ax_, self.figure_ = ax, ax.figure
        return self
