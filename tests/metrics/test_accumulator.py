"""Chunks, merges and serialised states."""

import copy
import json
import pickle
import zlib

import numpy as np
import pytest

import calibfast
from calibfast import CalibrationError, Evaluation, InputError, StateError

RNG = np.random.default_rng(0)
P = RNG.dirichlet([0.4] * 4, 3000)
Y = RNG.integers(0, 4, 3000)
WEIGHTS = RNG.exponential(size=3000)
KINDS = [(kind, norm) for kind in ("confidence", "classwise") for norm in ("l1", "l2", "max")]


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(("kind", "norm"), KINDS)
def test_every_way_to_the_rows_gives_the_same_bytes(kind, norm, weights):
    def accumulate(*parts):
        accumulator = CalibrationError(10, kind=kind, norm=norm)
        for rows in parts:
            accumulator.update(P[rows], Y[rows], weights=None if weights is None else weights[rows])
        return accumulator

    whole = accumulate(np.arange(3000))
    order = np.random.default_rng(1).permutation(3000)
    assert accumulate(*np.array_split(order, 17)).to_bytes() == whole.to_bytes()
    a, b, c = (accumulate(rows) for rows in np.array_split(order, 3))
    left = copy.deepcopy(a).merge(copy.deepcopy(b)).merge(c)
    right = copy.deepcopy(c).merge(copy.deepcopy(b).merge(a))
    assert left.to_bytes() == right.to_bytes() == whole.to_bytes()
    assert left == right == whole
    assert left.compute() == whole.compute()


@pytest.mark.parametrize(("kind", "norm"), KINDS)
def test_round_trips(kind, norm):
    accumulator = CalibrationError([0, 0.3, 0.9, 1], kind=kind, norm=norm).update(P, Y, weights=WEIGHTS)
    for again in [
        CalibrationError.from_bytes(accumulator.to_bytes()),
        CalibrationError.from_json(accumulator.to_json()),
        pickle.loads(pickle.dumps(accumulator)),
    ]:
        assert again == accumulator
        assert again.compute() == accumulator.compute()
        assert again.update(P, Y).n == 6000


def test_an_empty_state_survives_too():
    empty = CalibrationError.from_bytes(CalibrationError(5).to_bytes())
    with pytest.raises(InputError, match="no rows"):
        empty.compute()
    assert empty.update([0.5], [1]).compute() == 0.5


def test_state_is_small():
    assert len(CalibrationError(10).update(P, Y).to_bytes()) < 300


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_a_damaged_byte_is_refused(at):
    data = bytearray(CalibrationError(10).update(P, Y).to_bytes())
    data[at % len(data)] ^= 0x10
    with pytest.raises(StateError):
        CalibrationError.from_bytes(bytes(data))


def test_a_cut_or_foreign_string_is_refused():
    data = CalibrationError(10).update(P, Y).to_bytes()
    for cut in range(len(data)):
        with pytest.raises(StateError):
            CalibrationError.from_bytes(data[:cut])
    for text in ["", "{}", "null", "[" * 10_000, '{"format": "other", "version": 1, "state": {}}']:
        with pytest.raises(StateError):
            CalibrationError.from_json(text)


def test_a_newer_version_is_named():
    data = bytearray(CalibrationError(10).update(P, Y).to_bytes())
    data[4] = 9
    data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "little")
    with pytest.raises(StateError, match="version 9"):
        CalibrationError.from_bytes(bytes(data))
    document = json.loads(CalibrationError(10).to_json()) | {"version": 9}
    with pytest.raises(StateError, match="version 9"):
        CalibrationError.from_json(json.dumps(document))


def test_a_state_that_contradicts_itself_is_refused():
    document = json.loads(CalibrationError(2).update([0.3], [1]).to_json())
    document["state"]["confidence"]["plain"][0]["hits"] = 2
    with pytest.raises(StateError, match="damaged"):
        CalibrationError.from_json(json.dumps(document))
    document["state"]["confidence"]["plain"].pop()
    with pytest.raises(StateError, match="damaged"):
        CalibrationError.from_json(json.dumps(document))


def test_what_does_not_fit_does_not_merge():
    mine = CalibrationError(10).update([0.5], [1])
    before = mine.to_bytes()
    for other in [
        CalibrationError(15).update([0.5], [1]),
        CalibrationError(10, kind="classwise").update(P, Y),
        CalibrationError(10, norm="l2").update([0.5], [1]),
    ]:
        with pytest.raises(StateError):
            mine.merge(other)
    with pytest.raises(InputError, match="4 classes do not go with confidences alone"):
        mine.merge(CalibrationError(10).update(P, Y))
    assert mine.to_bytes() == before


def test_a_refused_update_changes_nothing():
    accumulator = CalibrationError(10).update(P, Y)
    before = accumulator.to_bytes()
    bad = P.copy()
    bad[-1] = np.nan
    with pytest.raises(InputError):
        accumulator.update(bad, Y)
    assert accumulator.to_bytes() == before


def test_an_empty_chunk_adds_nothing():
    accumulator = CalibrationError(10).update(P, Y)
    before = accumulator.to_bytes()
    accumulator.update(P[:0], Y[:0]).update(P[:0], Y[:0], weights=[])
    assert accumulator.to_bytes() == before
    ignored = accumulator.update(P[:2], [-1, -1], weights=[1, 1], ignore_index=-1)
    assert ignored == CalibrationError(10).update(P, Y).update(P[:2], [-1, -1], ignore_index=-1)
    evaluation = Evaluation(10)
    evaluation.update(P, Y)
    evaluation.update(P[:0], Y[:0], weights=[])
    assert evaluation.report() == calibfast.evaluate(P, Y)


def test_counts_pass_32_bits():
    accumulator = CalibrationError(10).update([0.75, 0.75], [1, 0])
    for _ in range(40):
        accumulator.merge(CalibrationError.from_bytes(accumulator.to_bytes()))
    assert accumulator.n == 2**41
    assert accumulator.compute() == 0.25


def test_an_evaluation_in_chunks_is_the_evaluation_of_all():
    chunked = Evaluation(15)
    for rows in np.array_split(np.arange(3000), 13):
        chunked.update(P[rows], Y[rows])
    assert chunked.report() == calibfast.evaluate(P, Y, bins=15)


def test_a_buffer_may_be_filled_again():
    p, y = RNG.random(3000), RNG.random(3000) < 0.5
    buffer, hits = np.empty(1000), np.empty(1000, bool)
    evaluation = Evaluation(10)
    for start in range(0, 3000, 1000):
        buffer[:], hits[:] = p[start : start + 1000], y[start : start + 1000]
        evaluation.update(buffer, hits)
    assert evaluation.report() == calibfast.evaluate(p, y)


def test_an_error_in_a_later_chunk_names_the_row_of_the_whole():
    evaluation = Evaluation(10)
    evaluation.update([0.5, 0.6], [0, 1])
    with pytest.raises(InputError, match=r"row 3 is 1\.5") as caught:
        evaluation.update([0.5, 1.5], [0, 1])
    assert caught.value.row == 3
    assert evaluation.report().n == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_layout_and_type_change_no_byte(dtype):
    rng = np.random.default_rng(5)
    table = np.empty((70_000, 2), dtype)
    table[:, 0] = rng.random(len(table))
    table[:, 1] = rng.random(len(table)) < table[:, 0]
    p, y = table[:, 0].copy(), table[:, 1] == 1

    def measured(p, y, **kwargs):
        evaluation = Evaluation(15, keep_rows=False)
        evaluation.update(p, y, **kwargs)
        return evaluation.state.to_bytes()

    expected = measured(p, y)
    integers = y.astype(np.int64)
    for given in [(table[:, 0], table[:, 1]), (p[::-1], y[::-1]), (p, integers), (p[::-1], y.astype(np.float16)[::-1])]:
        assert measured(*given) == expected
        assert measured(*given, weights=given[0]) == measured(p, y, weights=p)
    assert measured(p, integers, ignore_index=-1) == expected
    table[40_000, 1] = 0.5
    with pytest.raises(InputError, match=r"correct at row 40000 is 0\.5"):
        calibfast.ece(table[:, 0], table[:, 1])


def test_what_an_accumulator_is_by_itself():
    accumulator = CalibrationError().update(P, Y)
    assert repr(accumulator) == "CalibrationError(bins=10, kind='confidence', norm='l1', n=3000)"
    other = CalibrationError(3, kind="classwise", norm="max")
    assert repr(other) == "CalibrationError(bins=3, kind='classwise', norm='max', n=0)"
    assert accumulator != other
    assert accumulator != "CalibrationError"
    assert accumulator.interval(seed=1) != accumulator.interval() == accumulator.interval(seed=0, level=0.95)
    few = CalibrationError().update(P[:10], Y[:10])
    with pytest.warns(calibfast.CalibfastWarning, match="here are 10"):
        assert few.interval().estimate == few.compute()
    evaluation = Evaluation()
    evaluation.update(P, Y)
    assert evaluation.report().bins == 10
