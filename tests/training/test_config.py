from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from calibfast.errors import InputError
from calibfast.training.config import MethodName, TrainingConfig
from calibfast.training.methods import METHODS


def test_every_setting_explains_itself():
    assert all(setting.metadata["help"] for setting in fields(TrainingConfig))


def test_every_named_method_exists():
    assert set(METHODS) == set(get_args(MethodName))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("gradient_accumulation", 0),
        ("lora_r", 0),
        ("bins", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("lambda_", -1.0),
        ("held_out", 0.0),
        ("held_out", 1.0),
    ],
)
def test_a_setting_out_of_range(setting, value):
    with pytest.raises(InputError, match=setting.rstrip("_")):
        TrainingConfig(**{setting: value})
