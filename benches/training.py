"""Time training and scoring beside the usual way of doing each. Needs the extra `train`, and trl.

    python benches/training.py [--model PATH] [--rounds N]

- An SFT1 update beside that of trl's SFTTrainer on the same model, tokens and batch, each in a process of its own.
- An epoch of rcft with a running and with a full E-step beside one of plain SFT2.
- Scoring a cloze of four options, packed behind one context, beside a forward for each option over padded rows.

Without --model it is a Llama of 35 million parameters with a vocabulary of 32,768 words. Rounds take turns. On a CPU
the clock is that of the process, and there is one thread, as other work may share the machine. What came out is on
docs/results/training-speed.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from transformers.utils import logging
from typing_extensions import override

from calibfast.data.questions import Question
from calibfast.evaluation.options import score_encoded
from calibfast.models.adapter import add_lora
from calibfast.models.encoding import encode_questions
from calibfast.models.load import load_model
from calibfast.training.config import TrainingConfig
from calibfast.training.fit import fit
from calibfast.training.held_out import HeldOutEvaluation

if TYPE_CHECKING:
    from calibfast.models.encoding import EncodedQuestion

BATCH, QUESTIONS, RANK = 8, 48, 32


def make_model(source: str | None) -> tuple[Any, Any]:
    if source is not None:
        return load_model(source)
    words = ["<unk>", "<s>", "</s>", *"ABCDE.:", "Question", "Answer"]
    words += [f"word{number}" for number in range(32768 - len(words))]
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config), tokenizer


def make_questions(tokenizer: Any, count: int) -> list[Question]:
    """Questions of 20 to 40 of the tokenizer's own words, with four options of 2 to 6 (ARC's are like that)."""
    draw = random.Random(0)
    own = [tokenizer.decode([index]).strip() for index in draw.sample(range(len(tokenizer)), 4000)]
    words = [word for word in own if word.isalnum() and len(word) > 2]

    def text(least: int, most: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(least, most)))

    return [
        Question(str(number), None, text(20, 40), tuple(text(2, 6) for _ in range(4)), draw.randrange(4))
        for number in range(count)
    ]


def clock() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


class Updates(TrainerCallback):
    """Times updates, and notes the memory that training takes beyond what stood before it."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.before = self.peak = 0.0

    @override
    def on_train_begin(self, *_: Any, **__: Any) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.before = memory("VmRSS")

    @override
    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(clock())

    @override
    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.peak = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else memory("VmHWM")


def memory(name: str) -> float:
    """MB of this process, as Linux counts them."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) / 1024


def measure_updates(side: str, source: str | None) -> dict[str, float]:
    """The median time and the memory of SFT1 updates, by one side's trainer."""
    model, tokenizer = make_model(source)
    held_out, *questions = make_questions(tokenizer, QUESTIONS + 1)
    updates = Updates()
    if side == "calibfast":
        config = TrainingConfig(method="cft", epochs=1, batch_size=BATCH, lora_r=RANK)
        with mock.patch("calibfast.training.fit.ProgressBar", return_value=updates):
            fit(model, tokenizer, questions, [held_out], config)
    else:
        train_with_trl(model, tokenizer, questions, updates)
    times = [end - begin for begin, end in itertools.pairwise(updates.ends)]
    return {"seconds": statistics.median(times), "mb": updates.peak - updates.before}


def train_with_trl(model: Any, tokenizer: Any, questions: list[Question], updates: Updates) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"input_ids": [*row.context, *row.options[question.answer]], "completion_mask": [0] * len(row.context) + [1]}
        for row, question in zip(encode_questions(tokenizer, questions), questions, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        arguments = SFTConfig(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            max_length=None,
            completion_only_loss=True,
            bf16=False,
            gradient_checkpointing=False,
            dataloader_pin_memory=False,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        )
        SFTTrainer(
            model=add_lora(model, RANK, 2 * RANK),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[updates],
        ).train()


def in_a_process_of_its_own(side: str, source: str | None) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", side, *(["--model", source] if source else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_epoch(source: str | None, method: str, **settings: Any) -> float:
    """The second epoch with its E-step. One question is held out, whose evaluation takes no time to speak of."""
    model, tokenizer = make_model(source)
    questions = make_questions(tokenizer, QUESTIONS + 1)
    config = TrainingConfig(method=method, epochs=2, batch_size=BATCH, lora_r=RANK, **settings)
    ends: list[float] = []
    evaluate = HeldOutEvaluation.evaluate

    def noted(evaluation: HeldOutEvaluation, model: torch.nn.Module, epoch: int) -> None:
        evaluate(evaluation, model, epoch)
        ends.append(clock())

    with mock.patch.object(HeldOutEvaluation, "evaluate", noted):
        fit(model, tokenizer, questions[1:], questions[:1], config, progress=False)
    return ends[2] - ends[1]


@torch.no_grad()
def score_one_by_one(model: Any, encoded: list[EncodedQuestion]) -> torch.Tensor:
    """(N, 4) scores by the usual way: for each option of a batch, a forward over padded rows of prompt and option."""
    scores = torch.zeros(len(encoded), 4)
    order = sorted(range(len(encoded)), key=lambda index: -len(encoded[index].context))
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        for option in range(4):
            texts = [torch.tensor([*encoded[row].context, *encoded[row].options[option]]) for row in rows]
            ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True).to(model.device)
            lengths = torch.tensor([len(text) for text in texts])
            mask = (torch.arange(ids.shape[1]) < lengths[:, None]).to(model.device)
            logs = model(input_ids=ids, attention_mask=mask.long(), use_cache=False).logits.float().log_softmax(2)
            said = logs[:, :-1].gather(2, ids[:, 1:, None])[:, :, 0].cpu()
            for place, row in enumerate(rows):
                own = slice(len(encoded[row].context) - 1, lengths[place] - 1)
                scores[row, option] = said[place, own].sum()
    return scores


def measure_scoring(source: str | None) -> dict[str, float]:
    model, tokenizer = make_model(source)
    model.eval()
    encoded = encode_questions(tokenizer, make_questions(tokenizer, QUESTIONS), "cloze")

    def score() -> torch.Tensor:
        return torch.from_numpy(score_encoded(model, encoded, batch_size=BATCH))

    def score_apart() -> torch.Tensor:
        with mock.patch("calibfast.evaluation.options.can_pack", return_value=False):
            return score()

    seconds, found = {}, {}
    for name, work in {
        "packed": score,
        "apart": score_apart,
        "one by one": lambda: score_one_by_one(model, encoded),
    }.items():
        began = clock()
        found[name] = work()
        seconds[name] = clock() - began
    torch.testing.assert_close(found["packed"], found["one by one"], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(found["apart"], found["one by one"], rtol=1e-3, atol=1e-2)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if chosen.side:
        print(json.dumps(measure_updates(chosen.side, chosen.model)))
        return 0
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(chosen.rounds):
        print(f"round {number + 1} of {chosen.rounds}", file=sys.stderr)
        for side in ("calibfast", "trl"):
            for name, value in in_a_process_of_its_own(side, chosen.model).items():
                found[f"{side} {name}"].append(value)
        found["sft2"].append(measure_epoch(chosen.model, "sft2"))
        for policy in ("running", "full"):
            found[policy].append(measure_epoch(chosen.model, "rcft", estep=policy))
        for name, value in measure_scoring(chosen.model).items():
            found[name].append(value)
    rows, missed = [], False
    for name, usual, own, aim in [
        ("SFT1 update, seconds; trl", "trl seconds", "calibfast seconds", 0.9),
        ("its memory beyond the model, MB; trl", "trl mb", "calibfast mb", 0.9),
        ("rcft epoch, `estep=running`; sft2", "sft2", "running", 1.05),
        ("rcft epoch, `estep=full`; sft2", "sft2", "full", 1.5),
        ("cloze of 4 options, packed; a forward for each option", "one by one", "packed", 1 / 2.5),
        ("the same, a row for each option, few logits", "one by one", "apart", None),
    ]:
        ratios = [here / there for here, there in zip(found[own], found[usual], strict=True)]
        ratio = statistics.median(ratios)
        missed |= aim is not None and ratio > aim
        rows.append(
            f"| {name} | {statistics.median(found[usual]):.4g} | {statistics.median(found[own]):.4g} | "
            f"{ratio:.2f} [{min(ratios):.2f} to {max(ratios):.2f}] | {'' if aim is None else f'{aim:.2f}'} |"
        )
    print("\n".join(rows))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
