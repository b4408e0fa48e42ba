"""A tiny causal model with a real tokenizer, made in a second, and questions for it."""

from __future__ import annotations

import json
import random
import string

import torch
from tokenizers import Tokenizer, models, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from calibfast.data.questions import Question

CHAT_TEMPLATE = (
    "{% for message in messages %}<user>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>:{% endif %}"
)


def make_tokenizer(merges=(), chat=False, closing=False):
    """One token a character, the given merges on top, and BOS (and, where `closing`, EOS) around a text."""
    tokens = ["<unk>", "<s>", "</s>", *string.printable, *("".join(pair) for pair in merges)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges), unk_token="<unk>"))
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>" if closing else "<s> $A", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        chat_template=CHAT_TEMPLATE if chat else None,
    )


def make_model(vocabulary=103, seed=0):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


def save(folder, chat=False):
    """A tiny model as a folder that transformers saved."""
    tokenizer = make_tokenizer(chat=chat)
    make_model(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_questions(count, seed=0):
    """Questions with 2 to 5 options; the right one is the option that the text ends in."""
    draw = random.Random(seed)
    questions = []
    for index in range(count):
        choices = draw.sample(string.ascii_lowercase, draw.randint(2, 5))
        answer = draw.randrange(len(choices))
        text = "z" * draw.randint(1, 8) + " " + choices[answer]
        questions.append(Question(f"q{index}", None, text, tuple(choices), answer))
    return questions


def write_questions(path, count, seed=0):
    """The same questions as a file."""
    rows = [
        {"id": row.id, "question": row.question, "choices": row.choices, "answer": row.answer}
        for row in make_questions(count, seed)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
