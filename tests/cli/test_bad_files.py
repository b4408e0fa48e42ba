"""Bad input: one line on stderr that says what, where and what to do; nothing on stdout; exit code 2."""

import gzip
import json
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PAIR = np.array([[0.9, 1.0], [0.6, 0.0]])
PROBS = np.array([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5]])


def save(array):
    return lambda path: np.save(path, array, allow_pickle=True)


def archive(**arrays):
    def write(path):
        with path.open("wb") as file:  # under its own name, whatever the suffix
            np.savez(file, **arrays)

    return write


def text(content):
    return lambda path: path.write_text(content)


def parquet(**columns):
    return lambda path: pq.write_table(pa.table(columns), path)


def header(shape):
    """An array of 32 bytes whose header promises another shape."""

    def write(path):
        fields = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(fields)) + fields.encode() + PAIR.tobytes())

    return write


def cut(write, size):
    def cut_off(path):
        write(path)
        path.write_bytes(path.read_bytes()[:size])

    return cut_off


def twice(path):
    np.save(path, PAIR)
    path.write_bytes(path.read_bytes() * 2)


def corrupted(path):
    np.savez_compressed(path, probs=np.random.default_rng(0).random((100, 3)), labels=np.zeros(100, int))
    content = bytearray(path.read_bytes())
    content[300:320] = bytes(20)
    path.write_bytes(content)


BAD = {
    # .npy: the file
    "empty.npy": (lambda path: path.touch(), ["the file is empty"]),
    "text.npy": (text("0.9,1\n"), ["no NumPy array inside"]),
    "zip.npy": (archive(probs=PROBS), ["looks like a .npz archive"]),
    "cut.npy": (cut(save(PAIR), 150), ["promises 160 bytes", "(2, 2)", "has 150", "cut off"]),
    "two.npy": (twice, ["a second array"]),
    "huge.npy": (header("(1000000000000, 2)"), ["promises 16000000000128 bytes", "cut off"]),
    "negative.npy": (header("(-1, 2)"), ["header", "(-1, 2)"]),
    "torn.npy": (header("(2, oops)"), ["the header of the array is damaged"]),
    "version.npy": (lambda path: path.write_bytes(b"\x93NUMPY\x03\x00" + bytes(64)), ["format version 3.0"]),
    # .npy: what it holds
    "objects.npy": (save(np.array([{}, None])), ["holds object values", "never unpickled"]),
    "records.npy": (save(np.zeros(3, "f4,i4")), ["expected numbers"]),
    "complex.npy": (save(PAIR + 0j), ["complex128"]),
    "dates.npy": (save(np.zeros((2, 2), "M8[s]")), ["datetime64"]),
    "integers.npy": (save(np.array([[1, 1], [0, 1]])), ["'confidence' holds int64", "float32"]),
    "scalar.npy": (save(np.float64(0.5)), ["shape ()", "(N,) or (N, K)"]),
    "cube.npy": (save(np.zeros((2, 2, 2))), ["shape (2, 2, 2)"]),
    "rowless.npy": (save(np.zeros((0, 2))), ["no rows"]),
    "nan.npy": (save(np.array([[0.5, 1], [np.nan, 1]])), ["nan.npy", "row 1", "NaN", "drop or repair"]),
    "outside.npy": (save(np.array([[0.5, 1], [1.5, 1]])), ["row 1", "1.5", "outside [0, 1]"]),
    "percent.npy": (save(np.array([[50.0, 1.0]])), ["row 0", "50", "outside [0, 1]"]),
    "twoprobs.npy": (save(np.array([[0.3, 0.7]])), ["correct at row 0 is 0.7", "class labels go with"]),
    "labelless.npy": (save(PROBS), ["needs labels", "--labels"]),
    "alone.npy": (save(PROBS[:, 0]), ["needs correct", "--labels"]),
    # .npz
    "text.npz": (text("hello"), ["damaged or no .npz at all"]),
    "cut.npz": (cut(archive(probs=PROBS), 200), ["damaged or no .npz at all"]),
    "corrupted.npz": (corrupted, ["the archive is damaged", "probs.npy"]),
    "empty.npz": (lambda path: zipfile.ZipFile(path, "w").close(), ["holds no arrays"]),
    "strange.npz": (archive(a=PROBS, b=[0, 1]), ["no predictions found", "found a, b", "--key"]),
    "unequal.npz": (archive(probs=PROBS, labels=[0, 1, 2]), ["unequal numbers of rows", "'probs' 2, 'labels' 3"]),
    "objects.npz": (archive(probs=PROBS, labels=np.array([0, None])), ["array 'labels'", "object"]),
    "flat.npz": (archive(probs=PROBS[:, 0], labels=[0, 1]), ["'probs' should have one value per option", "--key"]),
    "square.npz": (archive(conf=PROBS, correct=[0, 1]), ["'conf' should have one value a row", "--key"]),
    "either.npz": (archive(conf=PROBS[:, 0], labels=[0, 1]), ["class index or right and wrong", "--label-key labels"]),
    "correct.npz": (archive(probs=PROBS, correct=[0, 1]), ["needs labels", "found probs, correct"]),
    "sums.npz": (archive(probs=PROBS * 0.9, labels=[0, 1]), ["sums.npz", "row 0", "sum to 0.9"]),
    "range.npz": (archive(probs=PROBS, labels=[0, 3]), ["row 1", "label", "3", "ignore"]),
    "halves.npz": (archive(probs=PROBS, labels=[0, 0.5]), ["row 1, 'labels'", "0.5 is no option's index"]),
    "names.npz": (archive(probs=PROBS, labels=["A", "B"]), ["'labels' holds text such as 'A'", "index of an option"]),
    "words.npz": (archive(conf=[0.9, 0.6], correct=["yes", "no"]), ["'correct' holds text such as 'yes'", "0 and 1"]),
    "mask.npz": (
        archive(probs=PROBS, labels=[0, 2], mask=np.ones((2, 2), bool)),
        ["'mask' should hold booleans", "3 a row"],
    ),
    # text
    "empty.csv": (text(""), ["the file is empty"]),
    "rowless.csv": (text("conf,correct\n"), ["no rows to measure"]),
    "headless.csv": (text("0.9,1\n0.8,0\n"), ["no predictions found", "found 0.9, 1"]),
    "semicolon.csv": (text("conf;correct\n0.9;1\n"), ["no predictions found", "found conf;correct"]),
    "doubled.csv": (text("conf,conf,correct\n1,1,1\n"), ["line 1", "'conf' stands twice"]),
    "short.csv": (text("conf,correct\n0.9,1\n0.8\n"), ["line 3", "1 values", "2 columns"]),
    "word.csv": (text("conf,correct\n0.9,1\nhigh,1\n"), ["line 3", "'conf'", "'high' is no number"]),
    "blank.csv": (text("conf,correct\n0.9,1\n,1\n"), ["line 3", "'conf'", "the cell is empty"]),
    "maybe.csv": (text("conf,correct\n0.9,maybe\n"), ["line 2", "'correct'", "'maybe' is neither 0 nor 1"]),
    "two.csv": (text("conf,correct\n0.9,1\n0.9,2\n"), ["line 3", "correct at row 1 is 2"]),
    "letter.csv": (text("p0,p1,label\n0.5,0.5,A\n"), ["line 2", "'label'", "'A' is no option's index"]),
    "labelless.csv": (text("conf,pred,label\n0.5,A,A\n0.5,A,\n"), ["line 3", "'label'", "is empty"]),
    "hole.csv": (text("p0,p1,p2,label\n0.5,0.5,,0\n"), ["line 2", "'p'", "option 2 is ''", "-inf in logits"]),
    "list.csv": (text('probs,label\n"[0.5, 0.5]",0\n"[0.5, x]",0\n'), ["line 3", "'probs'", "expected a list"]),
    "nan.csv": (text("conf,correct\n0.9,1\nnan,1\n"), ["nan.csv", "row 1", "NaN", "(line 3)"]),
    "quote.csv": (text('conf,correct\n"0.9,1\n'), ["line 2"]),
    "latin.csv": (lambda path: path.write_bytes("conf,corréct\n0.9,1\n".encode("latin-1")), ["no UTF-8 text"]),
    "empty.jsonl": (text(""), ["the file is empty"]),
    "torn.jsonl": (text('{"conf": 0.9, "correct": 1}\n{"conf": 0.9, \n'), ["line 2", "no JSON"]),
    "array.jsonl": (text("[0.9, 1]\n"), ["line 1", "a JSON list, expected an object"]),
    "missing.jsonl": (text('{"conf": 0.9, "correct": 1}\n\n{"conf": 0.9}\n'), ["line 3", "there is no 'correct'"]),
    "null.jsonl": (text('{"logits": [1, null], "label": 0}\n'), ["line 1", "'logits'", "option 1 is None", "left off"]),
    "scalar.jsonl": (text('{"probs": [0.5, 0.5], "label": 0}\n{"probs": 0.5, "label": 0}\n'), ["line 2", "list"]),
    "cut.jsonl.gz": (
        lambda path: path.write_bytes(gzip.compress(json.dumps({"conf": 0.9, "correct": 1}).encode() * 99)[:40]),
        ["gzip file is damaged or cut off"],
    ),
    "plain.csv.gz": (text("conf,correct\n0.9,1\n"), ["gzip file is damaged"]),
    # Parquet
    "text.parquet": (text("conf,correct\n0.9,1\n" * 9), ["damaged or none at all"]),
    "rowless.parquet": (parquet(conf=pa.array([], pa.float32()), correct=pa.array([], pa.bool_())), ["no rows"]),
    "null.parquet": (parquet(conf=[0.9, None], correct=[True, True]), ["row 1, 'conf'", "is null"]),
    "text2.parquet": (parquet(conf=["high"], correct=[True]), ["row 0, 'conf'", "'high' is no number"]),
    "lists.parquet": (parquet(probs=[["a", "b"]], labels=[0]), ["'probs'", "lists of string"]),
    "listnull.parquet": (parquet(probs=[[0.5, None]], labels=[0]), ["'probs' has a null"]),
    "dates.parquet": (parquet(conf=pa.array([0], pa.timestamp("s")), correct=[True]), ["'conf'", "timestamp"]),
    # names
    "preds.pt": (text("x"), ["cannot tell the format", ".npy, .npz, .csv"]),
    "preds": (text("x"), ["cannot tell the format"]),
}


def assert_one_line(result, *parts):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


@pytest.mark.parametrize("name", BAD)
def test_bad_files(calibfast, tmp_path, name):
    write, parts = BAD[name]
    write(tmp_path / name)
    assert_one_line(calibfast("ece", tmp_path / name), str(tmp_path / name), *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--key", "nothing"], ["there is no 'nothing' (--key)", "found probs, conf, labels"]),
        (["--label-key", "nothing"], ["there is no 'nothing' (--label-key)"]),
        (["--key", "conf", "--label-key", "labels", "--logits"], ["'conf' has one value a row", "--logits"]),
        (["--logits"], ["expected logits", "--key"]),
        (["--options", "4"], ["cannot keep 4 options", "has 3 options a row"]),
        (["--key", "conf", "--label-key", "labels", "--options", "2"], ["has confidences alone"]),
        (["--options", "1"], ["--options", "See 'calibfast ece --help'"]),
        (["--key", "conf", "--label-key", "labels"], ["a.npz: correct at row 1 is 2", "class labels go with"]),
        (["--bins", "0"], ["bins"]),
        (["--bins", "0.5,0.2"], ["bins"]),
        (["--bins", "many"], ["--bins", "'many' is neither a number of bins nor edges"]),
        (["--labels", "labels.csv"], ["--labels takes a .npy file"]),
        (["--labels", "missing.npy"], ["missing.npy: No such file or directory"]),
        (["--format", "xml"], ["--format"]),
        (["--dtype", "int8"], ["--dtype"]),
        (["--frobnicate"], ["No such option", "--frobnicate"]),
        (["--plot", "picture.txt"], ["picture.txt", "no picture format", ".png"]),
        (["--plot", "nowhere/picture.png"], ["nowhere/picture.png", "No such file or directory"]),
    ],
    ids=" ".join,
)
def test_bad_arguments(calibfast, tmp_path, monkeypatch, arguments, parts):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", probs=PROBS, conf=PROBS.max(axis=1), labels=[0, 2])
    assert_one_line(calibfast("ece", "a.npz", *arguments), *parts)


def test_no_such_file_or_a_folder(calibfast, tmp_path):
    assert_one_line(calibfast("ece", tmp_path / "none.npy"), "none.npy: No such file or directory")
    assert_one_line(calibfast("ece", tmp_path), "Is a directory")
    assert_one_line(calibfast("ece"), "Missing argument", "See 'calibfast ece --help'")
    assert_one_line(calibfast("measure"), "No such command 'measure'")


@pytest.mark.parametrize(
    ("probs", "parts"),
    [
        ([[0.4, 0.3, 0.2], [0.4, 0.4, 0.2]], ["row 0", "sum to 0.8", "not to 1", "--dtype"]),
        ([[0.5, 0.3, 0.2], [1.2, -0.4, 0.2]], ["row 1", "option 0 is 1.2, no probability", "--logits"]),
        ([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]], ["row 1", "the first 2 options have no probability", "use the logits"]),
    ],
)
def test_options_are_kept_of_probabilities_alone(calibfast, tmp_path, probs, parts):
    np.savez(tmp_path / "a.npz", probs=probs, labels=[0, 1])
    assert_one_line(calibfast("ece", tmp_path / "a.npz", "--options", 2), *parts)


def test_labels_that_do_not_go_with_the_file(calibfast, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("p.npy", PROBS)
    for labels, parts in [([[0], [1]], ["shape (2, 1)", "expected (N,) labels"]), ([0, 1, 1], ["3 labels", "2 rows"])]:
        np.save("labels.npy", labels)
        assert_one_line(calibfast("ece", "p.npy", "--labels", "labels.npy"), "labels.npy", *parts)
    assert_one_line(calibfast("ece", "p.npy", "--key", "probs"), "p.npy", "has no name for --key", "use .npz")


def test_files_of_two_kinds_are_not_compared(calibfast, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", conf=PROBS.max(axis=1), correct=[1, 0])
    np.savez("b.npz", probs=PROBS, labels=[0, 2])
    assert_one_line(calibfast("compare", "a.npz", "b.npz"), "a.npz has confidence", "b.npz has prob", "--key")
    for name, first in (("c.npz", [0.5, 0.5, 0.0]), ("d.npz", [0.5, 0.0, 0.5])):
        probs = np.array([first, PROBS[1]])
        np.savez(name, probs=probs, labels=[0, 2], mask=probs > 0)
    assert_one_line(calibfast("compare", "c.npz", "d.npz"), "c.npz and d.npz do not have the same options present")
