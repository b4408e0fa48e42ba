"""The methods: which likelihood is learned, and what is added to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from calibfast.training import losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from calibfast.training.config import MethodName, TrainingConfig


@dataclass(frozen=True)
class Options:
    """What the model gave a batch's options, and what is known of them.

    Attributes:
        scores: (B, K) log-likelihoods, -inf where absent.
        answer: (B,) index of the right option.
        targets: (B, K) the E-step's, at the temperature `tau`; or None.
        reference: (B, K) scores of the model that the training started from, or None.
        tau: What the E-step divides the scores by.
    """

    scores: Tensor
    answer: Tensor
    targets: Tensor | None = None
    reference: Tensor | None = None
    tau: float = 1.0


@dataclass(frozen=True)
class Method:
    """One way to train.

    Attributes:
        likelihood: -ln pi(y | x) of the `answer` alone (SFT1), of `all` tokens of question and answer (SFT2), or of
            nothing.
        term: What is added, from the batch's options: (B,), or one number for the whole batch.
        weighed: Whether the term counts lambda times.
        targets: Whether the term needs an E-step.
        reference: Whether it needs the scores of the model that the training started from.
    """

    likelihood: Literal["answer", "all"] | None
    term: Callable[[Options, TrainingConfig], Tensor] | None = None
    weighed: bool = False
    targets: bool = False
    reference: bool = False


def _divergence(options: Options, config: TrainingConfig) -> Tensor:
    assert options.targets is not None  # the E-step comes first
    return losses.divergence(options.targets, options.scores / options.tau, config.divergence)


def _dpo(options: Options, config: TrainingConfig) -> Tensor:
    assert options.reference is not None  # scored before training
    return losses.dpo(options.scores, options.reference, options.answer, config.beta)


METHODS: dict[MethodName, Method] = {
    "cft": Method("answer"),
    "sft2": Method("all"),
    "rcft": Method("all", _divergence, weighed=True, targets=True),
    "label-smoothing": Method(
        None, lambda options, config: losses.label_smoothing(options.scores, options.answer, config.smoothing)
    ),
    "brier": Method(None, lambda options, _: losses.brier(options.scores, options.answer)),
    "focal": Method(None, lambda options, config: losses.focal(options.scores, options.answer, config.gamma)),
    "soft-ece": Method(
        "answer",
        lambda options, config: losses.soft_binned_ece(options.scores, options.answer, config.bins),
        weighed=True,
    ),
    "dpo": Method(None, _dpo, reference=True),
}
"""Xiao et al. 2025, Algorithm 1: CFT is SFT1 alone, RCFT is SFT2 + lambda D to the E-step's targets."""
