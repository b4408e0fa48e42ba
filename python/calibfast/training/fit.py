"""Train a model in memory."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, TrainerCallback, TrainingArguments, set_seed
from typing_extensions import override

import calibfast
from calibfast.errors import InputError
from calibfast.evaluation.options import check_lengths, score_encoded
from calibfast.models.adapter import add_lora
from calibfast.models.encoding import encode_questions
from calibfast.models.forward import can_pack
from calibfast.recalibration.temperature import TemperatureScaling
from calibfast.training.checkpoint import Progress, SaveAfterEpoch, newest, remove_all
from calibfast.training.cross_fit import OutOfFold, cross_fit
from calibfast.training.dataset import Collator, QuestionRows
from calibfast.training.epoch import ended_epoch
from calibfast.training.estep_callback import EStepCallback
from calibfast.training.held_out import HeldOutEvaluation
from calibfast.training.interrupt import StopOnInterrupt
from calibfast.training.log import Event, RunLog
from calibfast.training.methods import METHODS
from calibfast.training.progress import ProgressBar
from calibfast.training.trainer import CalibrationTrainer
from calibfast.training.until import Until, reached
from calibfast.whole import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerControl, TrainerState

    from calibfast.data.questions import Question
    from calibfast.metrics.report import Report
    from calibfast.training.config import TrainingConfig

TEMPERATURE_FILE = "temperature.json"
_EPOCH = "epoch-"


@dataclass(frozen=True)
class History:
    """What happened in training.

    Attributes:
        events: The run's log: the held-out evaluations, the E-steps and the losses, in order.
        reports: The held-out questions' reports: one before training and one for every epoch.
        scorings: (N, K) scores of the held-out questions, one before training and one for every epoch.
        scaling: What the scores are to be divided by, where the method has a temperature.
        scaled: The last report at that temperature; that of a fitted temperature is on the rows it was fitted to.
    """

    events: list[Event]
    reports: list[Report]
    scorings: list[NDArray[np.float32]]
    scaling: TemperatureScaling | None
    scaled: Report | None


class KeepEpochs(TrainerCallback):
    """Hands the number of every epoch that has ended to who keeps it."""

    def __init__(self, keep: Callable[[int], None]) -> None:
        self._keep = keep

    @override
    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if (epoch := ended_epoch(state)) is not None:
            self._keep(epoch)


class LogLosses(TrainerCallback):
    """Writes what the Trainer logs once an epoch."""

    def __init__(self, log: RunLog) -> None:
        self._log = log

    @override
    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs: dict[str, Any] = kwargs["logs"]
        if "loss" in logs:
            self._log.write("epoch", step=state.global_step, **logs)


def fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train_questions: Sequence[Question],
    held_out_questions: Sequence[Question],
    config: TrainingConfig,
    output_dir: Path | None = None,
    progress: bool = True,
) -> tuple[PeftModel | PreTrainedModel, History]:
    """Train a LoRA adapter, or all weights, by the chosen method.

    The same arguments give the same weights, bit for bit, on the same machine and number of threads, also where the
    training was stopped and went on from a checkpoint in between.

    Args:
        model: A causal language model. It is trained in place, or wrapped; `unload()` of a wrapped one gives it back.
        tokenizer: Its tokenizer.
        train_questions: At least one.
        held_out_questions: For the evaluation before training and after every epoch, for temperatures, and for the
            E-step's q_m where the settings say so. At least one, and none of the training questions.
        config: The settings. `held_out` and `limit` are the caller's, and not read here.
        output_dir: An existing folder for adapter or model, `temperature.json` and the log (`log.jsonl`), or None. A
            whole checkpoint that it holds is gone on from; checkpoints are removed in the end.
        progress: Whether to show the epochs, and on a terminal a bar, on stderr.

    Returns:
        The trained model, in evaluation mode, and what happened.

    Raises:
        InputError: A question cannot be asked, or there is none.
        KeyboardInterrupt: Ctrl-C was pressed; with an `output_dir`, a checkpoint was written.
    """
    if not train_questions or not held_out_questions:
        raise InputError("there are no questions to train on, or none held out")
    encoded = encode_questions(tokenizer, train_questions, config.scoring)
    held_out_encoded = encode_questions(tokenizer, held_out_questions, config.scoring)
    check_lengths(model, encoded, train_questions)
    check_lengths(model, held_out_encoded, held_out_questions)

    with nullcontext(output_dir) if output_dir else tempfile.TemporaryDirectory() as place:
        arguments = _arguments(
            config, Path(place), on_cpu=model.device.type == "cpu", checkpoints=output_dir is not None
        )
        folder = output_dir if arguments.should_save else None  # of several processes, one writes
        log = RunLog(folder)
        held_out = HeldOutEvaluation(
            held_out_encoded, held_out_questions, config=config, log=log, progress=progress and arguments.should_save
        )
        rows = QuestionRows(encoded, train_questions)
        out_of_fold = None
        if config.training_method == "rcft" and config.estep_data == "cross-fit":
            out_of_fold = cross_fit(model, tokenizer, train_questions, config, folder, progress=progress)
        set_seed(config.seed)
        trained: Any = model
        estep = None
        if config.training_method is None:
            held_out.evaluate(model, epoch=0)
        else:
            checkpoint = None if output_dir is None else newest(output_dir)
            if config.gradient_checkpointing:
                # Transformers 5.17 knows it by its old name alone.
                enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
                enable({"use_reentrant": False})
            if config.weights == "lora":
                trained = add_lora(model, config.lora_r, config.lora_alpha)
            kept = None
            if config.keep_epochs and folder is not None:
                kept = partial(_keep_epoch, trained, tokenizer, config, folder)
            estep = _train(
                trained, rows, held_out, out_of_fold, log, config, arguments, checkpoint, kept, progress=progress
            )
        scaling = _scaling(config, held_out, estep)
        if output_dir is not None and arguments.should_save:
            _save(trained, tokenizer, config, scaling, output_dir)
            remove_all(output_dir)
    scaled = None
    if scaling is not None:
        probs = scaling.predict_proba(held_out.logits, logits=True)
        scaled = calibfast.evaluate(probs, held_out.labels, bins=config.bins)
    return trained.eval(), History(log.events, held_out.reports, held_out.scorings, scaling, scaled)


def _train(
    model: Any,
    rows: QuestionRows,
    held_out: HeldOutEvaluation,
    out_of_fold: OutOfFold | None,
    log: RunLog,
    config: TrainingConfig,
    arguments: TrainingArguments,
    checkpoint: Path | None,
    kept: Callable[[int], None] | None,
    *,
    progress: bool,
) -> EStepCallback | None:
    """The training itself."""
    assert config.training_method is not None
    method = METHODS[config.training_method]
    estep = EStepCallback(rows, held_out, out_of_fold, config=config, log=log) if method.targets else None
    reference = None
    if method.reference:
        width = max(len(row.options) for row in rows.encoded)
        reference = torch.empty(len(rows), width)
        if checkpoint is None:
            reference.copy_(torch.from_numpy(score_encoded(model, rows.encoded, normalize=config.normalize)))
    state = Progress(log, held_out, estep, reference)
    if checkpoint is not None:
        state.restore(checkpoint)
        if config.until is not None and (last := reached(config.until, log.events)) is not None:
            arguments.num_train_epochs = last  # stopped between the last epoch and the end
    interrupt = StopOnInterrupt()
    callbacks: list[TrainerCallback] = [held_out, LogLosses(log), *([estep] if estep else [])]
    if arguments.save_strategy != "no":
        callbacks += [interrupt, SaveAfterEpoch()]
    if progress and arguments.should_save:
        callbacks.append(ProgressBar())
    if kept is not None:
        callbacks.append(KeepEpochs(kept))
    if config.until is not None:
        callbacks.append(Until(config.until, rows, config.normalize, log))
    trainer = CalibrationTrainer(
        config=config,
        estep=estep,
        reference=reference,
        progress=state,
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=Collator(answer_only=method.term is None, packed=can_pack(model)),
        callbacks=callbacks,
    )
    held_out.trainer = trainer
    trainer.remove_callback(PrinterCallback)  # it prints on stdout, which belongs to results
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    finally:
        interrupt.restore()
    if interrupt.asked:
        raise KeyboardInterrupt
    return estep


def _scaling(
    config: TrainingConfig, held_out: HeldOutEvaluation, estep: EStepCallback | None
) -> TemperatureScaling | None:
    if config.ends_in_temperature:
        return TemperatureScaling().fit(held_out.logits, held_out.labels, logits=True)
    if estep is not None and config.tau == "fitted":
        return TemperatureScaling(estep.tau)
    return None


def epoch_folders(run: Path) -> dict[int, Path]:
    """What `keep_epochs` left of each epoch, by its number from 1."""
    found = {int(folder.name.removeprefix(_EPOCH)): folder for folder in run.glob(f"{_EPOCH}*")}
    return dict(sorted(found.items()))


def _keep_epoch(model: Any, tokenizer: PreTrainedTokenizerBase, config: TrainingConfig, run: Path, epoch: int) -> None:
    _save(model, tokenizer, config, None, run / f"{_EPOCH}{epoch}")


def _save(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    config: TrainingConfig,
    scaling: TemperatureScaling | None,
    folder: Path,
) -> None:
    if config.training_method is not None and config.weights == "lora":
        # The embeddings are not trained; asking peft to find that out sends it to the hub.
        model.save_pretrained(str(folder), save_embedding_layers=False)
    elif config.training_method is not None:
        model.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))
    if scaling is not None:
        write_whole(folder / TEMPERATURE_FILE, scaling.to_json() + "\n")


def _arguments(config: TrainingConfig, folder: Path, *, on_cpu: bool, checkpoints: bool) -> TrainingArguments:
    strategy = "epoch" if config.checkpoint_steps is None else "steps"
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        bf16=config.precision == "bfloat16",
        fp16=config.precision == "float16",
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=on_cpu,
        remove_unused_columns=False,  # the collator makes the columns
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
        logging_strategy="epoch",
        eval_strategy="no",  # HeldOutEvaluation does it
        save_strategy=strategy if checkpoints else "no",
        save_steps=config.checkpoint_steps or 500,
        report_to=config.log_to,
        disable_tqdm=True,
    )
