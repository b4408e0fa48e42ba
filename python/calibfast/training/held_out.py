"""How well calibrated the model is on questions that it does not train on, before and after every epoch."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm
from transformers import TrainerCallback
from typing_extensions import override

import calibfast
from calibfast.evaluation.options import letter_mass, score_encoded
from calibfast.report.render import METRICS
from calibfast.training.callback import log_report
from calibfast.training.epoch import ended_epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray
    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

    from calibfast.data.questions import Question
    from calibfast.metrics.report import Report
    from calibfast.models.encoding import EncodedQuestion
    from calibfast.training.config import TrainingConfig
    from calibfast.training.log import RunLog


class HeldOutEvaluation(TrainerCallback):
    """Scores the held-out questions and logs the report; one line each on stderr.

    Attributes:
        trainer: The trainer, once there is one: the reports also go where its own numbers go.
        labels: (N,) int64.
        scorings: (N, K) float32 each: one before training and one for every epoch.
    """

    def __init__(
        self,
        encoded: Sequence[EncodedQuestion],
        questions: Sequence[Question],
        *,
        config: TrainingConfig,
        log: RunLog,
        progress: bool,
    ) -> None:
        self.labels = np.array([question.answer for question in questions], dtype=np.int64)
        self.scorings: list[NDArray[np.float32]] = []
        self.trainer: Trainer | None = None
        self._encoded, self._config = encoded, config
        self._log, self._progress = log, progress
        self._began = time.perf_counter()

    @property
    def logits(self) -> NDArray[np.float32]:
        """(N, K) float32 of the latest scoring."""
        return self.scorings[-1]

    @property
    def reports(self) -> list[Report]:
        """A report for each scoring."""
        return [self._report(logits) for logits in self.scorings]

    def evaluate(self, model: torch.nn.Module, epoch: int) -> None:
        """Score the questions with the model as it is."""
        self.scorings.append(score_encoded(model, self._encoded, normalize=self._config.normalize))
        report = self._report(self.logits)
        seconds = time.perf_counter() - self._began
        facts = {name: getattr(report, name) for name in METRICS}
        if self._config.scoring == "letter":
            facts["letter_mass"] = float(letter_mass(self.logits).mean())
        self._log.write("held-out", epoch=epoch, seconds=round(seconds, 3), n=report.n, **facts)
        if self._progress:
            line = (
                f"epoch {epoch}/{self._config.epochs}  conf-ECE {report.conf_ece:.4f}  cw-ECE {report.cw_ece:.4f}  "
                f"accuracy {report.accuracy:.4f}  NLL {report.nll:.4f}  {seconds:.0f} s"
            )
            tqdm.write(line, file=sys.stderr)

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._began = time.perf_counter()
        if not self.scorings:
            self.evaluate(kwargs["model"], epoch=0)
            self._track(control)

    @override
    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if (epoch := ended_epoch(state)) is not None:
            self.evaluate(kwargs["model"], epoch)
            self._track(control)

    def _track(self, control: TrainerControl) -> None:
        if self.trainer is not None:
            log_report(self.trainer, control, self._report(self.logits))

    def _report(self, logits: NDArray[np.float32]) -> Report:
        return calibfast.evaluate(logits, self.labels, logits=True, bins=self._config.bins)
