"""Arrow files, Zstandard, damaged row groups."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from calibfast import evaluate, stream

RNG = np.random.default_rng(0)
P = RNG.random(3000, dtype=np.float32)
Y = RNG.random(3000) < P
WIDE = RNG.dirichlet(np.ones(3), 3000).astype(np.float32)
LABELS = RNG.integers(0, 3, 3000)
TABLE = pa.table({"text": ["x"] * 3000, "confidence": P, "correct": Y})


def batches(path, kind, table):
    with pa.OSFile(str(path), "wb") as file, kind(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)


@pytest.mark.parametrize("kind", [pa.ipc.new_file, pa.ipc.new_stream])
def test_arrow_files(tmp_path, kind):
    batches(tmp_path / "a.arrow", kind, TABLE)
    assert stream(tmp_path / "a.arrow") == evaluate(P, Y)
    table = pa.table({"probs": pa.FixedSizeListArray.from_arrays(WIDE.ravel(), 3), "labels": LABELS})
    batches(tmp_path / "b.arrow", kind, table)
    assert stream(tmp_path / "b.arrow") == evaluate(WIDE, LABELS)


def test_feather_with_compression(tmp_path):
    pyarrow.feather.write_feather(TABLE, tmp_path / "a.feather", compression="zstd")
    assert stream(tmp_path / "a.feather") == evaluate(P, Y)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_rights_and_wrongs_anywhere_in_a_byte(tmp_path, rows):
    """Booleans are bits, and a part of a batch begins within a byte."""
    batches(tmp_path / "a.arrow", pa.ipc.new_file, TABLE.slice(3, rows))
    report = stream(tmp_path / "a.arrow")
    assert report.accuracy == Y[3 : 3 + rows].mean()


@pytest.mark.parametrize("name", ["a.csv.zst", "a.jsonl.zst", "a.jsonl.gz"])
def test_compressed_text(calibfast, tmp_path, name):
    rows = zip(P.astype(float).tolist(), Y.tolist(), strict=True)
    if "csv" in name:
        text = "confidence,correct\n" + "".join(f"{p!r},{y}\n" for p, y in rows)
    else:
        text = "".join(json.dumps({"confidence": p, "correct": y}) + "\n" for p, y in rows)
    half = text.index("\n", len(text) // 2) + 1
    packed = gzip.compress if name.endswith("gz") else lambda data: pa.Codec("zstd").compress(data, asbytes=True)
    whole = b"".join(packed(part.encode()) for part in (text[:half], text[half:]))  # one after the other, as shards are
    (tmp_path / name).write_bytes(whole)
    assert stream(tmp_path / name, dtype="float32") == evaluate(P, Y)
    (tmp_path / name).write_bytes(whole[: len(whole) // 3])
    code, _, err = calibfast("ece", tmp_path / name)
    assert code == 2
    assert "file is damaged or cut off" in err


def test_a_damaged_row_group_is_named(calibfast, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path, row_group_size=1000, compression="zstd")
    column = pq.ParquetFile(path).metadata.row_group(1).column(1)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset : column.data_page_offset + 60] = bytes(60)
    path.write_bytes(data)
    code, _, err = calibfast("ece", path)
    assert code == 2
    assert "a.parquet: row group 1: the Parquet file is damaged" in err


def groups_as(kind):
    """The groups 0, 1, 2 ... of rows as a column of some type; a dictionary has a name twice, and one without rows."""
    names = (np.arange(3000) // 2 % 1300).astype(np.int32)
    if kind != "dictionary":
        return pa.array(names).cast(kind)
    texts = [f" {k}.0" for k in range(1300)] + ["unused", "7"]
    return pa.DictionaryArray.from_arrays(np.where((names == 7) & (np.arange(3000) % 2 == 1), 1301, names), texts)


@pytest.mark.parametrize("kind", [pa.int16(), pa.float32(), pa.string(), pa.large_string(), "dictionary"])
@pytest.mark.parametrize("groups", [12, 1300], ids=["few", "many"])
def test_groups_of_every_type_are_the_same(tmp_path, kind, groups):
    rows = 2 * groups
    table = TABLE.append_column("user", groups_as(kind)).slice(0, rows)
    report = evaluate(P[:rows], Y[:rows], groups=np.arange(rows) // 2)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=900)
    assert stream(tmp_path / "a.parquet", group_key="user") == report
    batches(tmp_path / "a.arrow", pa.ipc.new_file, table.combine_chunks())
    assert stream(tmp_path / "a.arrow", group_key="user") == report


def test_a_null_group_is_named(calibfast, tmp_path):
    for k, user in enumerate((["a", None], pa.DictionaryArray.from_arrays([0, 1], ["a", None]), ["a", " "])):
        table = pa.table({"confidence": [0.5, 0.5], "correct": [1, 0], "user": user})
        batches(tmp_path / f"{k}.arrow", pa.ipc.new_file, table)
        code, _, err = calibfast("ece", tmp_path / f"{k}.arrow", "--group-key", "user")
        assert code == 2
        assert f"{k}.arrow: row 1, 'user': is " in err


def test_an_empty_or_cut_off_arrow_file(calibfast, tmp_path):
    path = tmp_path / "a.arrow"
    batches(path, pa.ipc.new_file, TABLE.slice(0, 0))
    assert "a.arrow: no rows" in calibfast("ece", path)[2]
    batches(path, pa.ipc.new_file, TABLE)
    path.write_bytes(path.read_bytes()[:-50])
    assert "a.arrow: the Arrow file is damaged or none at all" in calibfast("ece", path)[2]
