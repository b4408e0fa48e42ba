"""Parquet by either reader is the same rows, and the same errors."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calibfast import evaluate, stream
from calibfast.errors import InputError
from calibfast.io import parquet, read_predictions
from calibfast.io.parquet import ParquetFile

RNG = np.random.default_rng(0)
N = 5000
P = RNG.random(N, dtype=np.float32)
Y = RNG.random(N) < P


@pytest.fixture(params=[0, 1 << 60], ids=["polars", "pyarrow"], autouse=True)
def by_polars(request, monkeypatch):
    """Which reader takes these small files; where it is Polars, pyarrow's decoding must not be asked."""
    monkeypatch.setattr(parquet, "_WORTH_POLARS", request.param)
    return request.param == 0


@pytest.fixture
def only_one(by_polars, monkeypatch):
    unwanted = (pq.ParquetFile, "iter_batches") if by_polars else (ParquetFile, "_groups")
    monkeypatch.delattr(*unwanted)


def write(path, p=P, y=Y, **options):
    pq.write_table(pa.table({"conf": p, "step": np.arange(len(p)), "correct": y}), path, **options)
    return path


@pytest.mark.usefixtures("only_one")
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers(tmp_path, dtype, compression):
    p = P.astype(dtype)
    path = write(tmp_path / "odd[1]=*.parquet", p, row_group_size=1100, compression=compression)
    assert stream([path]) == evaluate(p, Y)
    write(path, p, Y.astype(np.uint8), row_group_size=1100, use_dictionary=False, data_page_version="2.0")
    assert stream([path]) == evaluate(p, Y)


@pytest.mark.usefixtures("only_one")
def test_a_null_is_named_by_its_row(tmp_path):
    path = write(tmp_path / "a.parquet", pa.array(P, mask=np.arange(N) == 4321), row_group_size=1000)
    with pytest.raises(InputError, match=r"a\.parquet: row 4321, 'conf': is null"):
        stream(path)


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([[("a", 1)]] * 3, pa.map_("string", "int8")),
        pa.array([10**60] * 3, pa.decimal256(70, 0)),
        pa.array([b"ab"] * 3, pa.binary(2)),
        pa.nulls(3),
        pa.array([{"a": [1]}] * 3),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_that_are_not_asked_for_may_be_anything(tmp_path, odd):
    pq.write_table(pa.table({"odd": odd, "conf": P[:3], "correct": Y[:3]}), tmp_path / "a.parquet")
    assert stream(tmp_path / "a.parquet") == evaluate(P[:3], Y[:3])


@pytest.mark.parametrize("name", ["conf", "correct"])
def test_damage_is_named_by_its_row_group(tmp_path, name):
    path = write(tmp_path / "a.parquet", row_group_size=1000, compression="zstd")
    group = pq.ParquetFile(path).metadata.row_group(3)
    column = next(group.column(k) for k in range(group.num_columns) if group.column(k).path_in_schema == name)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset : column.data_page_offset + 60] = bytes(60)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet: row group 3: the Parquet file is damaged"):
        stream(path)


def test_what_polars_stumbles_over_goes_on_where_it_stopped(tmp_path, monkeypatch):
    path, groups = write(tmp_path / "a.parquet", row_group_size=1000), ParquetFile._groups

    def stumbling(*given):
        yield from itertools.islice(groups(*given), 2)

    monkeypatch.setattr(ParquetFile, "_groups", stumbling)
    assert stream(path) == evaluate(P, Y)


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = write(tmp_path / "a.parquet", np.tile(P, 100), np.tile(Y, 100), row_group_size=1000)
    chunks = iter(read_predictions(path))
    next(chunks)
    os.truncate(path, 1000)
    with pytest.raises(InputError, match=r"a\.parquet: .*the Parquet file is damaged"):
        list(chunks)


def test_huge_row_groups_are_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 16 * 1000)
    monkeypatch.delattr(ParquetFile, "_groups")
    assert stream(write(tmp_path / "a.parquet", row_group_size=1001)) == evaluate(P, Y)


def test_a_small_file_loads_neither_pandas_nor_polars(tmp_path, by_polars):
    if by_polars:
        pytest.skip("no matter of readers")
    check = f"import calibfast, sys; calibfast.stream({str(write(tmp_path / 'a.parquet'))!r}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.split()
    assert "pyarrow" in loaded
    assert not {"pandas", "polars"} & set(loaded)


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("groups", [7, 20_000])
def test_groups_by_text(tmp_path, groups, dictionary):
    rng = np.random.default_rng(groups)
    p, subject = rng.random(30_000, dtype=np.float32), rng.integers(0, groups, 30_000)
    correct, names = rng.random(len(p)) < p, [f"subject-{k}" for k in subject]
    path = tmp_path / "a.parquet"
    table = pa.table({"confidence": p, "correct": correct, "subject": names})
    pq.write_table(table, path, row_group_size=9_000, use_dictionary=dictionary)
    assert stream(path, group_key="subject") == evaluate(p, correct, groups=names)
