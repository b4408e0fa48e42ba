"""`calibfast collapse` on a tiny model."""

from __future__ import annotations

import csv
import io
import json

import pytest
from tiny import make_model, make_tokenizer, save, write_questions

from calibfast.models.adapter import add_lora


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    adapted = add_lora(make_model(len(make_tokenizer())), 2, 2)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data.normal_()
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def write(path, shares):
    rows = [
        {"prompt": "x" * i, "chosen": " yes" + "s" * i, "rejected": " no"} | ({} if s is None else {"share": s})
        for i, s in enumerate(shares, start=1)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_models_side_by_side(calibfast, tmp_path, model, adapter):
    pairs = write(tmp_path / "pairs.jsonl", [0.5 + i / 60 for i in range(30)])
    command = ("collapse", "--model", model, "--adapter", adapter, "--pairs", pairs, "--device", "cpu")
    code, out, err = calibfast(*command, "--format", "json", "--plot", tmp_path / "collapse.svg")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert [(row["model"], row["normalize"]) for row in found] == [
        (name, normalize) for name in (str(model), f"{model} + {adapter}") for normalize in ("sum", "token")
    ]
    assert len({row["ratio"] for row in found}) == 4
    assert all(sum(part["count"] for part in row["bins"]) == row["n"] == 30 for row in found)
    assert (tmp_path / "collapse.svg").stat().st_size > 1000
    rows = list(csv.DictReader(io.StringIO(calibfast(*command, "--format", "csv")[1])))
    assert [float(row["exceeding"]) for row in rows] == [row["exceeding"] for row in found]
    code, out, _ = calibfast(*command)
    assert code == 0
    assert "exceeding" in out
    assert "By the share of people" in out


def test_without_a_share(calibfast, tmp_path, model):
    pairs = write(tmp_path / "pairs.jsonl", [None] * 3)
    code, out, _ = calibfast("collapse", "--model", model, "--pairs", pairs)
    assert code == 0
    assert "no share, exceeding, excess, bins: these pairs do not have the share of people" in out


def test_bad_input(calibfast, tmp_path, model):
    pairs = write(tmp_path / "pairs.jsonl", [0.5, 0.5])
    rows = pairs.read_text().splitlines()
    pairs.write_text("\n".join([rows[0], rows[1].replace(" no", " yesss")]))
    command = ("collapse", "--model", model, "--pairs", pairs)
    code, out, err = calibfast(*command)
    assert (code, out) == (2, "")
    assert f"{pairs}, line 2, field 'rejected': is the same as 'chosen'" in err
    code, _, err = calibfast(*command, "--skip-bad-rows", "--device", "cpu")
    assert code == 0
    assert err.startswith(f"left out 1 row of {pairs}:")
    assert "goes with --questions" in calibfast(*command, "--circles", 2)[2]
    code, _, err = calibfast(*command, "--plot", tmp_path / "x.docx")
    assert code == 2
    assert "no picture format" in err


def test_questions(calibfast, tmp_path, model, adapter):
    questions = write_questions(tmp_path / "questions.jsonl", 12)
    command = ("collapse", "--model", model, "--adapter", adapter, "--questions", questions, "--device", "cpu")
    code, out, _ = calibfast(*command, "--format", "json", "--plot", tmp_path / "letters.svg")
    found = json.loads(out)
    assert (code, len(found)) == (0, 2)
    assert (tmp_path / "letters.svg").stat().st_size > 1000
    rows = list(csv.DictReader(io.StringIO(calibfast(*command, "--format", "csv")[1])))
    for row, each in zip(rows, found, strict=True):
        assert float(row["A"]) == each["letters"][0]["probability"]
        assert float(row["same_letter"]) == each["same_letter"]["estimate"]
    assert "What the letters draw" in calibfast(*command)[1]
    more = json.loads(calibfast(*command, "--circles", 2, "--format", "json")[1])
    assert [each["circles"] for each in (*found, *more)] == [1, 1, 2, 2]
    assert more[0]["letters"] != found[0]["letters"]
    code, _, err = calibfast(*command, "--pairs", questions)
    assert code == 2
    assert "give one of them" in err
    assert "go with --pairs" in calibfast(*command, "--bins", 5)[2]
