"""Scalings of all options at once: vector and matrix (Guo et al. 2017) and Dirichlet (Kull et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError
from calibfast.recalibration.base import Recalibrator
from calibfast.recalibration.options import softmax
from calibfast.recalibration.scipy_optimize import minimise
from calibfast.recalibration.temperature import refuse_lost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibfast.recalibration.options import Floats, Options


class _LogitScaling(Recalibrator):
    """Maps of the logits as they were given, in which a constant added to a row makes a difference."""

    logits_: bool

    def _check_fits(self, options: Options) -> None:
        super()._check_fits(options)
        if options.logits != self.logits_:
            fitted, given = ("logits", "probabilities") if self.logits_ else ("probabilities", "logits")
            raise InputError(f"this {self.kind} map was fitted to {fitted} and is given {given}; use the same for both")


class VectorScaling(_LogitScaling):
    """softmax(w * z + b): a factor and a shift for each option (Guo et al. 2017, section 4.2), by maximum likelihood.

    z are the logits; of probabilities, ln p. An absent option, or one of probability 0, stays at 0.

    Attributes:
        weights_: (K,) w.
        bias_: (K,) b.
        logits_: Whether it was fitted to logits; it is refused on the other form.
    """

    kind = "vector"
    _learned = ("weights_", "bias_", "logits_")

    weights_: Floats
    bias_: Floats

    def _check(self, options: Options, right: NDArray[np.intp]) -> None:
        refuse_lost(options, right)

    def _fit(self, options: Options, right: NDArray[np.intp]) -> None:
        scores = options.scores()
        there = np.isfinite(scores)
        centre, spread = _moments(scores)
        x = np.where(there, (np.where(there, scores, 0) - centre) / spread, 0)
        rows, k = np.arange(len(right)), options.width

        def nll(parameters: Floats) -> tuple[float, Floats]:
            z = np.where(there, parameters[:k] * x + parameters[k:], -np.inf)
            p, loss = _softmax_nll(z, right)
            p[rows, right] -= 1
            return loss, np.concatenate([(p * x).sum(axis=0), p.sum(axis=0)]) / len(right)

        found = minimise(nll, np.concatenate([spread, centre]), "vector scaling")
        self.weights_ = found[:k] / spread
        self.bias_ = found[k:] - self.weights_ * centre
        self.logits_ = options.logits

    def _predict(self, options: Options) -> Floats:
        scores = options.scores()
        there = np.isfinite(scores)
        return softmax(np.where(there, self.weights_ * np.where(there, scores, 0) + self.bias_, -np.inf))


class MatrixScaling(_LogitScaling):
    """softmax(W z + b): multinomial logistic regression on the logits (Guo et al. 2017, section 4.2).

    By maximum likelihood, without a penalty as in the paper, so it wants many rows for its K (K + 1) parameters. z are
    the logits; of probabilities, ln p. It mixes all options, so rows with an absent one have no meaning for it.

    Attributes:
        weights_: (K, K) W; row k is for option k.
        bias_: (K,) b.
        logits_: Whether it was fitted to logits; it is refused on the other form.
    """

    kind = "matrix"
    _learned = ("weights_", "bias_", "logits_")

    weights_: Floats
    bias_: Floats

    def _check(self, options: Options, right: NDArray[np.intp]) -> None:  # noqa: ARG002
        _refuse_absent(options, self.kind)

    def _fit(self, options: Options, right: NDArray[np.intp]) -> None:
        scores = options.scores()
        centre, spread = _moments(scores)
        found = _multinomial((scores - centre) / spread, right, np.diag(spread), centre, 0, 0, "matrix scaling")
        self.weights_ = found[0] / spread
        self.bias_ = found[1] - self.weights_ @ centre
        self.logits_ = options.logits

    def _check_fits(self, options: Options) -> None:
        super()._check_fits(options)
        _refuse_absent(options, self.kind)

    def _predict(self, options: Options) -> Floats:
        return softmax(options.scores() @ self.weights_.T + self.bias_)


class DirichletCalibration(Recalibrator):
    """softmax(W ln p + b) with off-diagonal and intercept regularisation, ODIR (Kull et al. 2019).

    The mean -ln p(label) plus off_diagonal / (K (K-1)) sum_{i != j} W_ij^2 + intercept / K sum_j b_j^2. The paper picks
    both strengths by cross-validation, as scikit-learn's GridSearchCV does. Logits and their softmax give the same map.
    It mixes all options, so rows with an absent one, or with a probability of 0, have no meaning for it.

    Args:
        off_diagonal: Strength, 0 or more.
        intercept: Strength, 0 or more.

    Attributes:
        weights_: (K, K) W; row k is for option k.
        bias_: (K,) b.
    """

    kind = "dirichlet"
    _learned = ("weights_", "bias_")

    weights_: Floats
    bias_: Floats

    def __init__(self, off_diagonal: float = 1e-3, intercept: float = 1e-3) -> None:
        self.off_diagonal = off_diagonal
        self.intercept = intercept

    def _check(self, options: Options, right: NDArray[np.intp]) -> None:  # noqa: ARG002
        _refuse_absent(options, self.kind)
        for name, value in self.get_params().items():
            if not 0 <= value < float("inf"):
                raise InputError(f"{name} is {value}; it must be finite and not negative")

    def _fit(self, options: Options, right: NDArray[np.intp]) -> None:
        k = options.width
        x, start = options.log_probabilities(), np.eye(k)
        off, at = self.off_diagonal / (k * (k - 1) or 1), self.intercept / k
        self.weights_, self.bias_ = _multinomial(x, right, start, np.zeros(k), off, at, "Dirichlet calibration")

    def _check_fits(self, options: Options) -> None:
        super()._check_fits(options)
        _refuse_absent(options, self.kind)

    def _predict(self, options: Options) -> Floats:
        return softmax(options.log_probabilities() @ self.weights_.T + self.bias_)


def _multinomial(
    x: Floats,
    right: NDArray[np.intp],
    weights: Floats,
    bias: Floats,
    off_diagonal: float,
    intercept: float,
    what: str,
) -> tuple[Floats, Floats]:
    """W and b of the lowest mean NLL of softmax(W x + b), with penalties on each W_ij^2 (i != j) and b_j^2."""
    n, k = x.shape
    rows, penalty = np.arange(n), off_diagonal * (1 - np.eye(k))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        w, b = parameters[: k * k].reshape(k, k), parameters[k * k :]
        p, nll = _softmax_nll(x @ w.T + b, right)
        p[rows, right] -= 1
        value = nll + float((penalty * w**2).sum() + intercept * (b**2).sum())
        return value, np.concatenate([(p.T @ x / n + 2 * penalty * w).ravel(), p.mean(axis=0) + 2 * intercept * b])

    found = minimise(loss, np.concatenate([weights.ravel(), bias]), what)
    return found[: k * k].reshape(k, k), found[k * k :]


def _softmax_nll(z: Floats, right: NDArray[np.intp]) -> tuple[Floats, float]:
    """Probabilities and mean -ln p(label)."""
    top = z.max(axis=1, keepdims=True)
    exp = np.exp(z - top)
    total = exp.sum(axis=1, keepdims=True)
    rows = np.arange(len(right))
    nll: Any = np.log(total[:, 0]) + top[:, 0] - z[rows, right]
    return exp / total, float(nll.mean())


def _moments(scores: Floats) -> tuple[Floats, Floats]:
    """Mean and spread of each option's scores: parameters of like size are found in fewer steps."""
    there = np.ma.masked_invalid(scores)
    spread = there.std(axis=0).filled(0)
    return there.mean(axis=0).filled(0), np.where(spread > 0, spread, 1)


def _refuse_absent(options: Options, kind: str) -> None:
    for row, option in np.argwhere(np.isneginf(options.scores()))[:1].tolist():
        raise InputError(
            f"row {row}: option {option} is absent or has probability 0, and {kind} scaling mixes the scores of all "
            "options; use temperature or vector scaling",
            row,
            option,
        )
