"""`calibfast train` as a function: from a model's name and a question file to a run folder.

The folder holds the adapter as peft saves it (or the model), `temperature.json` where there is one, `log.jsonl`
(everything that happened, in order), for each E-step an `.npz` file of its bins and targets, and `result.json`
(settings, versions, the data's hash, the held-out reports before and after).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState  # type: ignore[import-untyped]

from calibfast.data.overlap import fingerprint
from calibfast.data.questions import read_questions
from calibfast.data.rows import describe_skipped
from calibfast.data.split import draw_questions, split_questions
from calibfast.errors import InputError
from calibfast.models.load import load_model
from calibfast.training.checkpoint import newest
from calibfast.training.fit import fit
from calibfast.training.folder import check_free, unfinished_of, whole_folder
from calibfast.whole import reading_back, write_whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from calibfast.data.questions import Question
    from calibfast.metrics.report import Report
    from calibfast.models.load import Dtype
    from calibfast.training.config import TrainingConfig

RESULT_FILE = "result.json"
SETTINGS_FILE = "settings.json"
QUESTIONS_FILE = "questions.json"
"""Fingerprints of the questions `trained` on and `held_out`; on the latter a temperature may have been fitted."""


@dataclass(frozen=True)
class TrainingReport:
    """What a training run was and did.

    Attributes:
        model: The model, as it was named.
        data: The question file, as it was named.
        data_sha256: Hash of that file.
        questions: How many were trained on.
        held_out_questions: How many were held out.
        config: The settings.
        before: Report on the held-out questions before training.
        after: The same after the last epoch.
        scaled: The same at the temperature that goes with the adapter, or None. A temperature that was fitted to these
            very questions looks a little better on them than elsewhere.
        temperature: That temperature, or None.
        e_steps: For each E-step its epoch, temperature, and the bins' counts, accuracies `q` and assignments.
        seconds: Wall-clock time of `load` (reading and splitting, too) and `train` (evaluation and E-step, too).
        environment: Versions, platform, device, type of the weights and number of threads and processes.
    """

    model: str
    data: str
    data_sha256: str
    questions: int
    held_out_questions: int
    config: TrainingConfig
    before: Report
    after: Report
    scaled: Report | None
    temperature: float | None
    e_steps: list[dict[str, Any]]
    seconds: dict[str, float]
    environment: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain dictionaries, lists and numbers."""
        return asdict(self)


def train(
    config: TrainingConfig,
    *,
    model: str | Path,
    data: str | Path,
    output: str | Path,
    overwrite: bool = False,
    skip_bad_rows: bool = False,
    dtype: Dtype = "auto",
    device: str = "auto",
    progress: bool = True,
) -> TrainingReport:
    """Train a saved model, most often to restore its calibration.

    Where a run with the same output was stopped, by Ctrl-C or by anything else, the same call goes on from its last
    checkpoint, and ends in the same weights as if it had never been stopped.

    Args:
        config: The settings.
        model: A folder, a `.gguf` file or a hub id; see `load_model`.
        data: A question file; see `read_questions`. A share of it is held out.
        output: The run folder, written whole or not at all.
        overwrite: Whether to replace an output folder that holds something, and not to go on from a checkpoint.
        skip_bad_rows: Whether to leave out rows that are no question, and to list them on stderr.
        dtype: The model's type; see `load_model`.
        device: The model's device; see `load_model`.
        progress: Whether to show progress on stderr.

    Returns:
        The report, which also stands in the folder as `result.json`.

    Raises:
        InputError: Model, data or output are not as they must be, or an unfinished run there had other settings;
            nothing is written.
        KeyboardInterrupt: Ctrl-C was pressed; a checkpoint was written, unless there was nothing to save yet.
    """
    output = Path(output)
    check_free(output, overwrite=overwrite)
    began = time.perf_counter()
    processes = PartialState(cpu=device == "cpu")
    progress = progress and processes.is_main_process
    train_questions, held_out = questions_of(config, data, skip_bad_rows=skip_bad_rows, progress=progress)
    data_sha256 = file_hash(data)
    settings = {"model": os.fspath(model), "data_sha256": data_sha256, "dtype": dtype, "config": asdict(config)}
    base, tokenizer = load_model(model, dtype=dtype, device=device)
    loaded = time.perf_counter()
    if progress:
        print(f"{len(train_questions)} questions to train on, {len(held_out)} held out", file=sys.stderr)
    own = processes.is_main_process
    with whole_folder(output, overwrite=overwrite, keep=_resumable) if own else nullcontext() as made:
        folder = unfinished_of(output) if made is None else made
        if own:
            _check_settings(folder, settings)
            checkpoint = newest(folder)
            if checkpoint is not None and progress:
                print(f"going on from update {checkpoint.name.rpartition('-')[2]} of {folder}", file=sys.stderr)
        processes.wait_for_everyone()
        _, history = fit(base, tokenizer, train_questions, held_out, config, folder, progress)
        report = TrainingReport(
            model=os.fspath(model),
            data=os.fspath(data),
            data_sha256=data_sha256,
            questions=len(train_questions),
            held_out_questions=len(held_out),
            config=config,
            before=history.reports[0],
            after=history.reports[-1],
            scaled=history.scaled,
            temperature=None if history.scaling is None else history.scaling.temperature,
            e_steps=[event for event in history.events if event["event"] == "e-step"],
            seconds={"load": round(loaded - began, 3), "train": round(time.perf_counter() - loaded, 3)},
            environment=_environment(base, processes.num_processes),
        )
        if own:
            used = {"trained": train_questions, "held_out": held_out}
            _write(folder / QUESTIONS_FILE, {name: sorted(set(map(fingerprint, each))) for name, each in used.items()})
            _write(folder / RESULT_FILE, report.to_dict())
    return report


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def questions_of(
    config: TrainingConfig, data: str | Path, *, skip_bad_rows: bool, progress: bool
) -> tuple[list[Question], list[Question]]:
    """The questions that a run trains on and those that it holds out, the same ones in every call."""
    skipped: list[InputError] | None = [] if skip_bad_rows else None
    drawn = read_questions(data, skipped=skipped)
    if skipped and progress:
        print(describe_skipped(data, skipped), file=sys.stderr)
    if config.limit is not None:
        drawn = draw_questions(drawn, config.limit, config.seed)
    return split_questions(drawn, config.held_out, config.seed)


def _resumable(folder: Path) -> bool:
    return newest(folder) is not None


def _check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write down what this run is, or find that an unfinished one there was the same."""
    place = folder / SETTINGS_FILE
    if not place.exists():
        _write(place, settings)
        return
    with reading_back(place):
        before = json.loads(place.read_text(encoding="utf-8"))
        flat = [{**each, **each["config"]} for each in (before, settings)]
    for name, value in flat[1].items():
        if name != "config" and flat[0].get(name) != value:
            raise InputError(
                f"{folder} holds an unfinished run with {name} {flat[0].get(name)!r}, and this one has {value!r}; "
                "use the same settings to go on, pass --overwrite to begin anew, or name another output"
            )


def _write(path: Path, value: Any) -> None:
    write_whole(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _environment(model: PreTrainedModel, processes: int) -> dict[str, str | int]:
    libraries = ("calibfast", "torch", "transformers", "peft", "accelerate", "numpy")
    versions: dict[str, str | int] = {name: version(name) for name in libraries}
    return versions | {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "processes": processes,
    }
