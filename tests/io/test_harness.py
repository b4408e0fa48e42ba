"""Sample logs of lm-evaluation-harness, in the shape of every version, against NumPy on what was put into them."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

import calibfast
from calibfast.errors import CalibfastWarning, InputError
from calibfast.io import read_predictions
from calibfast.io.compare import compare_files

RNG = np.random.default_rng(11)
COUNTS = [4, 3, 5, 4, 4, 2, 5, 3, 4, 4] * 3
SCORES = [RNG.uniform(-30, -1, count).tolist() for count in COUNTS]
SCORES[0] = [-7.5, -2.25, -9.0, -2.25]  # a tie: the first wins
GOLD = [1, *(int(RNG.integers(count)) for count in COUNTS[1:])]
TEXTS = [
    [f"{'Über' if k % 2 else 'the'} answer {row * 7} {k}" * (k + 1) for k in range(n)] for row, n in enumerate(COUNTS)
]


def row(number, scores, target, acc, contexts, continuations):
    """What a version of the tool knows of a question, before it is written down."""
    return {
        "doc_id": number,
        "doc": {"question": f"question {number}"},
        "target": target,
        "arguments": [list(pair) for pair in zip(contexts, continuations, strict=True)],
        "resps": [[[score, False]] for score in scores],
        "filtered_resps": [[score, False] for score in scores],
        "acc": acc,
    }


def rows(targets=GOLD, texts=TEXTS, scores=SCORES, gold=GOLD):
    return [
        row(
            number,
            each,
            targets[number],
            float(np.argmax(each) == gold[number]),
            [f"Q{number}:"] * len(each),
            [f" {text}" for text in texts[number]],
        )
        for number, each in enumerate(scores)
    ]


def strings(value):
    return [strings(item) for item in value] if isinstance(value, list) else str(value)


def named(record, **more):
    """As since 0.4.3: named arguments, all numbers in text, hashes."""
    arguments = {f"gen_args_{k}": {"arg_0": c, "arg_1": o} for k, (c, o) in enumerate(record["arguments"])}
    text = {name: strings(record[name]) for name in ("resps", "filtered_resps", "target")}
    return record | text | {"arguments": arguments, "doc_hash": "5feceb66"} | more


def early(record):
    """As `--write_out` before 0.4."""
    prompts = {f"prompt_{k}": context + option for k, (context, option) in enumerate(record["arguments"])}
    logits = {f"logit_{k}": score for k, (score, _) in enumerate(record["filtered_resps"])}
    outcome = {"truth": record["target"], "acc": str(record["acc"]), "acc_norm": "0.0"}
    return {"doc_id": record["doc_id"]} | prompts | logits | outcome


def lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def array(records):
    return json.dumps(records, indent=2)


FORMS = {
    "0.3_write_out_info.json": lambda found: json.dumps(list(map(early, found)), indent=4, ensure_ascii=False),
    "0.4.0.jsonl": array,
    "0.4.2.json": lines,
    "0.4.2.jsonl": lines,
    "0.4.3.jsonl": lambda found: lines(map(named, found)),
    "0.4.9.jsonl.gz": lambda found: lines(named(each, filter="none", metrics=["acc"]) for each in found),
    "0.4.9.json.gz": lambda found: array([named(each, filter="none", metrics=["acc"]) for each in found]),
}


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def expected(scores=SCORES, gold=GOLD):
    width = max(map(len, scores))
    logits = np.array([[*each, *[-np.inf] * (width - len(each))] for each in scores])
    return calibfast.evaluate(logits, gold, logits=True)


def right(path, **how):
    """Whether the first of the likeliest options is the right one, row by row, as calibfast reads it."""
    return [
        bool(p.argmax() == y) for chunk in read_predictions(path, **how) for p, y in zip(chunk.p, chunk.y, strict=True)
    ]


@pytest.fixture(params=["whole", "piece by piece"])
def pieces(request, monkeypatch):
    if request.param == "piece by piece":
        monkeypatch.setattr("calibfast.io.json_records._CHUNK", 64)
        monkeypatch.setattr("calibfast.io.text.BLOCK_CELLS", 8)


@pytest.mark.parametrize("form", FORMS)
def test_every_version(tmp_path, pieces, form):
    found = rows()
    path = write(tmp_path / form, FORMS[form](found))
    assert read_predictions(path).evaluate() == expected()
    assert right(path) == [record["acc"] == 1 for record in found]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("word", ["index in text", "list of one", "letter", "text", "text with its space"])
def test_targets(tmp_path, form, word):
    letters = [list("ABCDE")[:count] for count in COUNTS]
    texts = letters if word == "letter" else TEXTS
    targets = {
        "index in text": [str(y) for y in GOLD],
        "list of one": [[y] for y in GOLD],
        "letter": [own[y] for own, y in zip(letters, GOLD, strict=True)],
        "text": [own[y] for own, y in zip(TEXTS, GOLD, strict=True)],
        "text with its space": [f" {own[y]}" for own, y in zip(TEXTS, GOLD, strict=True)],
    }
    path = write(tmp_path / form, FORMS[form](rows(targets[word], texts)))
    assert read_predictions(path).evaluate() == expected()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("meant", ["index", "text"])
def test_the_logged_accuracy_says_what_a_number_means(tmp_path, form, meant):
    scores = RNG.uniform(-9, -1, (20, 4)).tolist()
    gold = [int(np.argmax(each)) for each in scores[:10]] + RNG.integers(3, size=10).tolist()
    targets = [str(y if meant == "index" else y + 1) for y in gold]
    texts = [["1", "2", "3", "4"]] * 20
    path = write(tmp_path / form, FORMS[form](rows(targets, texts, scores, gold)))
    assert read_predictions(path).evaluate() == expected(scores, gold)


def test_without_a_logged_accuracy_a_number_is_an_index(tmp_path):
    found = [{name: value for name, value in record.items() if name != "acc"} for record in rows()]
    assert read_predictions(write(tmp_path / "a.jsonl", lines(found))).evaluate() == expected()


@pytest.mark.parametrize("form", list(FORMS)[1:])
def test_options_in_the_context(tmp_path, form):
    """WinoGrande: both continuations are the same, and so is the target."""
    scores, gold = RNG.uniform(-9, -1, (20, 2)).tolist(), RNG.integers(2, size=20).tolist()
    ends = [f"was {number}." for number in range(20)]
    found = [
        row(number, each, end, float(np.argmax(each) == y), [f"The cat {number}", f"The dog {number}"], [f" {end}"] * 2)
        for number, (each, y, end) in enumerate(zip(scores, gold, ends, strict=True))
    ]
    assert read_predictions(write(tmp_path / form, FORMS[form](found))).evaluate() == expected(scores, gold)


@pytest.mark.parametrize("form", list(FORMS)[1:])
@pytest.mark.parametrize("strided", [True, False])
def test_mutual_information_takes_the_scores_with_the_context(tmp_path, form, strided):
    """In 0.4.4 each option without its context follows the one with it, in 0.4.13 all follow all."""
    found = rows()
    for record in found:
        alone = [["", option] for _, option in record["arguments"]], [[-0.5, False] for _ in record["filtered_resps"]]
        for name, more in zip(("arguments", "filtered_resps"), alone, strict=True):
            pairs = zip(record[name], more, strict=True)
            record[name] = [item for pair in pairs for item in pair] if strided else record[name] + more
        record["acc_mutual_info"] = 0.0
    assert read_predictions(write(tmp_path / form, FORMS[form](found))).evaluate() == expected()


@pytest.mark.parametrize("logged", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("count", [1, len(GOLD)])
def test_further_filters_repeat_the_questions(tmp_path, logged, at_once, count):
    found = [
        record | ({"filter": name} if logged else {})
        for name in ("first", "second", "third")
        for record in rows()[:count]
    ]
    if at_once:
        found.sort(key=lambda record: record["doc_id"])
    path = write(tmp_path / "a.jsonl", lines(found))
    with pytest.warns(CalibfastWarning, match=f"{2 * count} rows repeat questions"):
        predictions = read_predictions(path)
    assert predictions.evaluate() == expected(SCORES[:count], GOLD[:count])


def test_the_same_numbers_of_other_questions_are_no_repetition(tmp_path):
    other = rows(texts=[[text[::-1] for text in own] for own in TEXTS])
    path = write(tmp_path / "two_tasks.jsonl", lines(rows() + other))
    assert read_predictions(path).evaluate().n == 2 * len(GOLD)
    path = write(tmp_path / "again_between.jsonl", lines(rows() + rows() + other))
    with pytest.warns(CalibfastWarning, match=f"{len(GOLD)} rows repeat questions"):
        assert read_predictions(path).evaluate().n == 2 * len(GOLD)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A tokenizer whose tokens are words and spaces."""
    folder = tmp_path_factory.mktemp("words")
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize("form", list(FORMS)[1:])
def test_normalized_by_bytes_and_tokens(tmp_path, words, form):
    path = write(tmp_path / form, FORMS[form](rows()))
    for how, size in (("byte", lambda text: len(text.encode())), ("token", lambda text: len(text.split()))):
        scores = [
            [score / size(text) for score, text in zip(each, own, strict=True)]
            for each, own in zip(SCORES, TEXTS, strict=True)
        ]
        read = read_predictions(path, normalize=how, tokenizer=words if how == "token" else None)
        assert read.evaluate() == expected(scores)


def test_normalizing_needs_what_it_counts(tmp_path, words):
    path = write(tmp_path / "a.jsonl", lines(rows()))
    for how in ({"normalize": "token"}, {"tokenizer": words}, {"normalize": "byte", "tokenizer": words}):
        with pytest.raises(InputError, match="--normalize token and --tokenizer PATH go together"):
            read_predictions(path, **how)
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        read_predictions(path, normalize="token", tokenizer=tmp_path)
    old = write(tmp_path / "old.json", FORMS["0.3_write_out_info.json"](rows()))
    with pytest.raises(InputError, match=r"old\.json: line 2, 'prompt_0': logs of before 0\.4"):
        read_predictions(old, normalize="byte").evaluate()
    table = write(tmp_path / "table.jsonl", '{"conf": 0.5, "correct": 1}\n')
    with pytest.raises(InputError, match="are for sample logs"):
        read_predictions(table, normalize="byte")


def changed(**fields):
    return lambda record: record | fields


BAD = {
    "generated text": (changed(filtered_resps=["A. Paris"]), "'filtered_resps': holds 'A. Paris', no log-likelihood"),
    "a number as text": (changed(filtered_resps=["42"]), "'filtered_resps': one answer"),
    "one text": (changed(filtered_resps=[[-3.0, True]]), "'filtered_resps': one answer, so there are no options"),
    "no answers": (changed(filtered_resps=None), "'filtered_resps': is None, expected a list"),
    "fewer requests": (changed(arguments=[["a", "b"]]), "'arguments': holds 1 requests for"),
    "no text": (changed(arguments=[[1, 2]] * 5), "'arguments': holds 1, expected text"),
    "no pair": (changed(arguments=["ab"] * 5), "'arguments': holds 'ab', expected a context"),
    "several right": (changed(target=[0, 2]), r"'target': \[0, 2\] is not one of the \d options"),
    "none right": (changed(target="Z"), "'target': 'Z' is not one of the"),
    "out of range": (changed(target="7"), "'target': '7' is not one of the"),
    "credit": (changed(acc=0.43), "'acc': is 0.43, neither 0 nor 1"),
    "acc in words": (changed(acc="yes"), "'acc': is 'yes', expected 0 or 1"),
    "another accuracy": (lambda record: record | {"acc": 1 - record["acc"]}, "'acc': is .* counts in a way of its own"),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("form", [lines, array])
def test_a_row_that_cannot_be_read_is_named(tmp_path, what, form):
    change, message = BAD[what]
    found = rows()
    found[5] = change(found[5])
    text = form(found)
    line = 1 + text[: text.index('"question 5"')].count("\n")
    path = write(tmp_path / "a.jsonl", text)
    with pytest.raises(InputError, match=rf"a\.jsonl: line \d+, {message}") as caught:
        read_predictions(path)
    named_line = int(str(caught.value).split(": line ")[1].split(",")[0])
    assert 0 <= line - named_line <= 4  # the line on which the row begins


def test_early_logs_of_other_tasks(tmp_path):
    record = early(rows()[0])
    for change, message in (
        ({"logit_1": True}, "'logit_1': holds True, no log-likelihood"),
        ({"logit_0": "Paris"}, "'logit_0': holds 'Paris', no log-likelihood"),
        ({"prompt_1": None}, "'prompt_1': holds None, expected text"),
    ):
        path = write(tmp_path / "a.json", json.dumps([record | change], indent=4))
        with pytest.raises(InputError, match=rf"a\.json: line 2, {message}"):
            read_predictions(path)
    del record["truth"]
    with pytest.raises(InputError, match="'truth': is not there"):
        read_predictions(write(tmp_path / "a.json", json.dumps([record])))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines(rows())[:-100], "line 30: no JSON"),
        (array(rows())[:-100], r"line \d+: no JSON, or the file is cut off"),
        (array(rows())[:-1], r"line \d+: no JSON, or the file is cut off"),
        (array(rows()) + lines(rows()), r"line \d+: more follows after the end of the array"),
        ('{\n  "outcomes": {}\n}\n', "line 1: a JSON object over several lines"),
        ('{"outcomes": {}}\n', "no predictions found"),
        ('{\n  "results": {}\n}\n', "the results of lm-evaluation-harness without the answers; .* --log_samples"),
        ('{"results": {}}\n', "the results of lm-evaluation-harness"),
        ('[\n  {\n    "instance_id": "id1",\n    "stats": []}]', "a part of a HELM run without the requests; give"),
        (lines([*rows(), {"results": {}}]), "line 31, 'filtered_resps': is None"),
        (array([*rows(), 3]), r"line \d+: a JSON int, expected an object"),
    ],
)
def test_torn_and_foreign_files(tmp_path, pieces, text, message):
    with pytest.raises(InputError, match=rf"a\.json: {message}"):
        read_predictions(write(tmp_path / "a.json", text)).evaluate()


def test_a_table_may_be_an_array(tmp_path):
    path = write(tmp_path / "a.json", json.dumps([{"conf": 0.9, "correct": 1}, {"conf": 0.6, "correct": 0}]))
    assert read_predictions(path).evaluate() == calibfast.evaluate([0.9, 0.6], [1, 0])


def test_two_logs_are_compared_question_by_question(tmp_path):
    a = read_predictions(write(tmp_path / "a.jsonl", lines(rows())))
    better = [[score + 3 * (k == y) for k, score in enumerate(each)] for each, y in zip(SCORES, GOLD, strict=True)]
    b = read_predictions(write(tmp_path / "b.jsonl", lines(rows(scores=better))))
    assert compare_files(a, b, replicates=100).metrics["accuracy"].difference > 0
    other = read_predictions(write(tmp_path / "c.jsonl", lines(rows()[1:])))
    with pytest.raises(InputError, match=r"the ids of .* differ first at row 0: '0' \(line 1\) and '1' \(line 1\)"):
        compare_files(a, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda row: row["doc"].update(question="Another one?"),
            r"questions .* row 4: '\w{8} .*question 4.*\(line 5\)",
        ),
        (lambda row: row.update(target=0, acc=1.0), r"labels .* row 4: \d \(line 5\) and 0 \(line 5\)"),
        (lambda row: row["filtered_resps"].pop(), r"numbers of options .* row 4: 4 \(line 5\) and 3 \(line 5\)"),
    ],
)
def test_logs_of_other_questions_are_refused_with_the_line(tmp_path, change, message):
    scores = [[-1.0, -2.0, -3.0, -4.0]] * len(GOLD)
    found = [rows(targets=["1"] * len(GOLD), texts=[["a", "b", "c", "d"]] * len(GOLD), scores=scores) for _ in "ab"]
    for record in found[0] + found[1]:
        record["acc"] = 0.0
    change(found[1][4])
    a, b = (read_predictions(write(tmp_path / f"{name}.jsonl", lines(f))) for name, f in zip("ab", found, strict=True))
    with pytest.raises(InputError, match=rf"the {message}"):
        compare_files(a, b)


LOGS = sorted((Path(__file__).parents[1] / "data_logs").glob("lm_eval_*"))


@pytest.mark.parametrize("path", LOGS, ids=[path.name for path in LOGS])
def test_logs_that_the_tool_wrote(path):
    text = path.read_text("utf-8")
    logged = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    assert right(path) == [record["acc"] == 1 for record in logged]
    if "acc_bytes" in logged[0]:
        assert right(path, normalize="byte") == [record["acc_bytes"] == 1 for record in logged]
    if "option1" in logged[0]["doc"]:  # WinoGrande
        labels = [int(record["doc"]["answer"]) - 1 for record in logged]
        assert [int(y) for chunk in read_predictions(path) for y in chunk.y] == labels
