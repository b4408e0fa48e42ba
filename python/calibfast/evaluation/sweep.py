"""The same evaluation of many models: sizes, checkpoints, revisions, stages of an alignment.

Each model is measured in a process of its own, whose end gives all memory back. The folder holds `NAME.json` for each
model that is done, beside what its evaluation writes, and `sweep.json`, which says what they were made from and what
went wrong.
"""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calibfast.errors import STUMBLES, CalibfastError, InputError, first_line
from calibfast.whole import reading_back, write_whole
from calibfast.winrate.decoding import Speaker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Series = Literal["models", "steps", "stages"]

SWEEP_FILE = "sweep.json"
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class SweepModel:
    """A model to measure.

    Attributes:
        name: What it is called, in tables and as a file.
        series: What it is compared along: the number of its parameters, its training steps, or stages in their order.
        model: A folder, a `.gguf` file or a hub id.
        revision: Of a hub id.
        adapter: A folder, or None.
        step: Training steps, in the series `steps`.
    """

    name: str
    series: Series
    model: str
    revision: str | None = None
    adapter: str | None = None
    step: int | None = None

    @property
    def file(self) -> str:
        """The name as that of a file, without a suffix."""
        return re.sub(r"[^\w.@+-]", "-", self.name)


@dataclass(frozen=True)
class Swept:
    """What a model gave.

    Attributes:
        model: The model.
        result: What `calibfast evaluate --format json` prints, or None ...
        error: ... and what went wrong.
    """

    model: SweepModel
    result: dict[str, Any] | None
    error: str | None

    @property
    def parameters(self) -> int | None:
        """How many weights the model has, without an adapter's."""
        return None if self.result is None else self.result["parameters"]


def plain_models(sources: Sequence[str]) -> list[SweepModel]:
    """Models by their folder, file or hub id, to be compared along the number of their parameters."""
    short = [Path(source).stem if source.endswith(".gguf") else Path(source).name for source in sources]
    names = short if len(set(short)) == len(short) else sources
    return [SweepModel(name, "models", source) for name, source in zip(names, sources, strict=True)]


def checkpoints(folder: str | Path) -> list[SweepModel]:
    """The `checkpoint-N` folders of a training run, by N: models, or adapters of the model that they name.

    Raises:
        InputError: There are none, or an adapter does not say what it is an adapter of.
    """
    folder = Path(folder)
    found = {
        int(path.name.removeprefix("checkpoint-")): path
        for path in folder.glob("checkpoint-*")
        if path.name.removeprefix("checkpoint-").isdecimal()
    }
    if not found:
        raise InputError(f"{folder}: no checkpoints there (folders such as checkpoint-500)")
    return [_checkpoint(found[step], step) for step in sorted(found)]


def _checkpoint(path: Path, step: int) -> SweepModel:
    config = path / "adapter_config.json"
    if not config.is_file():
        return SweepModel(path.name, "steps", str(path), step=step)
    try:
        base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except STUMBLES as error:
        raise InputError(f"{config}: the adapter is damaged: {first_line(error)}") from error
    if not base:
        raise InputError(f"{config} does not name the base model; give it as --stage {path.name}=MODEL+{path}")
    return SweepModel(path.name, "steps", base, adapter=str(path), step=step)


def revisions(model: str, names: Sequence[str]) -> list[SweepModel]:
    """Revisions of a hub id; a number in a revision's name counts its training steps."""
    steps = {name: _NUMBER.findall(name) for name in names}
    return [
        SweepModel(f"{Path(model).name}@{name}", "steps", model, name, step=int(found[-1]) if found else None)
        for name, found in steps.items()
    ]


def stage(text: str) -> SweepModel:
    """A stage, as `NAME=MODEL` or `NAME=MODEL+ADAPTER`; the adapter is a folder.

    Raises:
        InputError: It is not written so.
    """
    name, found, source = text.partition("=")
    if not (name and found and source):
        raise InputError(f"'{text}' is no stage; write NAME=MODEL or NAME=MODEL+ADAPTER")
    speaker = Speaker.parse(source)
    return SweepModel(name, "stages", speaker.model, adapter=None if speaker.adapter is None else str(speaker.adapter))


def run_sweep(
    models: Sequence[SweepModel],
    measure: Callable[[SweepModel, Path], str],
    settings: Mapping[str, Any],
    output: str | Path,
    *,
    progress: bool = True,
) -> list[Swept]:
    """Measure every model that is not done yet.

    A model that fails is named in the result, and tried again in the next call; the others go on.

    Args:
        models: At least one, of different names.
        measure: Evaluates a model and gives the result as JSON; the path, without a suffix, is where it may write. It
            runs in a new process, so it is a function of a module, or a `functools.partial` of one.
        settings: What all models are asked, as JSON has it.
        output: The sweep's folder: a new one, or one of the same settings.
        progress: Whether to tell on stderr which model is measured.

    Returns:
        In the order of the models.

    Raises:
        InputError: Two models have one name; or the folder holds something else.
        KeyboardInterrupt: Ctrl-C was pressed. The folder holds what was done.
    """
    files = [model.file for model in models]
    if twice := next((model for model in models if files.count(model.file) > 1), None):
        raise InputError(f"two models are called '{twice.name}'; name them by --stage NAME=MODEL")
    folder = Path(output)
    record = _Record(folder, settings)
    for model in models:
        record.check(model)
    done = []
    for number, model in enumerate(models, start=1):
        path = folder / f"{model.file}.json"
        error = None
        if not path.is_file():
            if progress:
                print(f"model {number}/{len(models)}: {model.name}", file=sys.stderr, flush=True)
            text, error = _apart(measure, model, path.with_suffix(""))
            if error is None:
                write_whole(path, text)
            elif progress:
                print(f"failed: {model.name}: {error}", file=sys.stderr, flush=True)
        record.add(model, error)
        with reading_back(path):
            done.append(Swept(model, None if error else json.loads(path.read_text(encoding="utf-8")), error))
    return done


def read_sweep(folder: str | Path) -> list[Swept]:
    """What stands in a sweep's folder, in the order in which it was measured.

    Raises:
        InputError: It is no sweep's folder.
    """
    path = Path(folder) / SWEEP_FILE
    with reading_back(path):
        models = json.loads(path.read_text(encoding="utf-8"))["models"]
        found = []
        for facts in models.values():
            error = facts.pop("error")
            model = SweepModel(**facts)
            done = None if error else json.loads((path.parent / f"{model.file}.json").read_text(encoding="utf-8"))
            found.append(Swept(model, done, error))
    return found


def _apart(measure: Callable[[SweepModel, Path], str], model: SweepModel, path: Path) -> tuple[str, str | None]:
    """The result of a model and what went wrong, from a process of its own."""
    # Not forked: a copy of a process that has started threads or CUDA may hang.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_attempt, measure, model, path).result()
        except BrokenProcessPool:
            return "", "its process was ended from outside, as a system does that runs out of memory"


def _attempt(measure: Callable[[SweepModel, Path], str], model: SweepModel, path: Path) -> tuple[str, str | None]:
    try:
        return measure(model, path), None
    except CalibfastError as error:
        return "", str(error)
    except Exception as error:  # whatever it is, the other models go on
        return "", f"{type(error).__name__}: {first_line(error)}"


class _Record:
    """What the folder's contents were made from, and what went wrong."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._path, self._settings = folder / SWEEP_FILE, dict(settings)
        self._models: dict[str, dict[str, Any]] = {}
        if self._path.is_file():
            with reading_back(self._path):
                saved = json.loads(self._path.read_text(encoding="utf-8"))
                self._models = saved["models"]
                self._compare("", saved["settings"], self._settings)
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: holds something that is no sweep; name another folder")
        folder.mkdir(parents=True, exist_ok=True)

    def check(self, model: SweepModel) -> None:
        """Refuse a model that stands there under the same name and is another one."""
        self._compare(f"{model.name} ", self._models.get(model.name, {}), asdict(model))

    def add(self, model: SweepModel, error: str | None) -> None:
        """Write down that a model is done, or why not."""
        self._models[model.name] = asdict(model) | {"error": error}
        write_whole(self._path, json.dumps({"settings": self._settings, "models": self._models}, indent=2) + "\n")

    def _compare(self, what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        for name, value in now.items():
            if name in before and before[name] != value:
                raise InputError(
                    f"{self._path.parent} holds {what}with {name} {before[name]!r}, and this sweep has {value!r}; name "
                    "another folder"
                )
