"""The settings of a training run. Loads no torch, so that `--help` is quick."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from calibfast.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

MethodName = Literal["cft", "rcft", "sft2", "label-smoothing", "brier", "focal", "soft-ece", "dpo"]
"""The methods that train weights. `temperature` trains none, and may follow any of them: `cft+temperature`."""
METHOD_NAMES: tuple[str, ...] = get_args(MethodName)
TEMPERATURE = "temperature"


def _setting(
    panel: str,
    default: Any,
    help: str,  # noqa: A002
    *,
    above: float | None = None,
    least: float | None = None,
) -> Any:
    """A field with its help, its range, and the part of the help that it stands in."""
    return field(default=default, metadata={"panel": panel, "help": help, "above": above, "least": least})


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of `calibfast train`; each field's metadata hold its help.

    Raises:
        InputError: A value is unknown or out of range; the message names it.
    """

    method: str = _setting(
        "Training",
        "cft",
        "cft: fine-tune on the answers, which restores calibration in few epochs. rcft: learn the questions too, and "
        "hold the confidences to their bins' accuracy. sft2: the same without the holding. label-smoothing, brier, "
        "focal, soft-ece: losses that are known to calibrate. dpo: prefer the right option to the others, as alignment "
        "does. temperature: one number on held-out questions; also after another method, as in cft+temperature.",
    )
    limit: int | None = _setting(
        "Data", None, "Use a random draw of this many questions, held-out ones included.", least=2
    )
    held_out: float = _setting("Data", 0.2, "Share of the questions to hold out, for evaluation and E-step.", above=0)
    scoring: Literal["letter", "cloze"] = _setting(
        "Data", "letter", "How the model answers: by an option's letter, or by its text without seeing the options."
    )
    normalize: Literal["sum", "token", "byte"] = _setting(
        "Data", "sum", "cloze: an option's log-likelihood as it is, or divided by its tokens or bytes."
    )
    epochs: int = _setting("Training", 3, "Passes over the training questions.", least=1)
    until: float | None = _setting(
        "Training",
        None,
        "Stop after the first epoch that ends with this share of the training questions answered right; after --epochs "
        "at the latest. Beyond the critical accuracy, A*, nothing restores calibration on them: see calibfast regime.",
        above=0,
    )
    learning_rate: float = _setting("Training", 3e-4, "Peak learning rate of AdamW.", above=0)
    schedule: Literal["linear", "cosine", "constant"] = _setting(
        "Training", "linear", "How the learning rate falls: linear or cosine (to 0), or constant."
    )
    batch_size: int = _setting("Training", 8, "Questions in a forward pass, for each process.", least=1)
    gradient_accumulation: int = _setting(
        "Training", 1, "Batches that make up one update; 8 x 1 and 1 x 8 learn the same.", least=1
    )
    weights: Literal["lora", "full"] = _setting("Training", "lora", "What is trained: a LoRA adapter, or all weights.")
    lora_r: int = _setting(
        "Training", 32, "Rank of the LoRA adapter, on every linear layer but the output layer.", least=1
    )
    lora_alpha: int = _setting("Training", 64, "Scale of the LoRA adapter: an update counts alpha / r times.", least=1)
    precision: Literal["float32", "bfloat16", "float16"] = _setting(
        "Training", "float32", "Type of the forward pass; the trained weights keep their own."
    )
    gradient_checkpointing: bool = _setting("Training", False, "Less memory for more time.")
    bins: int = _setting("E-step", 10, "Bins of the E-step and of the evaluation.", least=1)
    estep: Literal["full", "running", "frozen"] = _setting(
        "E-step",
        "full",
        "rcft: full: all training questions are scored before each epoch. running: a question's target comes from its "
        "own training forward. frozen: scored once, before the first epoch.",
    )
    estep_data: Literal["held-out", "cross-fit", "training"] = _setting(
        "E-step",
        "held-out",
        "rcft: where the bins' accuracies are read: held-out questions; or the training questions as in the paper, "
        "whose memorised answers make the targets over-confident; or cross-fit: these as two more adapters answer "
        "them, each trained on the other half.",
    )
    tau: Literal["one", "fitted"] = _setting(
        "E-step",
        "one",
        "rcft: temperature of the confidences in E-step and distance; fitted on the held-out questions at each E-step, "
        "it is kept with the adapter. For cloze scores, whose softmax is saturated.",
    )
    warm_up: int = _setting("E-step", 0, "rcft: first epochs without targets.", least=0)
    per: Literal["question", "token"] = _setting(
        "Losses", "question", "What the likelihood is averaged over: each question counts alike, or each token."
    )
    lambda_: float = _setting("Losses", 1.0, "rcft, soft-ece: weight of what is added to the likelihood.", least=0)
    divergence: Literal["squared-error", "kl", "cross-entropy"] = _setting(
        "Losses", "squared-error", "rcft: distance from the targets to the confidences."
    )
    likelihood: Literal["all", "answer"] = _setting(
        "Losses", "all", "rcft: learn question and answer, as in the paper, or the answer alone."
    )
    smoothing: float = _setting("Losses", 0.1, "label-smoothing: share of the answer that all options have.", least=0)
    gamma: float = _setting("Losses", 3.0, "focal: how little sure answers count.", least=0)
    beta: float = _setting("Losses", 0.1, "dpo: how strongly the model is held to the one it started as.", above=0)
    checkpoint_steps: int | None = _setting(
        "Run",
        None,
        "Updates between checkpoints, to go on from after an end of any kind. Default: one an epoch.",
        least=1,
    )
    keep_epochs: bool = _setting("Run", False, "Keep the adapter (or the model) of every epoch, for calibfast regime.")
    log_to: str = _setting("Run", "none", "Also log to the Trainer's integrations: none, all, tensorboard, wandb, ...")
    seed: int = _setting(
        "Run", 0, "Decides the questions drawn and held out, their order, and the adapter's start.", least=0
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            name, value = setting.name.rstrip("_"), getattr(self, setting.name)
            least, above = setting.metadata["least"], setting.metadata["above"]
            if value is not None and least is not None and not value >= least:
                raise InputError(f"{name} is {value}; it must be at least {least}")
            if value is not None and above is not None and not value > above:
                raise InputError(f"{name} is {value}; it must be above {above}")
            known = choices_of(setting.name)
            if known and value not in known:
                raise InputError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
        for name in ("held_out", "smoothing"):
            if not getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be below 1")
        if self.until is not None and self.until > 1:
            raise InputError(f"until is {self.until}; it is a share of the training questions, 1 at most")
        stages = self.method.split("+")
        known = (*METHOD_NAMES, TEMPERATURE)
        if stages[0] not in known or stages[1:] not in ([], [TEMPERATURE]) or stages == 2 * [TEMPERATURE]:
            raise InputError(
                f"method is {self.method!r}; it must be one of {', '.join(known)}, "
                f"or one that trains followed by a temperature, such as cft+{TEMPERATURE}"
            )

    @property
    def training_method(self) -> MethodName | None:
        """The method that trains weights, or None."""
        first: Any = self.method.split("+")[0]
        return None if first == TEMPERATURE else first

    @property
    def ends_in_temperature(self) -> bool:
        """Whether a temperature is fitted on the held-out questions in the end."""
        return self.method.split("+")[-1] == TEMPERATURE


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "limit": 3000,
        "epochs": 5,
        "learning_rate": 5e-4,
        "batch_size": 2,
        "lora_r": 128,
        "lora_alpha": 64,
        "bins": 10,
        "lambda_": 1.0,
        "estep": "full",
        "estep_data": "training",
    },
}
"""`paper`: Xiao et al. 2025, arXiv 2505.01997. `official-code`: what its published code does in place of that."""
PRESETS["official-code"] = PRESETS["paper"] | {"learning_rate": 5e-6, "estep": "frozen"}


def read_config(
    settings: Mapping[str, Any], *, preset: str | None = None, file: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """Settings from, in order of precedence, what is given, a file's, a preset's and the defaults.

    Args:
        settings: By the names of `TrainingConfig`'s fields.
        preset: A name in `PRESETS`. A file may name one, too.
        file: What a YAML or JSON file held: names as on the command line or as the fields are.

    Raises:
        InputError: A name is unknown, or a value not as it must be.
    """
    own = {str(name).replace("-", "_"): value for name, value in (file or {}).items()}
    named = own.pop("preset", None)
    preset = preset or named
    own = {ALIASES.get(name, name): value for name, value in own.items()}
    if preset is not None and preset not in PRESETS:
        raise InputError(f"preset is {preset!r}; it must be one of {', '.join(PRESETS)}")
    names = [setting.name for setting in fields(TrainingConfig)]
    for name, value in own.items():
        if name not in names:
            raise InputError(f"unknown setting '{name}'; the settings are {', '.join(names)}")
        expected = type_of(name)
        if expected is float and isinstance(value, str):
            # YAML takes 3e-4, which lacks a dot, for a text.
            with suppress(ValueError):
                own[name] = value = float(value)
        right = isinstance(value, (int, float) if expected is float else expected)
        if value is None:
            right = _field(name).default is None
        if not right or (isinstance(value, bool) and expected is not bool):
            raise InputError(f"setting '{name}' is {value!r}; it must be of type {expected.__name__}")
    return TrainingConfig(**((PRESETS[preset] if preset else {}) | own | dict(settings)))


ALIASES = {"lambda": "lambda_", "lr": "learning_rate"}
"""What users write for some settings."""


def choices_of(name: str) -> tuple[str, ...]:
    """The values that a setting may have, where they are few."""
    kind = _kind(name)
    return get_args(kind) if get_origin(kind) is Literal else ()


def type_of(name: str) -> type:
    """The type of a setting's value; those that may be None have one, too."""
    kind = _kind(name)
    if get_origin(kind) is Literal:
        return str
    found: type = next((part for part in get_args(kind) if part is not type(None)), kind)
    return found


def _kind(name: str) -> Any:
    return get_type_hints(TrainingConfig)[name]


def _field(name: str) -> Any:
    return next(setting for setting in fields(TrainingConfig) if setting.name == name)
