"""Completions with top_logprobs, in the shapes of OpenAI's API, its batch files and vLLM, against what was put in."""

import json
import math

import numpy as np
import pytest

import calibfast
from calibfast.errors import CalibfastWarning, InputError
from calibfast.io import read_predictions

RNG = np.random.default_rng(5)
SAID = [dict(zip(("A", " B", "C", "D", "The"), RNG.dirichlet(np.ones(6)).tolist(), strict=False)) for _ in range(12)]
GOLD = RNG.integers(4, size=12).tolist()
PROBS = np.array([[each[token] for token in ("A", " B", "C", "D")] for each in SAID])


def chat(probs):
    listed = [{"token": token, "logprob": math.log(p), "bytes": list(token.encode())} for token, p in probs.items()]
    content = [listed[0] | {"top_logprobs": listed}, {"token": ".", "logprob": 0.0, "top_logprobs": []}]
    message = {"role": "assistant", "content": "A."}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "logprobs": {"content": content, "refusal": None}}],
    }


def completion(probs):
    top = {token: math.log(p) for token, p in probs.items()}
    logprobs = {"text_offset": [0], "token_logprobs": [-0.1], "tokens": ["A"], "top_logprobs": [top]}
    return {"id": "cmpl-1", "object": "text_completion", "choices": [{"index": 0, "text": "A", "logprobs": logprobs}]}


def batch(probs):
    return {"custom_id": "q", "response": {"status_code": 200, "body": chat(probs)}, "error": None}


SHAPES = {
    "beside a response": lambda probs: {"response": chat(probs)},
    "batch": batch,
    "chat": chat,
    "completion": completion,
}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("letter", [True, False])
def test_every_shape(tmp_path, shape, letter):
    rows = [SHAPES[shape](probs) | {"answer": "ABCD"[y] if letter else y} for probs, y in zip(SAID, GOLD, strict=True)]
    path = write(tmp_path / "a.jsonl", rows)
    with pytest.warns(CalibfastWarning, match=f"the letters hold {PROBS.sum(axis=1).mean():.1%} of the probab[^;]*$"):
        report = read_predictions(path, options=4).evaluate()
    expected = calibfast.evaluate(PROBS / PROBS.sum(axis=1, keepdims=True), GOLD)
    for name in ("accuracy", "mean_confidence", "conf_ece", "cw_ece", "brier", "nll"):
        assert getattr(report, name) == pytest.approx(getattr(expected, name), abs=1e-12)


def test_the_options_may_stand_beside_and_differ_in_number(tmp_path):
    rows = [
        {"question": "?", "choices": ["x", "y", "z", "w"][:k], "answer": 1, "response": chat(probs)}
        for probs, k in zip(SAID, (2, 3, 4), strict=False)
    ]
    path = write(tmp_path / "a.jsonl", rows)
    with pytest.warns(CalibfastWarning, match="the letters hold"):
        (chunk,) = read_predictions(path)
    assert chunk.mask.sum(axis=1).tolist() == [2, 3, 4]
    np.testing.assert_allclose(np.exp(chunk.p[0, :2]), PROBS[0, :2])


def test_one_letter_in_several_tokens(tmp_path):
    path = write(tmp_path / "a.jsonl", [completion({"A": 0.2, " A": 0.3, "B": 0.4}) | {"answer": "A"}])
    with pytest.warns(CalibfastWarning, match=r"the letters hold 90\.0%"):
        (chunk,) = read_predictions(path, options=2)
    np.testing.assert_allclose(np.exp(chunk.p), [[0.5, 0.4]])


@pytest.mark.parametrize(
    ("said", "bound"),
    [({"A": 0.6, "B": 0.2, "So": 0.15}, 0.05), ({"A": 0.6, "B": 0.02}, 0.02), ({"A": 1.0, "B": 1e-30}, 1e-30)],
)
def test_a_missing_letter_is_bounded(tmp_path, said, bound):
    """By what is left, and by what is listed last; the note says how much that can be worth."""
    path = write(tmp_path / "a.jsonl", [chat(said) | {"answer": "C"}])
    listed = said["A"] + said["B"]
    slack = said["A"] / listed - said["A"] / (listed + 2 * bound)
    match = rf"1 of 1 rows do not list every letter.*by at most {slack:.2g}" if slack else "letters hold"
    with pytest.warns(CalibfastWarning, match=match):
        (chunk,) = read_predictions(path, options=4)
    np.testing.assert_allclose(np.exp(chunk.p), [[said["A"], said["B"], bound, bound]])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (chat({"The": 0.9, "It": 0.1}), "'top_logprobs': none of the letters ABCD begins the answer"),
        (completion({"A": math.exp(49)}), "'top_logprobs': 'A' has 49, which is no log-probability"),
        (chat({"A": 0.5}) | {"choices": [{"logprobs": None}]}, "'logprobs': there are no top_logprobs"),
        (chat({"A": 0.5}) | {"choices": [{"logprobs": {"content": None}}]}, "'logprobs': there are no top_logprobs"),
    ],
)
def test_what_is_no_answer_by_letter(tmp_path, row, message):
    path = write(tmp_path / "a.jsonl", [chat(SAID[0]) | {"answer": 0}, row | {"answer": 0}])
    with pytest.raises(InputError, match=rf"a\.jsonl: line 2, {message}"):
        read_predictions(path, options=4)


def test_the_number_of_options_is_not_guessed(tmp_path):
    with pytest.raises(InputError, match=r"line 1, 'choices': the options are not listed .* \(--options\)"):
        read_predictions(write(tmp_path / "a.jsonl", [chat(SAID[0]) | {"answer": 0}]))
