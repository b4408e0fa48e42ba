"""States of counts: resumed, merged, refused."""

import json
import zlib

import numpy as np
import pytest

import calibfast as library
from calibfast.errors import StateError
from calibfast.io import predictions
from calibfast.io.partial import Counted, Partial
from calibfast.metrics import Evaluation, evaluation

RNG = np.random.default_rng(0)
P = RNG.random(900, dtype=np.float32)
Y = RNG.random(900) < P
USERS = RNG.integers(0, 1 << 40, 900)


@pytest.fixture
def parts(tmp_path):
    """The rows in three files."""
    files = [tmp_path / f"{name}.npz" for name in "abc"]
    for file, rows in zip(files, np.split(np.arange(900), 3), strict=True):
        np.savez(file, confidence=P[rows], correct=Y[rows], user=USERS[rows], subject=USERS[rows] % 3)
    return files


def numbers(out):
    report = json.loads(out)
    return [report[name] for name in ("n", "accuracy", "conf_ece", "brier", "nll", "reliability")]


def test_states_merge_to_the_count_of_all(calibfast, parts, tmp_path):
    _, whole, _ = calibfast("ece", *parts, "--format", "json")
    for name, files in (("x.cfs", parts[:1]), ("y.cfs", parts[1:])):
        assert calibfast("ece", *files, "--state", tmp_path / name)[0] == 0
    states = [tmp_path / "x.cfs", tmp_path / "y.cfs"]
    code, out, _ = calibfast("merge", *states, "-o", tmp_path / "all.cfs", "--format", "json")
    assert (code, numbers(out)) == (0, numbers(whole))
    report = json.loads(out)
    assert report["auroc"] is None
    assert "needs the rows" in report["not_measured"]["auroc"]
    assert calibfast("merge", tmp_path / "all.cfs", "--format", "json")[1] == out
    assert calibfast("merge", *states, "--fail-above", 0)[0] == 1
    code, out, err = calibfast("merge", tmp_path / "all.cfs", tmp_path / "x.cfs")
    assert (code, out) == (2, "")
    assert "a.npz: is in both" in err


@pytest.mark.parametrize(("key", "groups", "names"), [("subject", USERS % 3, 3), ("user", USERS, 900)])
def test_groups_are_kept_by_name(calibfast, parts, tmp_path, monkeypatch, key, groups, names):
    monkeypatch.setattr(evaluation, "MAX_GROUP_REPORTS", 500)  # three files together have more, none alone
    paths = [tmp_path / f"{name}.cfs" for name in "abc"]
    for path, file in zip(paths, parts, strict=True):
        assert calibfast("ece", file, "--group-key", key, "--state", path)[0] == 0
    codes = [
        calibfast("merge", *order, "-o", tmp_path / f"{number}.cfs")[0]
        for number, order in enumerate([paths, paths[::-1]])
    ]
    code, out, _ = calibfast("ece", *parts, "--group-key", key, "--state", paths[0], "--format", "json")
    assert [code, *codes] == [0, 0, 0]
    assert len({(tmp_path / f"{name}.cfs").read_bytes() for name in "01a"}) == 1
    assert calibfast("merge", paths[0], "--format", "json")[1] == out
    whole = Evaluation(keep_rows=False)
    whole.update(P, Y, groups=groups)
    found, expected = json.loads(out), json.loads(whole.report().to_json())
    assert len(found["groups"]) == names
    assert (found["groups"], found["worst_group"]) == (expected["groups"], expected["worst_group"])
    for style in ("table", "csv"):
        shown = calibfast("merge", paths[0], "--format", style)[1]
        assert (
            shown == calibfast("ece", *parts, "--group-key", key, "--state", tmp_path / "n.cfs", "--format", style)[1]
        )
    code, out, err = calibfast("ece", *parts, "--group-key", "correct", "--state", paths[0])
    assert (code, out) == (2, "")
    assert f"a.cfs: its files were read with --group-key {key}; read so" in err
    calibfast("ece", parts[2], "--state", tmp_path / "none.cfs")
    assert "c.npz: was read without options" in calibfast("merge", paths[1], tmp_path / "none.cfs")[2]
    calibfast("ece", parts[2], "--state", tmp_path / "five.cfs", "--group-key", key, "--bins", 5)
    assert "five.cfs: states with different bins" in calibfast("merge", paths[1], tmp_path / "five.cfs")[2]


def test_a_group_takes_bytes_for_the_bins_that_it_has_rows_in():
    lengths = []
    for groups in (None, np.arange(900) % 90):
        evaluation = Evaluation(1000, keep_rows=False)
        evaluation.update(P, Y, groups=groups)
        data = Partial(evaluation, "", [Counted("all", 0, 0)]).to_bytes()
        assert Partial.from_bytes(data).to_bytes() == data
        lengths.append(len(data))
    assert lengths[1] - lengths[0] < 90 * 500


def lying(groups):
    """A state with these states of groups instead of its own, and a sound checksum."""
    evaluation = Evaluation(10, keep_rows=False)
    evaluation.update(P, Y, groups=USERS % 3)
    head, body = Partial(evaluation, "", [Counted("all", 0, 0)]).to_bytes().split(b"\n", 1)
    text, table = body.split(b"\n", 1)
    content = json.loads(text)
    content["groups"] = groups(content["groups"]["1"])
    body = json.dumps(content).encode() + b"\n" + table
    return head[:7] + b"%08x\n" % zlib.crc32(body) + body


def test_groups_that_are_not_those_of_the_rows_are_refused():
    other = Evaluation(11, keep_rows=False)
    other.update(P, Y, groups=USERS % 3)
    parted = json.loads(Partial(other, "", [Counted("all", 0, 0)]).to_bytes().split(b"\n", 2)[1])["groups"]
    assert Partial.from_bytes(lying(lambda one: {"1": one})).n == 900
    for groups, why in [
        (lambda _: parted, "not those of its rows"),
        (lambda one: {str(name): one for name in range(1001)}, "more groups than can be"),
        (lambda _: {"1": "AP8A/wD/AP8="}, "damaged"),
    ]:
        with pytest.raises(StateError, match=why):
            Partial.from_bytes(lying(groups))


def test_a_count_goes_on_where_it_was(calibfast, parts, tmp_path, monkeypatch):
    state, sound = tmp_path / "s.cfs", parts[1].read_bytes()
    parts[1].write_bytes(sound[:100])
    code, out, err = calibfast("ece", *parts, "--state", state, "--threads", 1)
    assert (code, out) == (2, "")
    assert "b.npz" in err
    parts[1].write_bytes(sound)
    read = []
    blocks = predictions.NpzFile.blocks
    monkeypatch.setattr(
        predictions.NpzFile, "blocks", lambda file, names: read.append(file.path) or blocks(file, names)
    )
    code, out, _ = calibfast("ece", *parts, "--state", state, "--format", "json")
    assert (code, sorted(read)) == (0, parts[1:])
    assert numbers(out) == numbers(library.evaluate(P, Y).to_json())
    assert calibfast("ece", *parts, "--state", state, "--format", "json")[1] == out
    assert len(read) == 2
    assert list(tmp_path.glob("*.new")) == []
    np.savez(parts[0], confidence=P[:10], correct=Y[:10])
    assert "a.npz: has changed since" in calibfast("ece", *parts, "--state", state)[2]


def test_what_is_no_state_of_these_rows_is_refused(calibfast, parts, tmp_path):
    state = tmp_path / "s.cfs"
    calibfast("ece", parts[0], "--state", state)
    calibfast("ece", parts[1], "--state", tmp_path / "t.cfs", "--bins", 5)
    assert "s.cfs: counts into other bins, 10 of them" in calibfast("ece", *parts, "--state", state, "--bins", 15)[2]
    assert "t.cfs: states with different bins" in calibfast("merge", state, tmp_path / "t.cfs")[2]
    assert "without --metrics" in calibfast("ece", parts[0], "--state", state, "--metrics", "all")[2]
    named = ("ece", parts[1], "--state", tmp_path / "u.cfs", "--key", "confidence", "--label-key", "correct")
    assert [calibfast(*named)[0] for _ in range(2)] == [0, 0]
    assert "s.cfs: its files were read without options" in calibfast("ece", *parts, "--state", state, *named[4:])[2]
    unnamed = calibfast("ece", parts[1], "--state", tmp_path / "u.cfs")[2]
    assert "u.cfs: its files were read with --key confidence --label-key correct; read so" in unnamed
    assert "b.npz: was read with --key confidence" in calibfast("merge", state, tmp_path / "u.cfs")[2]
    state.write_bytes(state.read_bytes()[:-5])
    for arguments in (("ece", *parts, "--state", state), ("merge", state)):
        code, out, err = calibfast(*arguments)
        assert (code, out) == (2, "")
        assert "s.cfs: the partial state is damaged" in err


def test_a_file_that_changes_while_it_is_read_is_refused(calibfast, parts, monkeypatch):
    blocks = predictions.NpzFile.blocks

    def grown(file, names):
        with file.path.open("ab") as more:
            more.write(b"more")
        return blocks(file, names)

    monkeypatch.setattr(predictions.NpzFile, "blocks", grown)
    assert "changed while it was read" in calibfast("ece", *parts)[2]
