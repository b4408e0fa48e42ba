"""Hours of random rows, merges, serialisations and killed processes, against integer arithmetic; `make soak`.

A child process measures files and is killed at any moment; another goes on from the state that it left. Ends with exit
code 1 and the seed of the round at the first difference.
"""

import argparse
import json
import os
import pickle
import signal
import sys
import tempfile
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np

from calibfast._core import State
from calibfast.io import stream
from calibfast.io.partial import Partial


def draw(rng):
    """Confidences and zeros and ones, or probabilities and labels, in one of the float types."""
    rows = int(10 ** rng.uniform(0, 4.7))
    dtype = rng.choice(["float16", "float32", "float64"])
    if rng.random() < 0.5:
        p = np.where(rng.random(rows) < 0.3, rng.integers(0, 31, rows) / 30, rng.random(rows) ** 4)
        return p.astype(dtype)[:, None], rng.integers(0, 2, rows), "confidence"
    classes = int(rng.integers(2, 12))
    counts = rng.integers(0, 64, (rows // classes + 1, classes)) + 1.0
    return (counts / counts.sum(axis=1)[:, None]).astype(dtype), rng.integers(0, classes, len(counts)), "probabilities"


def tops(values, y, form, bins):
    """Of every row's top option: the bin, whether it is right, and its confidence in units of 2^-62."""
    exact = values.astype(np.float64)
    p, hit = exact.max(axis=1), (y if form == "confidence" else exact.argmax(axis=1) == y)
    edges = (np.arange(1, bins + 1) / bins).astype(values.dtype).astype(np.float64)
    return np.searchsorted(edges, p), hit, np.ldexp(p, 62).astype(np.uint64)


def cells(values, y, form, bins):
    """Per bin: rows, hits, and the sum of confidences in units of 2^-62."""
    place, hit, fixed = tops(values, y, form, bins)
    found = []
    for m in range(bins):
        there = fixed[place == m]
        high, low = int((there >> 31).sum(dtype=np.uint64)), int((there & 0x7FFFFFFF).sum(dtype=np.uint64))
        found.append((len(there), int(hit[place == m].sum()), (high << 31) + low))
    return found


def totals(values, y, form, bins, weights):
    """Per bin: weight, weight of the hits, and weighted sum of confidences, rounded once."""
    sums = [[Fraction(0)] * bins for _ in range(3)]
    for m, hit, fixed, weight in zip(*tops(values, y, form, bins), weights, strict=True):
        for total, value in zip(sums, (1, int(hit), Fraction(int(fixed), 1 << 62)), strict=True):
            total[m] += Fraction(weight) * value
    return np.array(sums, dtype=float)


def counted(state):
    plain = json.loads(state.to_json())["state"]["confidence"]["plain"]
    return [(cell["count"], cell["hits"], cell["confidence"]) for cell in plain]


def travelled(state, rng):
    """The state by one of the ways that it can take to another process."""
    ways = [
        lambda: state,
        lambda: State.from_bytes(state.to_bytes()),
        lambda: State.from_json(state.to_json()),
        lambda: pickle.loads(pickle.dumps(state)),
    ]
    return ways[rng.integers(len(ways))]()


def merged(parts, rng):
    """All parts as one, two that chance takes at a time."""
    while len(parts) > 1:
        one, other = (parts.pop(rng.integers(len(parts))) for _ in range(2))
        one.merge(travelled(other, rng))
        parts.append(one)
    return parts[0]


def measured_by_killed_processes(files, bins, rng, kills):
    """What all files add up to; who measures them is killed a few times."""
    path = files[0].with_name("state.cfs")
    for attempt in range(6):
        child = os.fork()
        if child == 0:
            stream._SECONDS = 0  # the state is written after every file, so that kills meet it half written
            try:
                stream.measure_files(files, bins=bins, threads=1, state=path, group_key="user")
                os._exit(0)
            finally:
                os._exit(1)
        if attempt < 5:
            time.sleep(rng.exponential(0.1))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills["before the first state" if not path.exists() else "with a state"] += 1
        else:
            assert status == 0, "the process that measures ended with an error"
            break
        if path.exists():
            Partial.read(path)
    return Partial.read(path).evaluation


def one_round(seed, folder, done):
    rng = np.random.default_rng(seed)
    values, y, form = draw(rng)
    bins = int(rng.choice([1, 10, 15, 100, 1000]))
    expected = cells(values, y, form, bins)
    cuts = np.sort(rng.integers(0, len(y) + 1, rng.integers(0, 8)))
    parts = [part for part in zip(np.split(values, cuts), np.split(y, cuts), strict=True) if len(part[1])]

    def count(values, y, weights=None):
        state = State(bins, scores=True, classwise=form != "confidence")
        state.update(values, y, form=form, weights=weights, threads=int(rng.integers(1, 4)))
        return state

    whole, together = count(values, y), merged([count(*part) for part in parts], rng)
    assert counted(whole) == expected, "the state differs from integer arithmetic"
    assert together.to_bytes() == whole.to_bytes(), "the merged state differs from the whole one"
    some = values[:500], y[:500], rng.exponential(size=min(len(y), 500)) ** 9
    assert (np.array(count(*some).totals()) == totals(*some[:2], form, bins, some[2])).all(), "weighted sums differ"
    if seed % 3 == 0:
        names = ("confidence", "correct") if form == "confidence" else ("probs", "labels")
        files = [folder / f"{seed}-{number}.npz" for number in range(len(parts))]
        users = rng.integers(-3, 10 ** rng.integers(1, 6), len(y))
        of_parts = [part for part in np.split(users, cuts) if len(part)]
        for file, (p, labels), user in zip(files, parts, of_parts, strict=True):
            p = p[:, 0] if form == "confidence" else p
            np.savez(file, **{names[0]: p, names[1]: labels, "user": user})
        found = measured_by_killed_processes(files, bins, rng, done)
        assert counted(found.state) == expected, "the state of killed processes differs from integer arithmetic"
        groups, places, rows = np.unique(users, return_inverse=True, return_counts=True)
        hits = np.bincount(places, tops(values, y, form, bins)[1])
        named, counts, accuracy, _, _ = found.group_table.table()
        assert (named, counts.tolist()) == (list(map(str, groups.tolist())), rows.tolist()), (
            "groups of killed processes"
        )
        assert (accuracy == hits / rows).all(), "accuracies of groups differ from integer arithmetic"
        for file in folder.iterdir():
            file.unlink()
    done.update(rounds=1, rows=sum(count for count, _, _ in expected), merges=len(parts) - 1)


def memory():
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=0, help="of the first round")
    given = arguments.parse_args()
    done, began, told, first = Counter(), time.monotonic(), 0.0, 0
    seed = given.seed
    with tempfile.TemporaryDirectory() as folder:
        while (passed := time.monotonic() - began) < 60 * given.minutes:
            try:
                one_round(seed, Path(folder), done)
            except Exception as error:
                sys.exit(f"round {seed}: {error!r}")
            seed += 1
            first = first or (memory() if done["rounds"] == 100 else 0)
            if passed - told > 60:
                told = passed
                print(f"{passed / 60:.0f} min: {dict(done)}, {memory() >> 20} MB", file=sys.stderr, flush=True)
    print(json.dumps(dict(done) | {"differences": 0, "memory after 100 rounds": first, "memory": memory()}))


if __name__ == "__main__":
    main()
