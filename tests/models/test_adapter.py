from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from calibfast.errors import InputError
from calibfast.models.adapter import add_lora, load_adapter
from calibfast.models.load import load_model

ROW = torch.tensor([[1, 40, 41, 42]])


def make_llama(layers=2, vocabulary=103, width=64, tied=False):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        initializer_range=0.2,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config).eval()


def adapt(model, folder):
    """Save an adapter that changes what the model says, and give back the logits with it."""
    adapted = add_lora(model, r=2, alpha=4)
    torch.manual_seed(1)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return logits(adapted)


def logits(model):
    with torch.no_grad():
        return model.eval()(ROW).logits


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    adapt(make_llama(), folder)
    return folder


@pytest.mark.parametrize("tied", [False, True])
def test_an_adapter_comes_back(tmp_path, tied):
    make_llama(tied=tied).save_pretrained(tmp_path / "model")
    make_tokenizer().save_pretrained(tmp_path / "model")
    model, _ = load_model(tmp_path / "model", device="cpu")
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    expected = adapt(model, tmp_path / "adapter")
    assert not torch.equal(expected, logits(make_llama(tied=tied)))
    loaded = load_adapter(load_model(tmp_path / "model", device="cpu")[0], tmp_path / "adapter")
    assert not loaded.training
    assert torch.equal(logits(loaded), expected)


@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_an_adapter_on_a_packed_model(tmp_path, quantize):
    pytest.importorskip("bitsandbytes")
    make_llama().save_pretrained(tmp_path / "model")
    make_tokenizer().save_pretrained(tmp_path / "model")
    expected = adapt(load_model(tmp_path / "model", device="cpu", quantize=quantize)[0], tmp_path / "adapter")
    loaded = load_adapter(load_model(tmp_path / "model", device="cpu", quantize=quantize)[0], tmp_path / "adapter")
    # The 4-bit kernel for CPUs rounds as it likes.
    assert torch.corrcoef(torch.stack([logits(loaded).flatten(), expected.flatten()]))[0, 1] > 0.999


def test_what_is_no_whole_adapter(tmp_path, adapter):
    with pytest.raises(InputError, match="no adapter there"):
        load_adapter(make_llama(), tmp_path)
    config = (adapter / "adapter_config.json").read_text()
    (tmp_path / "adapter_config.json").write_text(config)
    (tmp_path / "adapter_model.bin").touch()
    with pytest.raises(InputError, match=r"adapter_model.safetensors is missing; pickled ones are not read"):
        load_adapter(make_llama(), tmp_path)
    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes((adapter / weights.name).read_bytes()[:-8])
    with pytest.raises(InputError, match="the adapter is damaged"):
        load_adapter(make_llama(), tmp_path)
    (tmp_path / "adapter_config.json").write_text(config[:-9])
    with pytest.raises(InputError, match="the adapter is damaged"):
        load_adapter(make_llama(), tmp_path)


def test_shapes_of_another_model(adapter):
    with pytest.raises(InputError, match="does not fit this model"):
        load_adapter(make_llama(width=32), adapter)


def test_layers_of_another_model(tmp_path):
    adapt(make_llama(layers=3), tmp_path)
    with pytest.raises(InputError, match=r"made for another model: 14 of its .*, such as .*layers\.2\."):
        load_adapter(make_llama(), tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    weights = load_file(file)
    save_file({name: weights[name] for name in weights if "layers.0" not in name}, file)
    with pytest.raises(InputError, match="made for another model"):
        load_adapter(make_llama(layers=3), tmp_path)


def test_another_model_of_the_same_shapes(tmp_path):
    make_llama(vocabulary=90).save_pretrained(tmp_path / "base")
    adapt(LlamaForCausalLM.from_pretrained(tmp_path / "base"), tmp_path / "adapter")
    with pytest.raises(InputError, match="whose vocab_size is 90, and this model's is 103; name the base"):
        load_adapter(make_llama(), tmp_path / "adapter")
    # A base at another path, or one that is not here any more, is none of these.
    (tmp_path / "base").rename(tmp_path / "moved")
    load_adapter(LlamaForCausalLM.from_pretrained(tmp_path / "moved"), tmp_path / "adapter")


def test_lora_leaves_the_output_layer_and_the_weights_alone():
    adapted = add_lora(make_llama(), r=2, alpha=4)
    trained = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert len(trained) == 2 * 2 * 7  # A and B, on seven projections of two layers
    assert all("lora_" in name and "lm_head" not in name for name in trained)
