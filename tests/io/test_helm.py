"""Runs of HELM with six made-up questions, against the numbers that it computed itself."""

import copy
import gzip
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from calibfast.errors import CalibfastWarning, InputError
from calibfast.io import read_predictions
from calibfast.io.folder import sample_logs

DATA = Path(__file__).parents[1] / "data_logs"
METHODS = ["joint", "separate_original", "separate_calibrated"]
MAX_PROB = {  # of per_instance_stats.json
    "joint": [0.62, 0.7, 0.32, 0.79, 0.45, 0.55],
    "separate_original": [
        0.6458333333333331,
        0.7142857142857143,
        0.3368421052631579,
        0.797979797979798,
        0.4591836734693876,
        0.5555555555555555,
    ],
    "separate_calibrated": [
        0.9999999303716776,
        0.9999999996758735,
        0.9668650094340743,
        0.9999999999999956,
        0.6417657503000728,
        0.999999966301111,
    ],
}
EXACT_MATCH = [1, 1, 0, 1, 1, 1]
GOLD = [0, 1, 1, 3, 0, 2]


def run(method):
    return json.loads(gzip.decompress((DATA / f"helm_0.5.16_{method}" / "scenario_state.json.gz").read_bytes()))


def write(folder, whole, indent=2):
    (folder / "scenario_state.json").write_text(json.dumps(whole, indent=indent))
    (folder / "stats.json").write_text("[]")
    return folder


def likely(states):
    """The run as it was logged until 2023, with the likeliest tokens, and as in 2022, texts without a layer."""
    for state, p in zip(states, ([0.62, 0.2, 0.1, 0.04], [0.1, 0.7, 0.15, 0.03]), strict=False):
        (token,) = state["result"]["completions"][0]["tokens"]
        token["top_logprobs"] = {f" {letter}": math.log(each) for letter, each in zip("ABCD", p, strict=True)}
        state["instance"]["input"] = state["instance"]["input"]["text"]
        for reference in state["instance"]["references"]:
            reference["output"] = reference["output"]["text"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("given", ["folder", "file"])
def test_the_numbers_are_those_of_the_tool(method, given):
    path = DATA / f"helm_0.5.16_{method}"
    (chunk,) = read_predictions(path if given == "folder" else path / "scenario_state.json.gz")
    if method == "joint":
        np.testing.assert_allclose(chunk.p, MAX_PROB[method])
        assert chunk.y.tolist() == EXACT_MATCH
        return
    p = np.exp(chunk.p) / np.exp(chunk.p).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p.max(axis=1), MAX_PROB[method])
    assert (p.argmax(axis=1) == chunk.y).tolist() == EXACT_MATCH
    assert chunk.y.tolist() == GOLD


def test_the_likeliest_tokens_where_they_are_logged(tmp_path):
    whole = run("joint")
    whole["request_states"] = whole["request_states"][:2]
    likely(whole["request_states"])
    with pytest.warns(CalibfastWarning, match=r"the letters hold 97\.0%"):
        (chunk,) = read_predictions(write(tmp_path, whole, indent=None))
    np.testing.assert_allclose(np.exp(chunk.p), [[0.62, 0.2, 0.1, 0.04], [0.1, 0.7, 0.15, 0.03]])
    assert chunk.y.tolist() == GOLD[:2]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("listed", [False, True])
def test_perturbed_and_repeated_questions_are_left_out(tmp_path, method, listed):
    whole = run(method)
    if listed and method == "joint":
        whole["request_states"] = whole["request_states"][:2]
        likely(whole["request_states"])
    states = whole["request_states"]
    perturbed, again = copy.deepcopy(states), copy.deepcopy(states)
    for state in perturbed:
        state["instance"]["perturbation"] = {"name": "misspellings"}
    for state in again:
        state["train_trial_index"] = 1
    whole["request_states"] = [*perturbed, *states, *again]
    with pytest.warns(CalibfastWarning) as caught:
        (chunk,) = read_predictions(write(tmp_path, whole))
    notes = " ".join(str(each.message) for each in caught)
    assert f"{len(chunk.y)} rows are left out: they are questions that HELM has perturbed" in notes
    assert f"{len(chunk.y)} rows are left out: they repeat the questions with other solved examples" in notes


def test_what_was_said_without_a_letter_is_wrong_and_an_option_may_be_spelt_in_parts(tmp_path):
    whole = run("joint")
    whole["request_states"][0]["result"]["completions"][0]["text"] = " The"
    (chunk,) = read_predictions(write(tmp_path, whole))
    assert chunk.y.tolist() == [0, *EXACT_MATCH[1:]]
    whole = run("separate_original")
    for state in whole["request_states"][:4]:
        state["instance"]["references"][3]["output"]["text"] = "“fourth"
    tokens = [" ", "bytes:\\xe2", "bytes:\\x80\\x9c", "fourth"]
    said = whole["request_states"][3]["result"]["completions"][0]
    said["tokens"] = [{"text": text, "logprob": -1.0} for text in ["?", *tokens]]
    (chunk,) = read_predictions(write(tmp_path, whole))
    assert chunk.p[0, 3] == -1


def change(whole, number, **fields):
    whole["request_states"][number] |= fields


BAD = [
    ("zeros", lambda w: None, "all log-probabilities are exactly 0: the model's API gave none, and HELM writes 0"),
    ("joint", lambda w: w["adapter_spec"].update(method="generation"), "the method is generation, so there are no"),
    ("joint", lambda w: change(w, 2, result={"completions": []}), "'result': there is no completion; the request"),
    ("joint", lambda w: change(w, 0, result=None), "'result': there is no completion; the request"),
    ("joint", lambda w: w["request_states"].clear(), "the run has no questions"),
    ("joint", lambda w: change(w, 2, output_mapping=None), "no request and answer of HELM"),
    ("joint", lambda w: change(w, 2, instance=3), "no request and answer of HELM"),
    ("separate_original", lambda w: w["request_states"].pop(2), "'request_states': 3 requests for 4 options"),
    (
        "separate_original",
        lambda w: w["request_states"][0]["instance"]["references"][1]["tags"].append("correct"),
        "'references': 2 of the 4 options are right, expected one",
    ),
    (
        "separate_calibrated",
        lambda w: w["request_states"][0]["result"]["completions"][0]["tokens"].pop(),
        "'tokens': the last ones do not spell option 0, 'first answer 0'",
    ),
    ("joint", lambda w: w.update(request_states=None), "there is no list 'request_states'"),
]


@pytest.mark.parametrize(("method", "spoil", "message"), BAD)
def test_what_cannot_be_read_is_named(tmp_path, method, spoil, message):
    whole = run(method)
    spoil(whole)
    path = write(tmp_path, whole)
    with pytest.raises(InputError, match=rf"scenario_state\.json: .*{message}") as caught:
        read_predictions(path)
    lines = (path / "scenario_state.json").read_text().splitlines()
    if ": line " in str(caught.value):
        line = int(str(caught.value).split(": line ")[1].split(",")[0])
        assert lines[line - 1] == "    {"


@pytest.mark.parametrize("method", METHODS)
def test_a_torn_file(tmp_path, method):
    text = json.dumps(run(method), indent=2)
    (tmp_path / "scenario_state.json").write_text(text[: len(text) * 2 // 3])
    with pytest.raises(InputError, match=r"line \d+: no JSON, or the file is cut off"):
        read_predictions(tmp_path)


def test_a_folder_of_runs_and_logs(tmp_path):
    for name in ("mmlu:subject=law,model=x", "mmlu:subject=art,model=x"):
        shutil.copytree(DATA / "helm_0.5.16_joint", tmp_path / name)
        (tmp_path / name / "per_instance_stats.json").touch()
    for name in ("2026-11-21T16-36-48-00-00_arc-easy_TKTtmQjz6o3Hv4hbbBaiK5.eval", "gpqa.eval"):
        (tmp_path / name).touch()
    (tmp_path / "2024-05-02T16-36-48+00-00_theory-of-mind_TKTtmQjz6o3Hv4hbbBaiK5.json").touch()
    tasks = {"mmlu:subject=art,model=x", "mmlu:subject=law,model=x", "arc-easy", "gpqa", "theory-of-mind"}
    assert sample_logs(tmp_path).keys() == tasks
    assert list(sample_logs(tmp_path / "mmlu:subject=art,model=x")) == ["mmlu:subject=art,model=x"]
