"""A GGUF file, written here, and the same model as transformers made it."""

from __future__ import annotations

import gguf
import pytest
import torch
from tiny import make_model, make_tokenizer
from transformers import LlamaForCausalLM

from calibfast.models.load import load_model

MERGES = (("a", "b"), ("c", "d"))
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers": "blk",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write(path, model, tokenizer):
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    vocabulary = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    writer.add_token_list(vocabulary)
    writer.add_token_types([3] * 3 + [1] * (len(vocabulary) - 3))
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            # llama.cpp turns neighbouring pairs where transformers turns halves.
            value = value.reshape(config.num_attention_heads, 2, -1, config.hidden_size).transpose(1, 2)
            value = value.reshape(config.hidden_size, -1)
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        writer.add_tensor(name, value.numpy().copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(("named", "tied"), [(True, False), (False, True)])
def test_a_gguf_file_comes_back(tmp_path, capfd, named, tied):
    expected = make_tokenizer(MERGES)
    config = make_model(len(expected)).config
    config.tie_word_embeddings = tied
    model = LlamaForCausalLM(config).eval()
    write(tmp_path / "tiny.gguf", model, expected)
    capfd.readouterr()
    loaded, tokenizer = load_model(tmp_path / "tiny.gguf" if named else tmp_path, device="cpu")
    assert tokenizer.convert_tokens_to_ids(["A", "ab"]) == expected.convert_tokens_to_ids(["A", "ab"])
    assert capfd.readouterr().err == ""  # no bars
    row = torch.tensor([[1, 40, 41, 42]])
    with torch.no_grad():
        torch.testing.assert_close(loaded(row).logits, model(row).logits)
