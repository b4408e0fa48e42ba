from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import torch
from tiny import make_model, make_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import calibfast
from calibfast.data.rows import read_rows
from calibfast.data.texts import LONGEST, PIECE, read_texts
from calibfast.errors import InputError
from calibfast.evaluation import clm
from calibfast.evaluation.clm import Reading, measure_text
from calibfast.evaluation.surface import CLASSES, Surface
from calibfast.models import next_token
from calibfast.models.windows import beginning, tokenize, windows

TOKENIZER = make_tokenizer()
TEXT = "".join(f"{n} times two is {2 * n}, and 3 x {n} = {3 * n}.\n" for n in range(60))


@pytest.fixture(scope="module")
def model():
    """One that has learned something of the text."""
    model = make_model(len(TOKENIZER)).train()
    ids = torch.tensor(TOKENIZER(TEXT)["input_ids"])
    ids = ids[: len(ids) // 48 * 48].reshape(-1, 48)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(30):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def of(result):
    """All of a report, as NaN and tuples compare badly."""
    return json.loads(result.report.to_json())


def test_a_window_at_a_time_by_hand(model, data):
    ids, window, stride = TOKENIZER(TEXT)["input_ids"], 40, 15
    probs, nll, done = [], 0.0, 1
    for start in range(0, len(ids), stride):
        part = ids[start : start + window]
        with torch.no_grad():
            logs = model(input_ids=torch.tensor([part])).logits[0].double().log_softmax(-1).numpy()
        for place in range(done - start, len(part)):
            probs.append(np.exp(logs[place - 1]))
            nll -= logs[place - 1, part[place]]
        done = max(done, start + len(part))
    assert len(probs) == len(ids) - 1
    probs, came = np.array(probs), np.array(ids[1:])
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == came
    found = measure_text(model, TOKENIZER, Reading(data, window=window, stride=stride, top_k=3), progress=False).report
    assert 0.2 < found.accuracy < 0.95
    assert found.n == len(came)
    assert found.accuracy == right.mean()
    np.testing.assert_allclose(found.mean_confidence, confidence.mean(), rtol=1e-5)
    np.testing.assert_allclose(found.conf_ece, calibfast.ece(confidence, right), rtol=1e-3)
    np.testing.assert_allclose(found.metrics["token_nll"], nll / len(came), rtol=1e-4)
    np.testing.assert_allclose(found.metrics["perplexity"], np.exp(nll / len(came)), rtol=1e-3)
    np.testing.assert_allclose(found.metrics["bits_per_byte"], nll / np.log(2) / len(TEXT), rtol=1e-4)
    top = np.argsort(-probs, axis=1)[:, :3]
    assert found.metrics["top3_accuracy"] == (top == came[:, None]).any(axis=1).mean()
    mass = np.take_along_axis(probs, top, axis=1).sum(axis=1)
    np.testing.assert_allclose(found.metrics["top3_mean_confidence"], mass.mean(), rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_to_the_last_bit_what_dumped_probabilities_give(model, data, monkeypatch, batch_size):
    dumped = []
    run = next_token.last_logits

    def dump(model, batch, keep):
        logits = run(model, batch, keep)
        dumped.append(logits.softmax(-1).numpy())
        return logits

    labels = []
    measure = next_token.predict

    def keep(model, batch, top_k):
        found = measure(model, batch, top_k)
        first = min(window.start for window in batch) - 1
        probs = [row[w.start - 1 - first : len(w.ids) - 1 - first] for row, w in zip(dumped.pop(), batch, strict=True)]
        labels.append((np.concatenate(probs), np.concatenate([w.ids[w.start :] for w in batch])))
        return found

    monkeypatch.setattr(next_token, "last_logits", dump)
    monkeypatch.setattr(clm, "predict", keep)
    report = measure_text(model, TOKENIZER, Reading(data, window=32, batch_size=batch_size), progress=False).report
    probs, came = (np.concatenate(each) for each in zip(*labels, strict=True))
    offline = calibfast.evaluate(probs, came)
    assert (report.n, report.conf_ece, report.mce, report.rmsce) == (
        offline.n,
        offline.conf_ece,
        offline.mce,
        offline.rmsce,
    )
    assert (report.accuracy, report.mean_confidence) == (offline.accuracy, offline.mean_confidence)


def test_groups_are_three_divisions_of_the_predictions(model, data):
    report = measure_text(model, TOKENIZER, Reading(data, window=32), progress=False).report
    kinds = {
        "context": [name for name in report.groups if name.startswith("context")],
        "frequency": [name for name in report.groups if name.startswith("frequency")],
        "looks": [name for name in report.groups if name in CLASSES],
    }
    assert kinds["context"] == ["context 1", "context 2-3", "context 4-7", "context 8-15", "context 16-31"]
    for names in kinds.values():
        assert sum(report.groups[name].n for name in names) == report.n
        hits = sum(report.groups[name].accuracy * report.groups[name].n for name in names)
        assert round(hits) == round(report.accuracy * report.n)
    assert report.worst_group == max(report.groups, key=lambda name: report.groups[name].conf_ece)
    assert 0 < report.multicalibration_gap < 1


def test_stopped_and_gone_on(model, data, tmp_path, monkeypatch):
    reading, unfinished = Reading(data, window=32, batch_size=4), tmp_path / "unfinished"
    whole = measure_text(model, TOKENIZER, reading, progress=False)
    calls = []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return next_token.predict(*arguments)

    monkeypatch.setattr(clm, "predict", stop)
    with pytest.raises(KeyboardInterrupt):
        measure_text(model, TOKENIZER, reading, unfinished=unfinished, progress=False)
    with pytest.raises(InputError, match="unfinished reading with bins '10', and this one has '15'"):
        measure_text(model, TOKENIZER, Reading(data, window=32, bins=15), unfinished=unfinished, progress=False)
    before = len(calls)
    resumed = measure_text(model, TOKENIZER, reading, unfinished=unfinished, progress=False)
    assert of(resumed) == of(whole)
    assert len(calls) - before == -(-whole.windows // 4) - 8
    assert list(tmp_path.iterdir()) == [data]


def test_smaller_batches_where_memory_runs_out(model, data, monkeypatch):
    seen = []

    def small(model, batch, top_k):
        seen.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return next_token.predict(model, batch, top_k)

    monkeypatch.setattr(clm, "predict", small)
    found = measure_text(model, TOKENIZER, Reading(data, window=64, batch_size=8), progress=False)
    assert seen[:4] == [8, 4, 2, 2]
    assert found.report.n == len(TEXT)
    monkeypatch.setattr(clm, "predict", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure_text(model, TOKENIZER, Reading(data, window=64), progress=False)


@pytest.mark.parametrize("prefix", [[], [1]])
@pytest.mark.parametrize(("window", "stride"), [(2, 1), (5, 4), (8, 3), (64, 32)])
def test_every_token_is_predicted_once(tmp_path, prefix, window, stride):
    path = tmp_path / "texts.jsonl"
    texts = ["", "a", "ab", "abcdefgh", "é" * 20, "x" * 64, "y" * 65]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    found = list(windows(tokenize(TOKENIZER, read_texts(path)), prefix, window, stride))
    expected = [TOKENIZER(text, add_special_tokens=False)["input_ids"][not prefix :] for text in texts]
    assert [token for each in found for token in each.ids[each.start :]] == [token for ids in expected for token in ids]
    assert all(1 <= each.start < len(each.ids) <= window for each in found)
    sizes = sum(int(each.sizes.sum()) for each in found)
    assert sizes == sum(len(text[not prefix :].encode()) for text in texts)


def test_a_long_text_comes_in_pieces(tmp_path):
    path = tmp_path / "long.txt.gz"
    text = ("one two\n\nthree " * 9 + "\n") * 1000
    path.write_bytes(gzip.compress(text.encode()))
    pieces = list(read_texts(path))
    assert "".join(piece.text for piece in pieces) == text
    assert len(pieces) > 2
    assert [piece.first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert max(len(piece.text) for piece in pieces) <= PIECE + 200
    assert all(piece.text.startswith(("one", "three")) for piece in pieces)


def test_a_text_without_spaces_is_never_held_whole(tmp_path):
    path = tmp_path / "endless.txt"
    path.write_text("a b" + "x" * (2 * LONGEST + 10))
    pieces = list(read_texts(path))
    assert "".join(piece.text for piece in pieces) == path.read_text()
    assert max(len(piece.text) for piece in pieces) < LONGEST + PIECE


def test_a_damaged_text_column_is_named(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    text = pa.StringArray.from_buffers(1, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe"))
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": text}), path)
    with pytest.raises(InputError, match="damaged or none at all"):
        list(read_texts(path))
    with pytest.raises(InputError, match="damaged or none at all"):
        list(read_rows(path, "a file"))


def test_parquet_and_other_fields(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"body": ["one", "two"]}), tmp_path / "t.parquet")
    assert list(read_texts(tmp_path / "t.parquet", "body")) == [("one", True), ("two", True)]
    with pytest.raises(InputError, match=r"no column 'text', .* one of body by --text-key"):
        list(read_texts(tmp_path / "t.parquet"))
    (tmp_path / "t.jsonl").write_text('{"text": "one"}\n{"body": "two"}\n')
    with pytest.raises(InputError, match=r"t\.jsonl, line 2: no text in the field 'text'"):
        list(read_texts(tmp_path / "t.jsonl"))


def test_what_begins_a_text():
    assert beginning(TOKENIZER) == [1]
    assert beginning(make_tokenizer(closing=True)) == [1]


def test_classes_of_tokens():
    words = ["a", "Ġthe", "ing", "Ġ4", "2", ",", "Ġ(", "Ċ", "Ġ", "<s>"]
    backend = Tokenizer(models.BPE(vocab={word: place for place, word in enumerate(words)}, merges=[]))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    surface = Surface(PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>"), len(words))

    def looks(token, before):
        return CLASSES[surface.classes(np.array([words.index(token)]), np.array([words.index(before)]))[0]]

    assert looks("Ġthe", "a") == looks("ing", "Ġ") == looks("ing", ",") == looks("a", "<s>") == "word start"
    assert looks("ing", "a") == looks("ing", "Ġthe") == "inside a word"
    assert looks("Ġ4", "a") == looks("2", "a") == "number"
    assert looks(",", "a") == looks("Ġ(", "a") == "punctuation"
    assert looks("Ċ", "a") == looks("Ġ", "a") == looks("<s>", "a") == "space or special"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 1024}, "a window of 1,024 tokens is more than the 512 that the model reads"),
        ({"window": 8, "stride": 8}, "windows of 8 tokens every 8: the stride is at least 1 and smaller"),
    ],
)
def test_windows_that_cannot_be(model, data, settings, message):
    with pytest.raises(InputError, match=message):
        measure_text(model, TOKENIZER, Reading(data, **settings), progress=False)


def test_texts_that_cannot_be_read(model, tmp_path, capsys):
    path = tmp_path / "empty.txt"
    path.write_text("")
    with pytest.raises(InputError, match="nothing to predict"):
        measure_text(model, TOKENIZER, Reading(path), progress=False)
    path.write_text("SHORT")
    assert measure_text(model, TOKENIZER, Reading(path)).report.n == 5
    assert capsys.readouterr().err.startswith("note: no text fills the window of 512 tokens; the longest has 6\n")
    with pytest.raises(InputError, match=r"gives token 58, and the model knows 50 tokens: it is the tokenizer of an"):
        measure_text(make_model(50), TOKENIZER, Reading(path), progress=False)
