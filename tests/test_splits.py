"""Any split of any rows over chunks, threads, merges, processes, instruction sets, files and engines: same bytes."""

import os
import pickle
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

import golden
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import calibfast.engines.polars  # noqa: F401  # registers the namespace
from calibfast import Evaluation
from calibfast._core import State
from calibfast.engines.states import count_rows
from calibfast.io.partial import Counted, Partial
from calibfast.io.stream import measure_files

WORKER = """
import pickle, sys
from calibfast._core import State
while True:
    try:
        made, rows = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    state = State(**made)
    state.update(**rows)
    pickle.dump(state.to_bytes(), sys.stdout.buffer)
    sys.stdout.flush()
"""


@dataclass
class Rows:
    """What a state is made of, and what it is given."""

    bins: object
    values: np.ndarray
    labels: np.ndarray
    form: str
    mask: np.ndarray | None
    weights: np.ndarray | None

    @property
    def made(self):
        return {"bins": self.bins, "classwise": self.form != "confidence", "scores": True}

    def given(self, rows=slice(None)):
        def of(array):
            return None if array is None else array[rows]

        return {
            "values": self.values[rows],
            "labels": self.labels[rows],
            "form": self.form,
            "mask": of(self.mask),
            "weights": of(self.weights),
        }

    def state(self, *parts, threads=1):
        state = State(**self.made)
        for part in parts:
            state.update(**self.given(part), threads=threads)
        return state


@st.composite
def inputs(draw):
    """Rows that start anywhere in the golden streams, so that each is a value that kernels may get wrong."""
    first = draw(st.integers(0, 1 << 20))
    # Now and then enough for several threads.
    at = first + np.arange(draw(st.integers(1, 600) | st.sampled_from([4097, 20_000, 600_000])))
    classes = draw(st.sampled_from([1, 2, 3, 4, 9, 17, 70]))
    name = draw(st.sampled_from(golden.FLOATS))
    bins = draw(st.integers(1, 140) | st.sampled_from([535, 1000, [0.0, 0.25, 0.9, 1.0]]))
    weights = golden.weight(at) if draw(st.booleans()) else None
    if classes == 1:
        values = golden.nearest(golden.confidence(at), name)[:, None]
        return name, Rows(bins, values, golden.label(at, 2), "confidence", None, weights)
    at = at[: 100_000 // classes]
    labels, weights = golden.label(at, classes), None if weights is None else weights[: len(at)]
    places = at[:, None] * classes + np.arange(classes)
    there = (golden.bits(5, places) % np.uint64(8) != 0) | (np.arange(classes) == labels[:, None])
    masked = draw(st.booleans())
    form = draw(st.sampled_from(["probabilities", "logits"]))
    made = golden.logit(places)
    if form == "probabilities":
        made = golden.below(golden.bits(8, places), 1024) + (np.arange(classes) == labels[:, None])
        made = np.where(there, made, 0) if masked else made
        made = made / made.sum(axis=1, keepdims=True)
    return name, Rows(bins, golden.nearest(made, name), labels, form, there if masked else None, weights)


def parts_of(rows, draw):
    """The places of all rows in any order, cut anywhere."""
    count = len(rows.labels)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    order = rng.permutation(count) if draw(st.booleans()) else np.arange(count)
    return np.split(order, np.sort(rng.integers(0, count + 1, draw(st.integers(0, 6)))))


def merged(states, draw):
    """Two states at a time, whichever come first."""
    states = list(states)
    while len(states) > 1:
        one = states.pop(draw(st.integers(0, len(states) - 1)))
        other = states.pop(draw(st.integers(0, len(states) - 1)))
        one.merge(other)
        states.append(one)
    return states[0].to_bytes()


@given(st.data())
def test_chunks_threads_and_merges(data):
    _, rows = data.draw(inputs())
    whole, parts = rows.state(slice(None)).to_bytes(), parts_of(rows, data.draw)
    threads = data.draw(st.sampled_from([1, 2, 7]))
    assert rows.state(slice(None), threads=7).to_bytes() == whole
    assert rows.state(*parts, threads=threads).to_bytes() == whole
    assert merged((rows.state(part, threads=threads) for part in parts), data.draw) == whole


@pytest.fixture(scope="module")
def workers():
    """A process for each instruction set that is to be had."""
    started = []
    with ExitStack() as ends:
        for level in ("baseline", "avx2", "avx512", "neon"):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            environment = os.environ | {"CALIBFAST_SIMD": level}
            worker = ends.enter_context(subprocess.Popen([sys.executable, "-c", WORKER], env=environment, **pipes))
            with suppress(EOFError):  # there is no such level here
                ask(worker, Rows(10, np.array([[0.5]]), np.array([1]), "confidence", None, None), slice(None))
                started.append(worker)
        yield started


def ask(worker, rows, part):
    pickle.dump((rows.made, rows.given(part)), worker.stdin)
    worker.stdin.flush()
    return State.from_bytes(pickle.load(worker.stdout))


@given(st.data())
def test_processes_of_every_instruction_set(workers, data):
    _, rows = data.draw(inputs())
    whole, parts = rows.state(slice(None)).to_bytes(), parts_of(rows, data.draw)
    for worker in workers:
        assert ask(worker, rows, slice(None)).to_bytes() == whole
    states = (ask(data.draw(st.sampled_from(workers)), rows, part) for part in parts)
    assert merged(states, data.draw) == whole


WRITERS = {
    "npz": lambda path, columns: np.savez(path, **columns),
    "parquet": lambda path, columns: pq.write_table(
        pa.table({name: list(column) if column.ndim == 2 else column for name, column in columns.items()}), path
    ),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data())
def test_files_and_engines(tmp_path, data):
    name, rows = data.draw(inputs().filter(lambda drawn: drawn[0] != "bfloat16" and drawn[1].mask is None))
    rows = replace(rows, weights=None, values=rows.values[:5000], labels=rows.labels[:5000])
    logits = rows.form == "logits"
    p = rows.values[:, 0] if rows.form == "confidence" else rows.values
    whole = rows.state(slice(None))
    parts = [part for part in parts_of(rows, data.draw) if len(part)]
    states = (State.from_bytes(count_rows(p[part], rows.labels[part], bins=rows.bins, logits=logits)) for part in parts)
    assert merged(states, data.draw) == whole.to_bytes()

    key = {"confidence": "confidence", "probabilities": "probs", "logits": "logits"}[rows.form]
    label = "correct" if rows.form == "confidence" else "labels"
    files = []
    for number, part in enumerate(parts):
        kind = data.draw(st.sampled_from(list(WRITERS)))
        files.append(tmp_path / f"{number}.{kind}")
        WRITERS[kind](files[-1], {key: p[part], label: rows.labels[part]})
    found = measure_files(files, bins=rows.bins, threads=data.draw(st.integers(1, 3)))
    assert found.evaluation.state.to_bytes() == whole.to_bytes()

    if rows.form == "confidence" and name != "float16":
        frame = pl.concat([pl.DataFrame({"p": p[part], "y": rows.labels[part]}) for part in parts], rechunk=False)
        expression = pl.col("p").calibfast.ece("y", bins=rows.bins)
        for engine in ("in-memory", "streaming"):
            assert frame.lazy().select(expression).collect(engine=engine).item() == whole.error()


@settings(max_examples=20)
@given(st.data())
def test_groups(data):
    _, rows = data.draw(inputs().filter(lambda drawn: drawn[0] != "bfloat16"))
    rows = replace(rows, **{name: value for name, value in rows.given(slice(0, 3000)).items() if name != "form"})
    p = rows.values[:, 0] if rows.form == "confidence" else rows.values
    groups = golden.label(np.arange(len(p)), 5)

    def of(part):
        evaluation = Evaluation(rows.bins, keep_rows=False)
        others = {name: value for name, value in rows.given(part).items() if name in ("mask", "weights")}
        evaluation.update(p[part], rows.labels[part], logits=rows.form == "logits", groups=groups[part], **others)
        return evaluation

    whole, total = of(slice(None)), Evaluation(rows.bins, keep_rows=False)
    for part in parts_of(rows, data.draw):
        if len(part):
            total.merge(of(part))
    if rows.weights is None or rows.weights.any():
        assert total.report().to_json() == whole.report().to_json()
    file = Counted("all", 0, 0)
    assert Partial(total, "", [file]).to_bytes() == Partial(whole, "", [file]).to_bytes()


@given(st.data())
def test_states_of_groups(data):
    at = data.draw(st.integers(0, 1 << 20)) + np.arange(data.draw(st.integers(1, 3000)))
    p, y = golden.confidence(at), golden.label(at, 2)
    names = golden.bits(9, at) % np.uint64(data.draw(st.sampled_from([3, 500, 1 << 63]))).astype(np.uint64)
    kinds = [names.astype(np.int64), np.array([f"{name}" if name % 3 else f"user {name}" for name in names.tolist()])]
    groups = kinds[data.draw(st.integers(0, 1))]
    bins = data.draw(st.integers(1, 140))

    def of(number, part):
        evaluation = Evaluation(bins, keep_rows=False)
        evaluation.update(p[part], y[part], groups=groups[part])
        return Partial(evaluation, "", [Counted(f"{number}", 0, 0)])

    rows = Rows(bins, p[:, None], y, "confidence", None, None)
    parts = [of(number, part) for number, part in enumerate(parts_of(rows, data.draw)) if len(part)]
    whole = of("all", slice(None))
    whole.files = {name: file for part in parts for name, file in part.files.items()}
    travelled = [data.draw(st.sampled_from([part, Partial.from_bytes(part.to_bytes())])) for part in parts]
    assert merged(travelled, data.draw) == whole.to_bytes()
