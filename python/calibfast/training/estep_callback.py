"""The E-step of Algorithm 1, where the settings want it, and the targets that it gives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import distributed
from transformers import TrainerCallback
from typing_extensions import override

from calibfast.e_step import EStep, estep
from calibfast.evaluation.options import score_encoded
from calibfast.recalibration.temperature import TemperatureScaling

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from calibfast.training.config import TrainingConfig
    from calibfast.training.cross_fit import OutOfFold
    from calibfast.training.dataset import QuestionRows
    from calibfast.training.held_out import HeldOutEvaluation
    from calibfast.training.log import RunLog


class EStepCallback(TrainerCallback):
    """Estimates the bins' accuracies q_m and sets the training questions' targets (Eq. 6).

    The q_m come from the training questions (the paper), or from questions that the model cannot have memorised: held
    out from it, or cross-fitted.
    The held-out scores are those that the evaluation has just made with the same weights.

    Args:
        rows: The training questions.
        held_out: The held-out ones.
        out_of_fold: What models that did not train on them said to the training questions, where the settings ask.
        config: The settings.
        log: Gets counts, q_m, assignments and temperature of every E-step, and its targets as a file.

    Attributes:
        tau: What scores are divided by before their softmax.
    """

    def __init__(
        self,
        rows: QuestionRows,
        held_out: HeldOutEvaluation,
        out_of_fold: OutOfFold | None,
        *,
        config: TrainingConfig,
        log: RunLog,
    ) -> None:
        self.tau = 1.0
        self._rows, self._held_out, self._config, self._log = rows, held_out, config, log
        self._out_of_fold = out_of_fold
        self._labels = np.array(rows.answers)
        self._step: EStep | None = None
        # By question: the epoch's targets, and what the epoch's own forwards gave.
        self._targets: Tensor | None = None
        width = max(len(row.options) for row in rows.encoded)
        self._latest = torch.zeros(len(rows), width)
        self._epoch_begun = -1

    @override
    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        epoch = int(state.epoch or 0)
        if epoch == self._epoch_begun:
            return  # a checkpoint from the middle of an epoch brought its E-step along
        self._epoch_begun = epoch
        config = self._config
        if epoch < config.warm_up or (config.estep == "frozen" and self._step is not None):
            return
        began = time.perf_counter()
        scores = None
        if config.estep != "running":
            scores = score_encoded(kwargs["model"], self._rows.encoded, normalize=config.normalize)
        elif config.estep_data == "training":
            scores = self._given()
            if scores is None:
                return  # the first epoch's forwards are still to come
        if config.tau == "fitted":
            scaling = TemperatureScaling().fit(self._held_out.logits, self._held_out.labels, logits=True)
            assert scaling.temperature is not None
            self.tau = scaling.temperature
        if config.estep_data == "held-out":
            self._step = self._estimate(self._held_out.logits, self._held_out.labels)
        elif self._out_of_fold is not None:
            self._step = self._estimate(self._out_of_fold.scorings[epoch], self._out_of_fold.labels)
        else:
            assert scores is not None
            self._step = self._estimate(scores, self._labels)
        if config.estep != "running":
            assert scores is not None
            self._targets = self._eq6(scores)
        self._write(epoch + 1, scores, began)

    def targets_of(self, rows: Tensor, scores: Tensor) -> Tensor | None:
        """(B, K) targets of some training questions, or None where there are none in this epoch.

        Args:
            rows: (B,) their places.
            scores: (B, K) what the training forward just gave them.
        """
        if self._config.estep != "running":
            return None if self._targets is None else self._targets[rows, : scores.shape[1]]
        self._latest[rows, : scores.shape[1]] = scores.cpu()
        return None if self._step is None else self._eq6(scores.cpu().numpy())

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What a checkpoint must hold to go on: arrays, and plain values."""
        arrays: dict[str, NDArray[Any]] = {"latest": self._latest.numpy()}
        if self._targets is not None:
            arrays["targets"] = self._targets.numpy()
        if self._step is not None:
            arrays |= {"count": self._step.count, "q": self._step.q, "edges": np.array(self._step.edges)}
        return arrays, {"tau": self.tau, "epoch_begun": self._epoch_begun}

    def restore(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.tau, self._epoch_begun = values["tau"], values["epoch_begun"]
        self._latest = torch.from_numpy(arrays["latest"])
        if "targets" in arrays:
            self._targets = torch.from_numpy(arrays["targets"])
        if "q" in arrays:
            self._step = EStep(self._config.bins, tuple(arrays["edges"].tolist()), arrays["count"], arrays["q"])

    def _given(self) -> NDArray[np.float32] | None:
        """(N, K) scores that the last epoch's forwards gave, or None before there are any."""
        latest = self._latest.clone()
        if distributed.is_available() and distributed.is_initialized():
            # A question that two processes saw, to fill their last batches, counts with its mean.
            seen = (latest != 0).any(1, keepdim=True).float()
            distributed.all_reduce(latest.masked_fill_(latest.isneginf(), 0.0))
            distributed.all_reduce(seen)
            latest /= seen.clamp(min=1)
        self._latest.zero_()
        if not latest.any():
            return None
        present = torch.tensor([[len(row.options)] for row in self._rows.encoded])
        absent = torch.arange(latest.shape[1]) >= present
        return np.asarray(latest.masked_fill(absent, float("-inf")).numpy())

    def _estimate(self, scores: NDArray[np.float32], labels: NDArray[np.int64]) -> EStep:
        return estep(scores / np.float32(self.tau), labels, logits=True, bins=self._config.bins)

    def _eq6(self, scores: NDArray[np.float32]) -> Tensor:
        assert self._step is not None
        return torch.from_numpy(self._step.targets(scores / np.float32(self.tau), logits=True)).float()

    def _write(self, epoch: int, scores: NDArray[np.float32] | None, began: float) -> None:
        assert self._step is not None
        facts: dict[str, Any] = {}
        if scores is not None:
            bins = self._step.assign(scores / np.float32(self.tau), logits=True)
            facts["assigned"] = np.bincount(bins, minlength=self._config.bins).tolist()
            if self._targets is not None:
                self._log.save(f"e-step-{epoch}", bin=bins, targets=self._targets.numpy())
        self._log.write(
            "e-step",
            epoch=epoch,
            seconds=round(time.perf_counter() - began, 3),
            q_from=self._config.estep_data,
            tau=self.tau,
            edges=list(self._step.edges),
            count=self._step.count.tolist(),
            q=[None if np.isnan(q) else float(q) for q in self._step.q],
            **facts,
        )
