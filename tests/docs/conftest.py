"""What the pages find: small real inputs under the names that the pages give them."""

from __future__ import annotations

import gzip
import json
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pytest
import torch
from docs.pages import ROOT
from pyarrow import parquet
from tiny import make_model, make_questions, make_tokenizer, save
from transformers import (
    LlamaForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

from calibfast.models.encoding import encode_questions

LOGS = ROOT / "tests" / "data_logs"


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder that each page gets a copy of."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "tests").symlink_to(ROOT / "tests")
    write_predictions(folder)
    write_logs(folder)
    save(folder / "model", chat=True)
    for name, seed in ("train", 0), ("test", 1):
        questions = make_questions(60, seed)
        known = [vars(row) | {"truth": [1 / len(row.choices)] * len(row.choices)} for row in questions]
        write_lines(folder / f"{name}.jsonl", known)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress((folder / f"{name}.jsonl").read_bytes()))
    facts = [{"question": f"{word}?", "answers": [word[:1]], "subject": word[-1:]} for word in ("ab", "cb", "dz", "ez")]
    write_lines(folder / "facts.jsonl", facts * 3)
    rows = [f"{fact['question']}\t{json.dumps(fact['answers'])}\t{fact['subject']}\n" for fact in facts * 3]
    (folder / "popqa.tsv").write_text("question\tpossible_answers\tprop\n" + "".join(rows))
    (folder / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 20)
    return folder


def write_lines(path, objects):
    path.write_text("".join(json.dumps(each) + "\n" for each in objects))


def write_predictions(folder):
    draw = np.random.default_rng(0)
    probs = draw.dirichlet([1, 1, 1, 1], 2000).astype(np.float32)
    labels = (probs.cumsum(axis=1) < draw.random((2000, 1))).sum(axis=1).clip(max=3)
    sharper = probs**2 / (probs**2).sum(axis=1, keepdims=True)
    columns = {"labels": labels, "half": np.arange(2000) % 2 + 1, "subject": np.array(["law", "physics"])[labels % 2]}
    for name, p in ("preds", probs), ("a", sharper), ("b", probs), ("before", sharper), ("after", probs):
        np.savez(folder / f"{name}.npz", probs=p, **columns)
    np.savez(
        folder / "other.npz", probs=probs[::-1] ** 2 / (probs[::-1] ** 2).sum(axis=1, keepdims=True), labels=labels
    )
    np.save(folder / "probs.npy", probs)
    np.save(folder / "labels.npy", labels)
    confidence, correct = probs.max(axis=1), probs.argmax(axis=1) == labels
    np.save(folder / "preds.npy", np.stack([confidence, correct], axis=1))
    np.save(folder / "more.npy", np.stack([confidence, correct], axis=1)[:100])
    np.savez(folder / "rest.npz", confidence=confidence[:100], correct=correct[:100])
    table = {"confidence": confidence, "correct": correct, "subject": columns["subject"], "user": np.arange(2000) % 50}
    lines = zip(*(column.tolist() for column in table.values()), strict=True)
    rows = "".join(f"{p!r},{int(y)},{subject},{user}\n" for p, y, subject, user in lines)
    (folder / "preds.csv").write_text("confidence,correct,subject,user\n" + rows)
    parquet.write_table(pa.table(table), folder / "predictions.parquet")
    for name, first in ("shards", 0), ("more", 500), ("monday", 1000), ("tuesday", 1500):
        (folder / name).mkdir()
        for part in range(2):
            rows = pa.table(table).slice(first + 250 * part, 250)
            parquet.write_table(rows, folder / name / f"{part}.parquet")


def write_logs(folder):
    shutil.copy(LOGS / "lm_eval_0.4.13_bytes.jsonl", folder / "samples_arc_easy_2024-07-05T10-11-12.345678.jsonl")
    (folder / "results" / "MODEL").mkdir(parents=True)
    shutil.copy(LOGS / "lm_eval_0.4.13_texts.jsonl", folder / "results" / "MODEL" / "samples_arc_easy.jsonl")
    run = "mmlu:subject=anatomy,method=multiple_choice_joint,model=MODEL"
    shutil.copytree(LOGS / "helm_0.5.16_joint", folder / "benchmark_output" / "runs" / "SUITE" / run)


@pytest.fixture
def names(tmp_path):
    """What the Python code of a page finds that another part of the user's program would have made."""
    plt.switch_backend("agg")
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    makers = {"dropins.md": lightning, "trainer.md": trainers, "training.md": language_model}
    yield lambda page: makers.get(page.name, lambda _: {})(tmp_path)
    torch.set_num_threads(threads)
    plt.close("all")


class QuietTrainer(Trainer):
    """A Trainer that prints nothing."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.remove_callback(PrinterCallback)


def lightning(folder):
    switched_off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return {"quiet": {"accelerator": "cpu", "default_root_dir": folder, **dict.fromkeys(switched_off, False)}}


def language_model(folder):
    return {"model": make_model(), "tokenizer": make_tokenizer(), "questions": make_questions(12)}


def trainers(folder):
    given = language_model(folder)
    contexts = [encoded.context[-16:] for encoded in encode_questions(given["tokenizer"], given["questions"])]
    settings = TrainingArguments(str(folder), use_cpu=True, num_train_epochs=1, disable_tqdm=True, report_to="none")
    trainer = QuietTrainer(
        given["model"],
        settings,
        data_collator=default_data_collator,
        train_dataset=[{"input_ids": context, "labels": context} for context in contexts],
        processing_class=given["tokenizer"],
    )
    config = make_model().config
    config.update({"num_labels": 3, "pad_token_id": 0})
    return {
        "trainer": trainer,
        "questions": given["questions"],
        "Trainer": QuietTrainer,
        "classifier": LlamaForSequenceClassification(config),
        "arguments": settings,
        "rows": [{"input_ids": [5, 6, row], "label": row % 3} for row in range(20)],
    }
