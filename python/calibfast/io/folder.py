"""The sample logs in a folder, by task."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from calibfast.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

_LOG = re.compile(r"(?!results)(?:samples_)?(.+?)(?:_\d{4}-\d\d-\d\dT[\d.:-]+|_write_out_info)?\.jsonl?(?:\.gz)?")
"""`samples_TASK_DATE.jsonl`, `MODEL_TASK.jsonl` and `TASK_write_out_info.json`; `results*.json` stand beside them."""


def sample_logs(folder: Path) -> dict[str, Path]:
    """JSON files in a folder and below it, by the task in their name, or by their path where two have the same task.

    Raises:
        InputError: There are none.
    """
    tasks = {path: match[1] for path in sorted(folder.rglob("*")) if (match := _LOG.fullmatch(path.name))}
    if not tasks:
        raise InputError(
            f"{folder}: Is a directory, and holds no sample logs (.json, .jsonl); give a file or another folder"
        )
    times = Counter(tasks.values())
    return {task if times[task] == 1 else str(path.relative_to(folder)): path for path, task in tasks.items()}
