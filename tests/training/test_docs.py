"""The examples of docs/training.md, on a tiny model."""

from __future__ import annotations

import doctest
from pathlib import Path

from tiny import make_model, make_questions, make_tokenizer
from transformers import PrinterCallback, Trainer, TrainingArguments, default_data_collator

from calibfast.models.encoding import encode_questions


def test_python_examples(tmp_path):
    model, tokenizer, questions = make_model(), make_tokenizer(), make_questions(12)
    rows = [
        {"input_ids": row.context[-16:], "labels": row.context[-16:]} for row in encode_questions(tokenizer, questions)
    ]
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, num_train_epochs=1, disable_tqdm=True, report_to="none")
    trainer = Trainer(
        model, arguments, data_collator=default_data_collator, train_dataset=rows, processing_class=tokenizer
    )
    trainer.remove_callback(PrinterCallback)
    given = {"trainer": trainer, "model": model, "tokenizer": tokenizer, "questions": questions}
    page = Path(__file__).parents[2] / "docs" / "training.md"
    result = doctest.testfile(str(page), module_relative=False, globs=given)
    assert result.attempted > 10
    assert result.failed == 0
