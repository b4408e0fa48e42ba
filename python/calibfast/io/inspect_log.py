"""Logs of Inspect: `.eval`, a zip with a JSON file for each sample, and `.json`, an object that holds all samples.

The definitions are in `log/_log.py`, `log/_recorders/` and `solver/_multiple_choice.py` of
https://github.com/UKGovernmentBEIS/inspect_ai.
"""

from __future__ import annotations

import copy
import json
import re
import string
import zipfile
from bisect import bisect_right
from itertools import accumulate
from typing import IO, TYPE_CHECKING, Any, cast

from calibfast.errors import STUMBLES, InputError, MissingExtraError, first_line
from calibfast.io.json_records import FieldError, json_array
from calibfast.io.letters import Answer, LettersFile, letter_index, read_letters
from calibfast.io.npz import ZIP_DAMAGE
from calibfast.io.question import fingerprint
from calibfast.io.source import seekable
from calibfast.io.text import MAX_RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibfast.io.source import File

_HEAD = re.compile(r'\s*\{\s*"version"\s*:\s*\d+\s*,\s*"status"\s*:\s*"\w+"\s*,\s*"eval"\s*:\s*\{')
_SAMPLE = re.compile(r"samples/(.+)_epoch_(\d+)(?:/sample)?\.json", re.DOTALL)
_ZSTANDARD = 93
_RIGHT = {"C": True, "I": False, "N": False, "1": True, "0": False, "1.0": True, "0.0": False}
_RIGHT |= {"True": True, "False": False}
_SHUFFLED = "Choices were shuffled before generating a response"


def is_inspect(head: str) -> bool:
    """Whether a file that begins so is such a log."""
    return _HEAD.match(head) is not None


class InspectFile(LettersFile):
    """A log of questions that were answered by letter, with the log-probabilities of the likeliest tokens.

    The answer is the letter after "ANSWER:" where the completion has that, else its first token. Further epochs repeat
    the questions and are left out, as are samples that ended in an error.

    Args:
        path: The file.
        options: Number of options of every question; None where each sample lists them.

    Raises:
        InputError: A sample holds no log-probabilities of the answer, or the log is damaged.
        MissingExtraError: A newer `.eval` (compressed by Zstandard) without pyarrow, before Python 3.14.
    """

    def __init__(self, path: File, options: int | None) -> None:
        self._options = options
        super().__init__(path)

    def _answers(self) -> Iterator[Answer | str]:
        zipped = self.path.suffix.lower() == ".eval"
        samples = _zipped(self.path) if zipped else json_array(self.path, "samples")
        for place, sample in samples:
            line = place if isinstance(place, int) else None
            try:
                yield _read(line, sample, self._options)
            except FieldError as error:
                where = place if line is None else f"line {line}"
                raise InputError(f"{self.path}: {where}, {error}") from None


def _zipped(path: File) -> Iterator[tuple[str, Any]]:
    """The samples of a `.eval`, in the order in which Inspect reads them, each with its name in the archive."""
    try:
        with zipfile.ZipFile(seekable(path)) as archive:
            found = {name: match for name in archive.namelist() if (match := _SAMPLE.fullmatch(name))}
            for name in sorted(found, key=lambda name: (int(found[name][2]), found[name][1].zfill(20), name)):
                with _open(archive, archive.getinfo(name)) as file:
                    try:
                        text = file.read(MAX_RECORD + 1)
                        sample = json.loads(text) if len(text) <= MAX_RECORD else None
                    except (ValueError, RecursionError, OSError) as error:  # pyarrow's where bytes are damaged
                        raise InputError(f"{path}: {name}: no JSON, or damaged ({first_line(error)})") from None
                if sample is None:
                    raise InputError(f"{path}: {name}: a sample of over {MAX_RECORD >> 20} MB; is it damaged?")
                yield name, sample
    except ZIP_DAMAGE as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # the system's own: no such file, no permission
        problem = f"no .eval log inside, or it is damaged or cut off ({first_line(error)})"
        raise InputError(f"{path}: {problem}; copy it again") from None


def _open(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """A file in the archive; the standard library reads Zstandard since Python 3.14, pyarrow before."""
    if member.compress_type != _ZSTANDARD or hasattr(zipfile, "ZIP_ZSTANDARD"):
        return archive.open(member)
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtraError("a .eval log that is compressed by Zstandard", "io") from None
    raw = copy.copy(member)
    raw.compress_type, raw.file_size = zipfile.ZIP_STORED, member.compress_size
    del raw.CRC  # that of the file, not of its compressed bytes
    return cast("IO[bytes]", pa.CompressedInputStream(archive.open(raw), "zstd"))


def _read(line: int | None, sample: Any, options: int | None) -> Answer | str:
    if not isinstance(sample, dict) or "epoch" not in sample:
        raise FieldError("samples", "holds something that is no sample of Inspect")
    if sample["epoch"] != 1:
        return "repeat the questions in another epoch"
    if sample.get("error"):
        return "ended in an error"
    choices = sample.get("choices") or []
    count = options or len(choices)
    if not count:
        raise FieldError("choices", "the sample lists none; say how many options there are (--options)")
    label = _label(sample.get("target"), count)
    scores = [score for score in (sample.get("scores") or {}).values() if isinstance(score, dict)]
    shuffled = [text for score in scores if (text := str(score.get("explanation"))).startswith(_SHUFFLED)]
    if shuffled:
        label = _where_shown(shuffled[0], choices, label)
    right = next((value for score in scores if (value := _RIGHT.get(str(score.get("value")))) is not None), None)
    letters = read_letters(_listed(sample.get("output"), count), count)
    fields = {"labels": label, "id": sample.get("id"), "question": fingerprint(sample.get("input"))}
    return Answer(line, letters, fields, right)


def _label(target: Any, options: int) -> int:
    targets = target if isinstance(target, list) else [target]
    label = letter_index(targets[0]) if len(targets) == 1 else None
    if not isinstance(label, int) or label >= options:
        raise FieldError("target", f"is {target!r}, expected the letter of one of the {options} options")
    return label


def _where_shown(explanation: str, choices: list[str], label: int) -> int:
    """Where the solver put the right option when it shuffled them; the scorer writes down how it did."""
    shown = [k for k in range(len(choices)) if f"\n{chr(ord('A') + k)}) {choices[label]}\n" in explanation]
    if len(shown) != 1:
        raise FieldError("scores", "the choices were shuffled, and where the right one stood is not told")
    return shown[0]


def _listed(output: Any, options: int) -> list[tuple[str, float]]:
    """Tokens and log-probabilities at the letter of the answer."""
    try:
        content = output["choices"][0]["logprobs"]["content"]
        tokens = [each["token"] for each in content]
        said = re.findall(rf"(?is:.*answer\s*:)\W*(?=[{string.ascii_uppercase[:options]}]\b)", "".join(tokens))
        # The first token that reaches beyond what stands before the letter.
        token = bisect_right(list(accumulate(map(len, tokens))), len(said[0]) if said else 0)
        return [(str(each["token"]), float(each["logprob"])) for each in content[token]["top_logprobs"]]
    except STUMBLES:
        problem = "the log holds no probabilities of the answer, so there is no confidence; run the model with"
        raise FieldError("output", f"{problem} logprobs=True, top_logprobs=20 (--logprobs --top-logprobs 20)") from None
