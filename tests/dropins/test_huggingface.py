"""`compute_metrics` in a real Trainer; the module as `evaluate` would call it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from reference import calibration as reference
from tiny import make_model
from transformers import (
    BertConfig,
    BertForMultipleChoice,
    EvalPrediction,
    LlamaForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

import calibfast
from calibfast import InputError
from calibfast.huggingface import CalibrationModule, compute_metrics

RNG = np.random.default_rng(0)
PROBS, LABELS = RNG.dirichlet([0.5] * 4, 300), RNG.integers(0, 4, 300)


def make_trainer(folder, model, rows, **more):
    trainer = Trainer(
        model,
        TrainingArguments(
            str(folder),
            use_cpu=True,
            disable_tqdm=True,
            report_to="none",
            num_train_epochs=1,
            eval_strategy="epoch",
            save_strategy="no",
            per_device_eval_batch_size=7,
        ),
        data_collator=more.pop("data_collator", default_data_collator),
        train_dataset=rows,
        eval_dataset=rows,
        compute_metrics=partial(compute_metrics, bins=15),
        **more,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def check(found, logits, labels):
    probs = reference.softmax(logits)
    assert found["eval_conf_ece"] == pytest.approx(reference.confidence_error(probs, labels, 15))
    assert found["eval_cw_ece"] == pytest.approx(reference.classwise_error(probs, labels, 15))
    assert found["eval_accuracy"] == np.mean(probs.argmax(1) == labels)
    assert found["eval_nll"] == pytest.approx(reference.nll(probs, labels))
    assert found["eval_brier"] == pytest.approx(reference.brier(probs, labels))


def test_sequence_classification(tmp_path):
    config = make_model().config
    config.update({"num_labels": 3, "pad_token_id": 0})
    torch.manual_seed(0)
    rows = [{"input_ids": RNG.integers(3, 100, 6), "label": int(RNG.integers(3))} for _ in range(30)]
    trainer = make_trainer(tmp_path, LlamaForSequenceClassification(config), rows)
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "eval_conf_ece" in entry]
    assert len(logged) == 1
    found = trainer.predict(rows)
    check(logged[0], found.predictions, found.label_ids)


def test_multiple_choice_of_differing_numbers(tmp_path):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    # A batch holds questions of one number of options; the trainer puts batches of two and of three together.
    rows = [
        {"input_ids": RNG.integers(0, 100, (2 + row // 7 % 2, 5)), "label": int(RNG.integers(2))} for row in range(28)
    ]
    trainer = make_trainer(tmp_path, BertForMultipleChoice(config), rows)
    found = trainer.evaluate()
    predicted = trainer.predict(rows)
    assert (predicted.predictions == -100).sum() == 14
    logits, labels = predicted.predictions.astype(np.float64), predicted.label_ids
    logits[logits == -100] = -np.inf
    mask, probs = logits > -np.inf, reference.softmax(logits)
    assert found["eval_conf_ece"] == pytest.approx(reference.confidence_error(probs.astype(np.float64), labels, 15))
    assert found["eval_cw_ece"] == pytest.approx(reference.classwise_error(probs, labels, 15, mask=mask))
    assert found["eval_accuracy"] == np.mean(probs.argmax(1) == labels)


def test_a_tuple_starts_with_the_logits():
    logits, labels = np.log(PROBS), np.where(np.arange(300) < 9, -100, LABELS)
    found = compute_metrics(EvalPrediction((logits, np.zeros((300, 8))), labels))
    assert found["conf_ece"] == calibfast.ece(logits[9:], labels[9:], logits=True)


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        (np.zeros((4, 7, 50)), np.zeros((4, 7), int), "expected.*options"),
        (np.zeros((4, 1)), np.zeros(4), "labels have type float64"),
        (np.zeros((4, 2)), np.full(4, -100), "no rows"),
    ],
)
def test_what_is_no_choice(predictions, labels, message):
    with pytest.raises(InputError, match=message):
        compute_metrics(EvalPrediction(predictions, labels))


def test_a_module_takes_rows_batches_and_all():
    module = CalibrationModule(15)
    report = calibfast.evaluate(PROBS, LABELS, bins=15)
    all_at_once = module.compute(predictions=PROBS, references=LABELS)
    assert all_at_once == {name: getattr(report, name) for name in ("conf_ece", "cw_ece", "accuracy", "nll", "brier")}
    for p, label in zip(PROBS[:10].tolist(), LABELS[:10].tolist(), strict=True):
        module.add(prediction=p, reference=label)
    module.add_batch(predictions=torch.from_numpy(PROBS[10:200]), references=torch.from_numpy(LABELS[10:200]))
    assert module.compute(predictions=PROBS[200:], references=LABELS[200:]) == all_at_once
    with pytest.raises(InputError, match="no rows"):
        module.compute()  # it starts anew each time


def test_a_module_of_logits_and_of_confidences():
    module = CalibrationModule(logits=True)
    module.add(prediction=np.log(PROBS[0]), reference=LABELS[0])
    assert module.compute()["conf_ece"] == calibfast.ece(np.log(PROBS[:1]), LABELS[:1], logits=True)
    found = CalibrationModule().compute(predictions=[0.75, 0.5], references=[True, False])
    assert sorted(found) == ["accuracy", "brier", "conf_ece", "nll"]
    with pytest.raises(InputError, match="go together"):
        module.compute(predictions=PROBS)
