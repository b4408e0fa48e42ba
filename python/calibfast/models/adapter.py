"""LoRA adapters, by peft."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from calibfast.errors import STUMBLES, InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel


def add_lora(model: PreTrainedModel, r: int, alpha: int) -> PeftModel:
    """Put a fresh LoRA adapter on every linear layer but the output layer; nothing else stays trainable.

    Args:
        model: The base model. Its layers are wrapped in place; `unload()` of the result gives it back.
        r: Rank, at least 1.
        alpha: Scale; an update counts alpha / r times.
    """
    config = LoraConfig(r=r, lora_alpha=alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    with _quiet():
        adapted = get_peft_model(model, config)
    assert isinstance(adapted, PeftModel)
    return adapted


def load_adapter(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """Put a saved adapter on the model it was made for, to be scored and not trained.

    A model is another one where the adapter's weights have no place in it or leave places empty, or where the model
    that the adapter names as its base is on this machine and is built otherwise. Names and paths may differ.

    Args:
        model: The base model. Its layers are wrapped in place.
        folder: What peft saved: `adapter_config.json` and `adapter_model.safetensors`.

    Raises:
        InputError: There is none, its weights are pickled, or it was made for another model.
    """
    folder = Path(folder)
    if not (folder / "adapter_config.json").is_file():
        whole = " but a whole model, which is given as the model" if (Path(folder) / "config.json").is_file() else ""
        raise InputError(f"{folder}: no adapter there (adapter_config.json is missing){whole}")
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        raise InputError(
            f"{folder}: the adapter has no weights ({weights.name} is missing; pickled ones are not read, as pickle "
            "can run code): save it with a newer peft"
        )
    try:
        base = PeftConfig.from_pretrained(str(folder)).base_model_name_or_path
        with safe_open(weights, framework="pt") as file:
            saved = set(file.keys())
    except (*STUMBLES, SafetensorError) as error:
        raise InputError(f"{folder}: the adapter is damaged: {first_line(error)}") from error
    if base is not None:
        _check_base(model, base, folder)
    try:
        with _quiet():
            adapted = PeftModel.from_pretrained(model, str(folder))
    except (*STUMBLES, RuntimeError) as error:
        raise InputError(f"{folder}: the adapter does not fit this model: {first_line(error)}") from error
    places = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    # Embeddings may be saved with an adapter. What has no place peft would leave out without a word.
    if odd := sorted((places - saved) | (saved - places - set(adapted.state_dict()))):
        raise InputError(
            f"{folder}: the adapter was made for another model: {len(odd)} of its layers are not this model's, such as "
            f"{odd[0]}; name the base model that it was made for"
        )
    return adapted


def _check_base(model: PreTrainedModel, recorded: str, folder: Path) -> None:
    """Compare the model with the one that the adapter names as its base, where that one is on this machine."""
    try:
        base = AutoConfig.from_pretrained(recorded, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError):
        return
    for name in ("model_type", "num_hidden_layers", "hidden_size", "vocab_size"):
        theirs, ours = (getattr(config.get_text_config(), name, None) for config in (base, model.config))
        if theirs != ours:
            raise InputError(
                f"{folder}: the adapter was made for {recorded}, whose {name} is {theirs}, and this model's is {ours}; "
                "name the base model that it was made for"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # Peft asks transformers for a property by its old name; nobody who reads the warning can do anything.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        # An error here.
        warnings.filterwarnings("ignore", "Found missing adapter keys", UserWarning)
        yield
