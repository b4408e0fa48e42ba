"""The examples of docs/dropins.md."""

from __future__ import annotations

import doctest
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from tiny import make_model
from transformers import LlamaForSequenceClassification, PrinterCallback, Trainer, TrainingArguments


class QuietTrainer(Trainer):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.remove_callback(PrinterCallback)


@pytest.mark.filterwarnings("ignore")  # Lightning's advice
def test_python_examples(tmp_path):
    mpl.use("agg")
    torch.manual_seed(0)
    config = make_model().config
    config.update({"num_labels": 3, "pad_token_id": 0})
    given = {
        "quiet": {
            "accelerator": "cpu",
            "default_root_dir": tmp_path,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        },
        "model": LlamaForSequenceClassification(config),
        "arguments": TrainingArguments(str(tmp_path), use_cpu=True, disable_tqdm=True, report_to="none"),
        "rows": [{"input_ids": [5, 6, row], "label": row % 3} for row in range(20)],
        "Trainer": QuietTrainer,
    }
    page = Path(__file__).parents[2] / "docs" / "dropins.md"
    result = doctest.testfile(str(page), module_relative=False, globs=given)
    assert result.attempted > 20
    assert result.failed == 0
    mpl.pyplot.close("all")
