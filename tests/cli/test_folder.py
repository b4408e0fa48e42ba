"""A folder of sample logs is a row for each task."""

import json

import pytest

DATE = "2024-07-05T10-11-12.345678"
ROWS = [
    {
        "doc_id": number,
        "target": str(number % 2),
        "arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": " yes"}, "gen_args_1": {"arg_0": "Q", "arg_1": " no"}},
        "filtered_resps": [["-1.0", "False"], ["-2.0", "False"]],
        "acc": 1.0 - number % 2,
    }
    for number in range(4)
]


@pytest.fixture
def logs(tmp_path):
    """A folder as the tool leaves it; the task gsm8k has no log-likelihoods of options."""

    def write(name, rows):
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    write(f"samples_arc_easy_{DATE}.jsonl", ROWS)
    write("pretrained__x_piqa.jsonl", ROWS[:3])
    write(f"samples_gsm8k_{DATE}.jsonl", [ROWS[0] | {"filtered_resps": ["42"]}])
    write(f"results_{DATE}.json", [{"results": {}}])
    return write


def test_a_row_for_each_task(calibfast, tmp_path, logs):
    code, out, err = calibfast("ece", tmp_path, "--format", "json")
    tasks = [(found["task"], found["n"], found["accuracy"]) for found in json.loads(out)]
    assert tasks == [("pretrained__x_piqa", 3, 2 / 3), ("arc_easy", 4, 0.5)]
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith("note: left out: ")
    assert "samples_gsm8k" in err
    table = calibfast("ece", tmp_path)[1]
    assert "arc_easy" in table
    assert "…" not in table
    logs(f"samples_{'long_' * 20}name_{DATE}.jsonl", ROWS)
    (line,) = [line for line in calibfast("ece", tmp_path, "--ci")[1].splitlines() if "long_" in line]
    assert "long_" * 20 + "name" in line
    assert "0.2311" in line


def test_two_runs_of_a_task_are_told_apart(calibfast, tmp_path, logs):
    logs("samples_arc_easy_2024-07-06T10-11-12.345678.jsonl", ROWS)
    tasks = [found["task"] for found in json.loads(calibfast("ece", tmp_path, "--format", "json")[1])]
    assert tasks[1:] == [f"model/samples_arc_easy_2024-07-0{day}T10-11-12.345678.jsonl" for day in (5, 6)]


def test_checks_and_refusals(calibfast, tmp_path, logs):
    code, _, err = calibfast("ece", tmp_path, "--fail-above", "0.2")
    assert code == 1
    assert "arc_easy: conf-ECE 0.231059 is above 0.2" in err
    assert "piqa: conf-ECE" not in err
    assert "--plot take one file" in calibfast("ece", tmp_path, "--plot", "a.png")[2]
    for name in (f"samples_arc_easy_{DATE}.jsonl", "pretrained__x_piqa.jsonl"):
        (tmp_path / "model" / name).unlink()
    code, out, err = calibfast("ece", tmp_path)
    assert (code, out) == (2, "")
    assert "none of its logs could be measured" in err
