from __future__ import annotations

import json

import pytest

from calibfast.data.preferences import Turn, read_preferences
from calibfast.errors import InputError


def turn(role, content):
    return {"role": role, "content": content}


HELLO = turn("user", "Hello?")
HUMAN = "\n\nHuman: Hello?\n\nAssistant: Yes?\n\nHuman: The time?\n\nAssistant:"
FORMS = {
    "plain": ({"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}, "The sky is", " blue.", " green."),
    "plain, implicit": ({"chosen": "The sky is black", "rejected": "The sky is blue"}, "The sky is", " black", " blue"),
    "one answer goes on": ({"chosen": "The sky is", "rejected": "The sky is blue"}, "The sky", " is", " is blue"),
    "hh": (
        {"chosen": HUMAN + " Noon.", "rejected": HUMAN + " No."},
        (Turn("user", "Hello?"), Turn("assistant", "Yes?"), Turn("user", "The time?")),
        "Noon.",
        "No.",
    ),
    "conversation": (
        {"prompt": [HELLO], "chosen": [turn("assistant", "Hi")], "rejected": [turn("assistant", "Go")]},
        (Turn("user", "Hello?"),),
        "Hi",
        "Go",
    ),
    "ultrafeedback": (
        {
            "prompt": "Hello?",
            "prompt_id": "77",
            "chosen": [HELLO, turn("assistant", "Hi")],
            "rejected": [HELLO, turn("assistant", "Go")],
        },
        (Turn("user", "Hello?"),),
        "Hi",
        "Go",
    ),
    "turns, then texts": (
        {"prompt": [HELLO], "chosen": "Hi", "rejected": "Go"},
        (Turn("user", "Hello?"),),
        "Hi",
        "Go",
    ),
}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_forms(tmp_path, form):
    row, prompt, chosen, rejected = FORMS[form]
    [pair] = read_preferences(write(tmp_path / "p.jsonl", [row]))
    assert (pair.prompt, pair.chosen, pair.rejected, pair.share) == (prompt, chosen, rejected, None)
    assert pair.id == row.get("prompt_id", "p.jsonl:1")


def test_parquet_and_shares(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [FORMS["conversation"][0] | {"votes": 0.75}, FORMS["ultrafeedback"][0] | {"prompt": [HELLO], "votes": 1}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    assert [pair.share for pair in read_preferences(tmp_path / "p.parquet", share_key="votes")] == [0.75, 1.0]
    assert read_preferences(tmp_path / "p.parquet", 1)[0].share is None


PLAIN = FORMS["plain"][0]
BAD = {
    "the same": (PLAIN | {"rejected": " blue."}, "'rejected': is the same as 'chosen'"),
    "the same turns": (FORMS["conversation"][0] | {"rejected": [turn("assistant", "Hi")]}, "the same"),
    "empty": (PLAIN | {"chosen": " "}, "'chosen': the answer is empty"),
    "absent": ({"prompt": "x", "chosen": "y"}, "'chosen': must be a text, or a list of turns"),
    "no prompt": ({"chosen": "yes", "rejected": "no"}, "no beginning in common"),
    "other prompts": (FORMS["hh"][0] | {"rejected": HUMAN.replace("time", "day") + " No."}, "different prompts"),
    "no answer": (FORMS["conversation"][0] | {"chosen": [turn("user", "Hi")]}, "turn of the assistant"),
    "share": (PLAIN | {"share": 75}, "'share': 75 is no share of people in"),
    "one share": (PLAIN | {"share": 0.5}, "has a human share, unlike"),
    "no object": (7, "a row is an object"),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_rows_are_named_or_left_out(tmp_path, fault):
    row, message = BAD[fault]
    path = write(tmp_path / "p.jsonl", [PLAIN, row, PLAIN])
    with pytest.raises(InputError) as raised:
        read_preferences(path)
    assert f"{path}, line 2" in str(raised.value)
    assert message in str(raised.value)
    skipped = []
    assert len(read_preferences(path, skipped=skipped)) == 2
    assert len(skipped) == 1


def test_a_share_that_was_asked_for_must_be_there(tmp_path):
    with pytest.raises(InputError, match="field 'votes': is missing"):
        read_preferences(write(tmp_path / "p.jsonl", [PLAIN]), share_key="votes")
