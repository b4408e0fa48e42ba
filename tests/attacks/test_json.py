"""JSON that calibfast, transformers or peft wrote and somebody changed: one error that names it, and no traceback."""

import shutil
import zlib

import pytest
from tests.tiny import make_model, save

from calibfast import InputError, StateError
from calibfast.evaluation.sweep import SweepModel, read_sweep, run_sweep
from calibfast.io.partial import Partial
from calibfast.models.adapter import add_lora, load_adapter
from calibfast.models.load import load_model
from calibfast.report.frontier import read_frontier
from calibfast.training.experiment import _Record
from calibfast.training.finished import read_run
from calibfast.training.regime import measure_regime
from calibfast.training.run import _check_settings

LIES = {
    "empty": b"",
    "cut": b"{",
    "a list": b"[]",
    "nothing in it": b"{}",
    "a number": b"1e999",
    "no text": b"\xff",
    "deep": b"[" * 100_000,
    "other types": b'{"models": [], "config": 1, "cells": 2, "files": [[]], "model_type": 1, "peft_type": 2}',
    "impossible": b'{"model_type": "llama", "vocab_size": -1, "hidden_size": 0}',
}
READERS = {
    "sweep.json": [read_sweep, lambda folder: run_sweep([SweepModel("a", "steps", "m")], print, {}, folder)],
    "experiment.json": [lambda folder: _Record(folder, {"model": "m"})],
    "settings.json": [lambda folder: _check_settings(folder, {"config": {}})],
    "result.json": [read_run, measure_regime],
    "seed-0/runs/sft-0/result.json": [read_frontier],
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", READERS)
def test_a_file_of_a_run_that_is_no_more_what_it_was(tmp_path, name, lie):
    (tmp_path / "epoch-1").mkdir()
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(LIES[lie])
    for read in READERS[name]:
        with pytest.raises(InputError, match="cannot be read as calibfast wrote it"):
            read(tmp_path)


def test_a_run_that_does_not_say_what_it_was_trained_on(tmp_path):
    (tmp_path / "epoch-1").mkdir()
    (tmp_path / "result.json").write_text('{"config": {}}')
    with pytest.raises(InputError, match="cannot be read as calibfast wrote it"):
        measure_regime(tmp_path)


@pytest.mark.parametrize("lie", LIES)
def test_a_partial_state_whose_checksum_is_that_of_a_lie(lie):
    with pytest.raises(StateError):
        Partial.from_bytes(b"CFSP 1 %08x\n" % zlib.crc32(LIES[lie]) + LIES[lie])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = save(tmp_path_factory.mktemp("model"))
    add_lora(make_model(), 2, 2).save_pretrained(folder / "adapter")
    return folder


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "adapter/adapter_config.json"])
def test_a_model_that_is_no_more_what_it_was(model, tmp_path, name, lie):
    folder = shutil.copytree(model, tmp_path / "model")
    (folder / name).write_bytes(LIES[lie])
    with pytest.raises(InputError, match=r"could be loaded|adapter is damaged|adapter does not fit"):
        load_adapter(load_model(folder, device="cpu")[0], folder / "adapter")
