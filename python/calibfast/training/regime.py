"""Whether the epochs of a run are calibratable (Xiao et al. 2025, arXiv 2505.01997), and what to do about it.

On questions whose answers are fixed, as those that a model is trained on, accuracy can exceed A* = E[max_j p*_j], by
memory. Where it does, an error of at least the excess is forced: conf-ECE on these answers and calibration error
against the truth add up to it (docs/theory.md).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import calibfast
from calibfast.errors import InputError
from calibfast.evaluation.options import score_encoded
from calibfast.metrics.score_intervals import normal_quantile
from calibfast.models.encoding import encode_questions
from calibfast.models.several import each_model
from calibfast.recalibration import TemperatureScaling, cross_fit, estimate_critical_accuracy
from calibfast.recalibration.critical import FEWEST_ROWS
from calibfast.training.config import TrainingConfig
from calibfast.training.fit import epoch_folders
from calibfast.training.run import RESULT_FILE, file_hash, questions_of
from calibfast.whole import reading_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibfast.data.questions import Question
    from calibfast.models.load import Dtype

    Floats = NDArray[np.float64]

Regimes = Literal["calibratable", "beyond the estimate", "non-calibratable"]
LEVEL = 0.95


@dataclass(frozen=True)
class CriticalAccuracy:
    """A* of the training questions.

    Attributes:
        value: As far as it is known.
        low: The interval's lower end; where the truth is known, `value`.
        high: What an accuracy must exceed to be beyond it: the interval's upper end, or where the truth is known, what
            the luck of the draw can add to the accuracy of a model that knows it, at 95%.
        known_by: "truth"; "votes", of several people; or "estimate", from the held-out questions, which is at most A*.
    """

    value: float
    low: float
    high: float
    known_by: Literal["truth", "votes", "estimate"]


@dataclass(frozen=True)
class Epoch:
    """The model after an epoch; 0 is the model as it came.

    Attributes:
        epoch: Its number.
        train_accuracy: On the training questions.
        train_conf_ece: On the training questions, against their answers.
        train_target_ece: On the training questions, against the truth, where it is known; see `calibfast.target_ece`.
        excess: Training accuracy beyond `CriticalAccuracy.value`, 0 where there is none.
        regime: "non-calibratable" where the training accuracy is above `CriticalAccuracy.high`; where that is estimated
            from held-out questions "beyond the estimate", as A* may be higher, and no error is forced up to it.
        accuracy: On the held-out questions.
        conf_ece: On the held-out questions.
        nll: On the held-out questions.
    """

    epoch: int
    train_accuracy: float
    train_conf_ece: float
    train_target_ece: float | None
    excess: float
    regime: Regimes
    accuracy: float
    conf_ece: float
    nll: float


@dataclass(frozen=True)
class Regime:
    """What the epochs of a run were, and what to do.

    Attributes:
        critical_accuracy: A*.
        epochs: From 0 on.
        temperature_nll: Held-out NLL of the model as it came, at a cross-fitted temperature.
        advice: A sentence.
        evidence: Why.
    """

    critical_accuracy: CriticalAccuracy
    epochs: tuple[Epoch, ...]
    temperature_nll: float
    advice: str
    evidence: str

    def to_dict(self) -> dict[str, Any]:
        """The result as plain dictionaries, lists and numbers."""
        return asdict(self)


@dataclass(frozen=True)
class _Scored:
    """Scores of one set of questions, before training and after each epoch."""

    logits: list[NDArray[np.float32]]
    labels: NDArray[np.int64]

    def losses(self, epoch: int) -> Floats:
        logits = self.logits[epoch].astype(np.float64)
        right = logits[np.arange(len(logits)), self.labels]
        return np.asarray(np.logaddexp.reduce(logits, axis=1) - right)

    def correct(self, epoch: int) -> Floats:
        return np.asarray(self.logits[epoch].argmax(axis=1) == self.labels, dtype=np.float64)


def measure_regime(
    run: str | Path,
    *,
    batch_size: int = 256,
    dtype: Dtype = "auto",
    device: str = "auto",
    progress: bool = True,
) -> Regime:
    """Score the training and the held-out questions of a run after each epoch, and set them against A*.

    Args:
        run: What `calibfast train --keep-epochs` made; model and question file must be where they were.
        batch_size: Questions in a forward pass at most. Default 256.
        dtype: The model's type; see `load_model`.
        device: The model's device; see `load_model`.
        progress: Whether to show a bar on stderr, if that is a terminal.

    Raises:
        InputError: The folder is no such run, its model or questions are not what they were, or it held out fewer than
            40 questions where A* must be estimated.
    """
    run = Path(run)
    epochs = epoch_folders(run)
    if not (run / RESULT_FILE).is_file() or not epochs:
        raise InputError(f"{run}: no run whose epochs were kept; make one by calibfast train --keep-epochs")
    with reading_back(run / RESULT_FILE):
        result = json.loads((run / RESULT_FILE).read_text(encoding="utf-8"))
        config, base = TrainingConfig(**result["config"]), result["model"]
        data, data_hash = result["data"], result["data_sha256"]
    if file_hash(data) != data_hash:
        raise InputError(f"{data}: is not the file that {run} was trained on any more")
    sets = questions_of(config, data, skip_bad_rows=True, progress=False)
    if len(sets[1]) < FEWEST_ROWS and not all(question.truth or question.votes for question in sets[0]):
        raise InputError(
            f"{run}: A* is estimated from held-out questions, {FEWEST_ROWS} at least, and the run held out "
            f"{len(sets[1])}; hold out more, or train on questions with 'truth' or 'votes'"
        )
    labels = [np.array([question.answer for question in questions]) for questions in sets]
    train, held_out = (_Scored([], each) for each in labels)
    folders = list(epochs.values())
    models, adapters = ([base], folders) if config.weights == "lora" else ([base, *folders], [])
    for _, model, tokenizer in each_model(list(map(str, models)), adapters, dtype=dtype, device=device):
        for scored, questions in zip((train, held_out), sets, strict=True):
            encoded = encode_questions(tokenizer, questions, config.scoring)
            scored.logits.append(
                score_encoded(model, encoded, normalize=config.normalize, batch_size=batch_size, progress=progress)
            )
    return _judge(sets[0], train, held_out, config)


def _judge(questions: Sequence[Question], train: _Scored, held_out: _Scored, config: TrainingConfig) -> Regime:
    critical = _critical(questions, held_out)
    beyond: Regimes = "beyond the estimate" if critical.known_by == "estimate" else "non-calibratable"
    epochs = []
    for number in range(len(train.logits)):
        own, other = (
            calibfast.evaluate(scored.logits[number], scored.labels, logits=True, bins=config.bins)
            for scored in (train, held_out)
        )
        epochs.append(
            Epoch(
                epoch=number,
                train_accuracy=own.accuracy,
                train_conf_ece=own.conf_ece,
                train_target_ece=_against_truth(questions, train.logits[number], config.bins),
                excess=max(0.0, own.accuracy - critical.value),
                regime=beyond if own.accuracy > critical.high else "calibratable",
                accuracy=other.accuracy,
                conf_ece=other.conf_ece,
                nll=other.nll,
            )
        )
    probs = cross_fit(TemperatureScaling(), held_out.logits[0], held_out.labels, logits=True)
    scaled = -np.log(probs[np.arange(len(probs)), held_out.labels])
    return Regime(critical, tuple(epochs), float(scaled.mean()), *_advise(epochs, held_out, scaled, config))


def _critical(questions: Sequence[Question], held_out: _Scored) -> CriticalAccuracy:
    if all(question.truth for question in questions):
        highest = np.array([max(question.truth or ()) for question in questions])
        luck = normal_quantile(LEVEL) * float(np.sqrt((highest * (1 - highest)).sum())) / len(highest)
        value = float(highest.mean())
        return CriticalAccuracy(value, value, value + luck, "truth")
    if all(question.votes for question in questions):
        widest = max(len(question.choices) for question in questions)
        votes = [[*(question.votes or ()), *[0] * (widest - len(question.choices))] for question in questions]
        counted = calibfast.critical_accuracy_of_answers(votes)
        return CriticalAccuracy(counted.estimate, counted.low, counted.high, "votes")
    # Each epoch's is a lower bound, so the highest is the nearest.
    found = [estimate_critical_accuracy(logits, held_out.labels, logits=True) for logits in held_out.logits]
    nearest = max((each.confidence for each in found), key=lambda each: each.estimate)
    return CriticalAccuracy(nearest.estimate, nearest.low, nearest.high, "estimate")


def _against_truth(questions: Sequence[Question], logits: NDArray[np.float32], bins: int) -> float | None:
    if not all(question.truth for question in questions):
        return None
    truth = np.zeros(logits.shape)
    for row, question in enumerate(questions):
        truth[row, : len(question.choices)] = question.truth
    # A file may have rounded them.
    return calibfast.target_ece(logits, truth / truth.sum(axis=1, keepdims=True), logits=True, bins=bins)


def _advise(epochs: Sequence[Epoch], held_out: _Scored, scaled: Floats, config: TrainingConfig) -> tuple[str, str]:
    """What to do and why, by the held-out questions alone."""
    best = min(epochs[1:], key=lambda each: each.nll)
    last = epochs[-1]
    better = scaled - held_out.losses(best.epoch)
    said = f"{best.regime}, held-out NLL {best.nll:.3f}, conf-ECE {best.conf_ece:.3f}, accuracy {best.accuracy:.3f}"
    if not _positive(better):
        return (
            "a temperature is enough: calibfast train --method temperature",
            f"the model as it came has a held-out NLL of {scaled.mean():.3f} at a temperature, and the best epoch, "
            f"{best.epoch}, {best.nll:.3f}, which is not clearly lower",
        )
    gained = held_out.correct(last.epoch) - held_out.correct(best.epoch)
    if last is not best and _positive(gained) and last.conf_ece > best.conf_ece:
        lambda_ = 2 * config.lambda_ if config.training_method == "rcft" else 1.0
        return (
            f"use rcft with lambda {lambda_:g} for {last.epoch} epochs: calibfast train --method rcft",
            f"epoch {best.epoch} is {said}; going on gives {last.accuracy - best.accuracy:.3f} of accuracy and takes "
            f"{last.conf_ece - best.conf_ece:.3f} of conf-ECE",
        )
    if last is not best:
        return (
            f"stop at epoch {best.epoch}",
            f"it is {said}; epoch {last.epoch} is {last.regime} and has {last.nll:.3f}, {last.conf_ece:.3f} and "
            f"{last.accuracy:.3f}",
        )
    return f"keep epoch {best.epoch}, the last; more may be better still", f"it is {said}, the lowest NLL of all"


def _positive(differences: Floats) -> bool:
    """Whether a mean is above 0 at one-sided 95%."""
    error = float(differences.std()) / np.sqrt(len(differences))
    return bool(differences.mean() > normal_quantile(2 * LEVEL - 1) * error)
