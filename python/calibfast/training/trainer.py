"""The one training loop: transformers' Trainer with the loss of the chosen method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from typing_extensions import override

from calibfast.models.forward import log_probs, option_scores
from calibfast.training.checkpoint import is_complete
from calibfast.training.methods import METHODS, Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from calibfast.models.batch import Batch
    from calibfast.models.forward import LogProbs
    from calibfast.training.checkpoint import Progress
    from calibfast.training.config import TrainingConfig
    from calibfast.training.estep_callback import EStepCallback


class CalibrationTrainer(Trainer):
    """Minimises the mean over questions of likelihood loss + the method's term.

    Args:
        config: The settings; their method trains weights.
        estep: Where the targets come from; None for a method without targets.
        reference: (N, K) scores of the model that the training starts from; None for a method that needs none.
        progress: What a checkpoint holds beside the Trainer's own; here are the sums of the losses.
        **trainer: What `transformers.Trainer` takes.
    """

    def __init__(
        self,
        *,
        config: TrainingConfig,
        estep: EStepCallback | None,
        reference: Tensor | None,
        progress: Progress,
        **trainer: Any,
    ) -> None:
        super().__init__(**trainer)
        assert config.training_method is not None
        self._config, self._method = config, METHODS[config.training_method]
        self._likelihood = config.likelihood if self._method.targets else self._method.likelihood
        self._estep, self._reference, self._progress = estep, reference, progress
        self._weight = config.lambda_ if self._method.weighed else 1.0
        self._tokens = torch.tensor(1)
        # Says that our loss is divided by `num_items_in_batch` already.
        self.model_accepts_loss_kwargs = True

    @override
    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor]:
        """The batches of one update, and how many questions they hold together, over all processes.

        Every question counts alike, however the update is cut into batches, also where its last batch is short.
        """
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        counts = [(len(batch["answer"]), int(self._token_counts(batch).sum())) for batch in batches]
        totals = torch.tensor(counts, device=device).sum(0, keepdim=True)
        questions, self._tokens = self.accelerator.gather(totals).sum(0)
        return batches, questions

    @override
    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """The batch's share of the update's mean loss."""
        assert not return_outputs  # only the Trainer's own evaluation asks for outputs, which is off
        assert num_items_in_batch is not None  # see get_batch_samples
        given = log_probs(model, inputs, question=self._likelihood == "all")
        answer = inputs["answer"]
        loss = torch.zeros((), device=answer.device)
        if self._likelihood is not None:
            tokens = given.options.sum(2).gather(1, answer[:, None])[:, 0]
            losses = -(tokens if given.question is None else tokens + given.question)
            counts = self._token_counts(inputs)
            self._note("likelihood", losses / counts)
            loss = losses.sum() / self._tokens
            if self._config.per == "question":
                loss = (losses / counts).sum() / num_items_in_batch
        options = self._options(given, inputs)
        if options is not None and self._method.term is not None:
            term = self._method.term(options, self._config)
            term = term.expand(len(answer))
            self._note("term", term)
            loss = loss + self._weight * term.sum() / num_items_in_batch
        self._note("questions", torch.ones(len(answer), device=answer.device))
        # The processes' gradients are averaged.
        shared: Tensor = loss * self.accelerator.num_processes
        return shared

    def _options(self, given: LogProbs, inputs: Batch) -> Options | None:
        """What the method's term needs, or None while there are no targets yet."""
        if self._method.term is None:
            return None
        scores = option_scores(given, inputs, self._config.normalize)
        options, rows = scores.shape[1], inputs["index"].cpu()
        reference = None if self._reference is None else self._reference[rows, :options].to(scores.device)
        if self._estep is None:
            return Options(scores, inputs["answer"], reference=reference)
        targets = self._estep.targets_of(rows, scores.detach())
        if targets is None:
            return None
        return Options(scores, inputs["answer"], targets=targets.to(scores.device), tau=self._estep.tau)

    def _token_counts(self, batch: Batch) -> Tensor:
        """(B,) tokens whose likelihood is learned."""
        counts: Tensor = batch["real"].sum(2).gather(1, batch["answer"][:, None])[:, 0]
        return counts + batch["asked"].sum(1) if self._likelihood == "all" else counts

    def _note(self, name: str, values: Tensor) -> None:
        total = values.detach().sum()
        sums = self._progress.sums
        sums[name] = sums[name].to(total.device) + total if name in sums else total

    @override
    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the parts of the loss, averaged over the questions since they were last logged."""
        sums = self._progress.sums
        if sums and "loss" in logs:  # and not a report of the held-out questions
            totals = {name: float(self.accelerator.reduce(total, "sum")) for name, total in sums.items()}
            sums.clear()
            questions = totals.pop("questions")
            parts = {name: total / questions for name, total in totals.items()}
            # The Trainer's own sum forgets, at a checkpoint, what came before it.
            logs |= {"loss": parts.get("likelihood", 0.0) + self._weight * parts.get("term", 0.0), **parts}
        super().log(logs, start_time)

    @override
    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        folder = Path(self._get_output_dir(trial=trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        if not is_complete(folder):
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                self._progress.complete(folder)
