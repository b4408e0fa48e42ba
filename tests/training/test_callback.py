from __future__ import annotations

import json

import pytest
import torch
from tiny import make_model, make_questions, make_tokenizer
from transformers import PrinterCallback, Trainer, TrainingArguments, default_data_collator

import calibfast.training
from calibfast.data.questions import Question
from calibfast.errors import InputError
from calibfast.evaluation.options import score_options
from calibfast.models.encoding import encode_questions
from calibfast.training import CalibrationCallback

TOKENIZER = make_tokenizer()
QUESTIONS = make_questions(24)
TRAIN, ASKED = QUESTIONS[:12], QUESTIONS[12:]
ROWS = [{"input_ids": row.context[-16:], "labels": row.context[-16:]} for row in encode_questions(TOKENIZER, TRAIN)]


def make_trainer(folder, **arguments):
    chosen = {"logging_strategy": "epoch", "save_strategy": "no", "report_to": "none", "learning_rate": 1e-3}
    trainer = Trainer(
        model=make_model(),
        args=TrainingArguments(str(folder), use_cpu=True, num_train_epochs=2, disable_tqdm=True, **chosen | arguments),
        data_collator=default_data_collator,
        train_dataset=ROWS,
        eval_dataset={"one": ROWS, "two": ROWS},
        processing_class=TOKENIZER,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def logged(trainer, name):
    return [(entry["step"], entry[name]) for entry in trainer.state.log_history if name in entry]


def test_a_trainer_that_never_evaluates(tmp_path, capsys):
    trainer = make_trainer(tmp_path)
    callback = CalibrationCallback(trainer, ASKED, bins=5)
    trainer.add_callback(callback)
    trainer.train()
    before = score_options(make_model(), TOKENIZER, ASKED, progress=False).report(bins=5)
    after = score_options(trainer.model, TOKENIZER, ASKED, progress=False).report(bins=5)
    assert len(callback.reports) == 3
    assert callback.reports[0].reliability == before.reliability
    assert callback.reports[-1].nll == pytest.approx(after.nll)
    for name in ("conf_ece", "cw_ece", "accuracy", "nll", "brier"):
        expected = [(step, getattr(report, name)) for step, report in zip((0, 2, 4), callback.reports, strict=True)]
        assert logged(trainer, f"calibration/{name}") == expected
    assert [step for step, _ in logged(trainer, "loss")] == [2, 4]  # the trainer's own numbers are all there
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("conf-ECE") == 3


def test_a_trainer_that_evaluates(tmp_path):
    trainer = make_trainer(tmp_path, eval_strategy="steps", eval_steps=3, eval_on_start=True)
    callback = CalibrationCallback(trainer, ASKED, scoring="cloze", normalize="byte")
    trainer.add_callback(callback)
    trainer.train()
    # Once for the two sets that the trainer evaluates on, also after the last update.
    assert [step for step, _ in logged(trainer, "calibration/conf_ece")] == [0, 3, 4]
    cloze = score_options(make_model(), TOKENIZER, ASKED, scoring="cloze", normalize="byte", progress=False)
    assert callback.reports[0].nll == pytest.approx(cloze.report().nll)
    trainer.model.load_state_dict(make_model().state_dict())
    trainer.evaluate(ROWS)
    assert callback.reports[-1].nll == callback.reports[0].nll


def test_what_is_learned_does_not_change(tmp_path):
    plain, watched = make_trainer(tmp_path), make_trainer(tmp_path)
    watched.add_callback(CalibrationCallback(watched, ASKED))
    plain.train()
    watched.train()
    for name, value in plain.model.state_dict().items():
        assert torch.equal(watched.model.state_dict()[name], value)


def test_mixed_precision_reads_the_same_layout(tmp_path):
    trainer = make_trainer(tmp_path, bf16=True)
    callback = CalibrationCallback(trainer, ASKED, scoring="cloze")
    trainer.add_callback(callback)
    trainer.train()
    expected = score_options(make_model(), TOKENIZER, ASKED, scoring="cloze", progress=False).report()
    assert callback.reports[0].nll == pytest.approx(expected.nll, rel=0.05)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of trl's own
def test_trl(tmp_path):
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    trainer = trl.SFTTrainer(
        model=make_model(),
        args=trl.SFTConfig(str(tmp_path), use_cpu=True, bf16=False, report_to="none", num_train_epochs=1),
        train_dataset=datasets.Dataset.from_list(
            [{"prompt": question.question, "completion": " A"} for question in TRAIN]
        ),
        processing_class=make_tokenizer(),
    )
    callback = CalibrationCallback(trainer, ASKED)
    trainer.add_callback(callback)
    trainer.train()
    expected = score_options(make_model(), TOKENIZER, ASKED, progress=False).report()
    assert callback.reports[0].nll == pytest.approx(expected.nll)
    assert [step for step, _ in logged(trainer, "calibration/conf_ece")] == [0, 2]


def test_questions_from_a_file(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(vars(question)) + "\n" for question in ASKED))
    trainer = make_trainer(tmp_path)
    trainer.add_callback(CalibrationCallback(trainer, path))
    trainer.callback_handler.on_evaluate(trainer.args, trainer.state, trainer.control, {})
    expected = score_options(make_model(), TOKENIZER, ASKED, progress=False).report()
    assert logged(trainer, "calibration/nll") == [(0, expected.nll)]


def test_what_cannot_be_measured_is_refused_at_once(tmp_path):
    trainer = make_trainer(tmp_path)
    with pytest.raises(InputError, match="no questions"):
        CalibrationCallback(trainer, [])
    with pytest.raises(InputError, match="question 'long'"):
        CalibrationCallback(trainer, [Question("long", None, "x" * 600, ("x", "y"), 0)])
    trainer.processing_class = None
    with pytest.raises(InputError, match="processing_class"):
        CalibrationCallback(trainer, ASKED)


def test_the_room_s_names():
    assert all(getattr(calibfast.training, name).__name__ == name for name in calibfast.training.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trainings'"):
        calibfast.training.trainings  # noqa: B018
