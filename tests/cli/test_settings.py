from __future__ import annotations

from dataclasses import fields, replace

import pytest
import typer

from calibfast.cli.settings import Settings, with_settings
from calibfast.errors import InputError
from calibfast.training.config import PRESETS, TrainingConfig, choices_of, type_of

FLAGS = {"learning_rate": "--lr", "lambda_": "--lambda"}
OTHER = {"method": "rcft", "log_to": "all", int: 7, float: 0.5}


def config(*arguments):
    """The settings that a command line makes."""
    made = []

    @with_settings
    def command(*, settings: Settings) -> None:
        made.append(settings.config())

    app = typer.Typer()
    app.command()(command)
    app([str(argument) for argument in arguments], standalone_mode=False)
    return made[0]


def test_no_flag_is_the_defaults():
    assert config() == TrainingConfig()


@pytest.mark.parametrize("name", [setting.name for setting in fields(TrainingConfig)])
def test_every_setting_has_its_flag(name):
    flag = FLAGS.get(name, "--" + name.replace("_", "-"))
    if type_of(name) is bool:
        assert config(flag) == replace(TrainingConfig(), **{name: True})
        return
    value = choices_of(name)[-1] if choices_of(name) else OTHER.get(name) or OTHER[type_of(name)]
    assert config(flag, value) == replace(TrainingConfig(), **{name: value})


def test_flags_come_before_the_file_and_the_file_before_the_preset(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("preset: official-code\nlr: 2e-3\nestep-data: held-out\nepochs: 4\n")
    paper = TrainingConfig(**PRESETS["paper"])
    assert config("--preset", "paper") == paper
    assert config("--preset", "paper", "--epochs", TrainingConfig.epochs) == replace(paper, epochs=3)
    own = {"learning_rate": 2e-3, "estep_data": "held-out"}
    assert config("--config", path, "--epochs", 2) == TrainingConfig(**PRESETS["official-code"] | own | {"epochs": 2})
    assert config("--config", path, "--preset", "paper") == TrainingConfig(**PRESETS["paper"] | own | {"epochs": 4})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("epoch: 1", "unknown setting 'epoch'; the settings are method, limit"),
        ("epochs: two", "setting 'epochs' is 'two'; it must be of type int"),
        ("epochs:", "setting 'epochs' is None; it must be of type int"),
        ("epochs: 0", "epochs is 0; it must be at least 1"),
        ("preset: guess", "preset is 'guess'; it must be one of paper, official-code"),
        ("- epochs", "settings are names and values, such as 'epochs: 3'"),
        ("epochs: [1", "not YAML: while parsing"),
        pytest.param("epochs: " + 10_000 * "[", "not YAML: maximum recursion depth exceeded", id="deep"),
    ],
)
def test_a_bad_file_is_named_with_its_setting(tmp_path, text, problem):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        config("--config", path)
    assert str(caught.value).startswith(f"{path}: {problem}")
