from __future__ import annotations

import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import make_model, make_tokenizer, save
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from calibfast.errors import InputError, MissingExtraError
from calibfast.models.extra import require_train_extra
from calibfast.models.load import load_model


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("tiny"))


def test_a_saved_folder_comes_back(tiny_folder):
    model, tokenizer = load_model(tiny_folder, device="cpu")
    assert not model.training
    assert model.dtype == torch.float32
    expected = make_model(len(tokenizer)).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert tokenizer("ab")["input_ids"][0] == 1


def test_dtype(tiny_folder):
    assert load_model(tiny_folder, dtype="bfloat16", device="cpu")[0].dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["runs/aligne", "runs/a/model", "./model"])
def test_a_mistyped_folder_is_not_sought_on_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(InputError, match="no such folder"):
        load_model(name)


def test_what_cannot_be_loaded(tiny_folder, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_model(tmp_path / "absent")
    with pytest.raises(InputError, match="no such file"):
        load_model(tmp_path / "absent.gguf")
    with pytest.raises(InputError, match="device 'quantum'"):
        load_model(tiny_folder, device="quantum")
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"2 \.gguf files; name one"):
        load_model(tmp_path)


def copy_without(tiny_folder, folder, *names):
    shutil.copytree(tiny_folder, folder, ignore=shutil.ignore_patterns(*names))
    return folder


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["*"], "holds no model"),
        (["config.json", "*.safetensors"], "holds only a tokenizer"),
        (["*.safetensors"], "holds a config and no weights"),
        (["tokenizer*"], "no tokenizer could be loaded"),
    ],
)
def test_a_folder_that_is_not_whole(tiny_folder, tmp_path, names, message):
    with pytest.raises(InputError, match=message):
        load_model(copy_without(tiny_folder, tmp_path / "model", *names), device="cpu")


def test_an_adapter_is_no_model(tmp_path):
    (tmp_path / "adapter_config.json").touch()
    with pytest.raises(InputError, match="an adapter, not a model"):
        load_model(tmp_path)


def test_pickled_weights_are_refused(tiny_folder, tmp_path):
    folder = copy_without(tiny_folder, tmp_path / "model", "*.safetensors")
    torch.save(make_model().state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled \(pytorch_model.bin\), and pickle can run code; convert them"):
        load_model(folder, device="cpu")


def test_weights_that_are_not_whole(tiny_folder, tmp_path, capfd):
    folder = copy_without(tiny_folder, tmp_path / "model")
    file = folder / "model.safetensors"
    weights = load_file(file)
    save_file({name: weights[name] for name in weights if "up_proj" not in name}, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"2 weights are missing .*, such as model\.layers\.0\.mlp\.up_proj\.weight"):
        load_model(folder, device="cpu")
    save_file(weights | {"lm_head.weight": torch.zeros(2, 32)}, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"1 weights are .*, such as lm_head\.weight"):
        load_model(folder, device="cpu")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="no causal language model could be loaded"):
        load_model(folder, device="cpu")
    assert capfd.readouterr().err == ""  # no bars, no tables


def test_a_models_own_code_is_not_run(tiny_folder, tmp_path):
    folder = copy_without(tiny_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": classes}))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(InputError, match="could be loaded"):
        load_model(folder, device="cpu")
    assert not (tmp_path / "ran").exists()


def test_the_library_keeps_its_verbosity(tiny_folder):
    before = logging.get_verbosity()
    load_model(tiny_folder, device="cpu")
    assert logging.get_verbosity() == before


def test_packing_without_its_library(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingExtraError, match=r"loading in 4bit needs the extra 'quantize': pip install"):
        load_model(tiny_folder, quantize="4bit")


@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_packing(tmp_path, quantize):
    pytest.importorskip("bitsandbytes")
    # bitsandbytes packs blocks of 64.
    wide = LlamaForCausalLM(LlamaConfig(vocab_size=103, hidden_size=64, intermediate_size=128, num_hidden_layers=2))
    wide.save_pretrained(tmp_path / "wide")
    make_tokenizer().save_pretrained(tmp_path / "wide")
    model, _ = load_model(tmp_path / "wide", device="cpu", quantize=quantize)
    row = torch.tensor([[1, 40, 41, 42]])
    with torch.no_grad():
        packed, whole = model(row).logits, wide(row).logits
    assert 0.9 < torch.corrcoef(torch.stack([packed.flatten(), whole.flatten()]))[0, 1] < 0.99999
    (tmp_path / "model.gguf").touch()
    with pytest.raises(InputError, match="GGUF weights are unpacked"):
        load_model(tmp_path, quantize=quantize)


def test_a_missing_library_names_the_extra(monkeypatch):
    require_train_extra("calibfast train")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"calibfast train needs the extra 'train': pip install"):
        require_train_extra("calibfast train")
