"""A model and its tokenizer, from a folder, a GGUF file or a hub id."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager, nullcontext, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    GgufConfig,
)
from transformers.utils import logging

from calibfast.errors import STUMBLES, InputError, MissingExtraError, first_line
from calibfast.models.memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantize = Literal["none", "8bit", "4bit"]


def load_model(
    source: str | Path,
    *,
    revision: str | None = None,
    dtype: Dtype = "auto",
    device: str = "auto",
    quantize: Quantize = "none",
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model for scoring or training.

    Code that comes with a model is never run: neither its own Python files nor what pickled weights can hide, so that
    weights are read from safetensors and GGUF files alone.

    Args:
        source: A folder as transformers saves it, a folder that holds one `.gguf` file, a `.gguf` file, or a hub id.
        revision: Of a hub id: a branch, tag or commit. Default: the main branch.
        dtype: The weights' type. `auto` is float32 on a CPU, and what the model was saved in elsewhere.
        device: `auto` (an accelerator where there is one), `cpu`, `cuda`, `cuda:1`, `mps`, ...
        quantize: Pack the linear layers while loading, by bitsandbytes: `8bit` (LLM.int8, Dettmers et al. 2022) or
            `4bit` (NF4, Dettmers et al. 2023). An adapter can be trained on a packed model.

    Returns:
        The model in evaluation mode, and its tokenizer. GGUF weights are unpacked. A loading bar is shown on stderr if
        that is a terminal.

    Raises:
        InputError: No model or tokenizer could be loaded from there, or some of the model's weights are missing.
        MissingExtraError: `quantize` without bitsandbytes.
    """
    return _load(AutoModelForCausalLM, "causal language model", source, revision, dtype, device, quantize)


def load_reward_model(
    source: str | Path, *, dtype: Dtype = "auto", device: str = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a sequence classifier with one output, which tells how good a text is; else as `load_model`.

    Raises:
        InputError: See `load_model`; or the model has more outputs than one.
    """
    model, tokenizer = _load(AutoModelForSequenceClassification, "reward model", source, None, dtype, device, "none")
    if model.config.num_labels != 1:
        raise InputError(f"{source}: it has {model.config.num_labels} outputs; a reward model has one")
    return model, tokenizer


def _load(
    kind: Any,
    name_of_kind: str,
    source: str | Path,
    revision: str | None,
    dtype: Dtype,
    device: str,
    quantize: Quantize,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if quantize != "none" and find_spec("bitsandbytes") is None:
        raise MissingExtraError(f"loading in {quantize}", "quantize")
    place = _device(device)
    name, gguf = _locate(source)
    if gguf and quantize != "none":
        raise InputError(f"{source}: GGUF weights are unpacked here; quantize the model's safetensors folder instead")
    if revision is not None and Path(name).is_dir():
        raise InputError(f"{source}: a revision ({revision}) is one of a hub id, and this is a folder")
    source_options = gguf if revision is None else {**gguf, "revision": revision}
    options: dict[str, Any] = dict(source_options)
    if gguf:
        # Packed weights cannot be trained.
        options["quantization_config"] = GgufConfig(dequantize=True)
    if dtype != "auto":
        options["dtype"] = getattr(torch, dtype)
    elif place.type == "cpu":
        options["dtype"] = torch.float32
    else:
        options["dtype"] = "auto"
    if quantize != "none":
        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_8bit=quantize == "8bit",
            load_in_4bit=quantize == "4bit",
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16 if options["dtype"] == "auto" else options["dtype"],
        )
        options["device_map"] = {"": place}
    with _quiet():
        with _loading(source, "tokenizer"):
            # An explicit False: without it, transformers asks on a terminal whether to run a model's code.
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **source_options)
        with _loading(source, name_of_kind):
            loaded: Any = kind.from_pretrained(
                name,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
    model, loading = loaded
    # Transformers would go on with random numbers in their place.
    if wrong := sorted(loading["missing_keys"] | {name for name, *_ in loading["mismatched_keys"]}):
        raise InputError(
            f"{source}: {len(wrong)} weights are missing or not of the shape that its config says, such as {wrong[0]}; "
            f"fetch it again, or choose a model that was saved as a {name_of_kind}"
        )
    if quantize == "none":
        model.to(place)
    return model, tokenizer


def _device(device: str) -> torch.device:
    if device != "auto":
        try:
            return torch.device(device)
        except RuntimeError as error:
            raise InputError(f"device '{device}': {first_line(error)}") from error
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return torch.device("cpu") if accelerator is None else accelerator


def _locate(source: str | Path) -> tuple[str, dict[str, str]]:
    """What transformers calls the model, and the option that names its GGUF file."""
    path = Path(source).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise InputError(f"{source}: no such file")
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir():
        files = sorted(path.glob("*.gguf"))
        if not (path / "config.json").exists() and files:
            if len(files) > 1:
                raise InputError(f"{source} holds {len(files)} .gguf files; name one, such as {files[0]}")
            return str(path), {"gguf_file": files[0].name}
        _check_folder(path)
        return str(path), {}
    # A hub id is one name, or two; where the first is a folder here, the second was meant to be in it.
    local = path.is_absolute() or len(path.parts) > 2 or (path.parent != Path() and path.parent.is_dir())
    if path.exists() or local or str(source).startswith((".", "~")):
        raise InputError(f"{source}: no such folder; a model is a folder, a .gguf file or a hub id")
    return str(source), {}


def _check_folder(path: Path) -> None:
    """Say what is missing in a model's folder, as transformers would name files that need not be there."""
    if not (path / "config.json").is_file():
        if (path / "adapter_config.json").is_file():
            raise InputError(
                f"{path}: an adapter, not a model; name the model it was made for, and this as its adapter"
            )
        what = "only a tokenizer" if any(path.glob("tokenizer*")) else "no model"
        raise InputError(f"{path} holds {what} (config.json is missing); save or download the model there, too")
    if not any(path.glob("*.safetensors")):
        pickled = next((file for pattern in ("*.bin", "*.pt", "*.pth") for file in sorted(path.glob(pattern))), None)
        if pickled is not None:
            raise InputError(
                f"{path}: its weights are pickled ({pickled.name}), and pickle can run code; convert them, where you "
                "trust them, with transformers: from_pretrained(folder).save_pretrained(another)"
            )
        raise InputError(f"{path} holds a config and no weights (*.safetensors); fetch the model again")


@contextmanager
def _loading(source: str | Path, what: str) -> Iterator[None]:
    try:
        yield
    except (*STUMBLES, ImportError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        raise InputError(f"{source}: no {what} could be loaded: {first_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Loading bars on terminals only, and no tables of weights: those that matter are errors."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    # Not by transformers' switch for bars, which leaves the one of GGUF files on.
    with nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO()):
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
