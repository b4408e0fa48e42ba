"""SHA-256 of the states of rows that integer arithmetic makes, a line for each kind of input.

The same rows as in `crates/calibfast-core/tests/golden.rs`, made by NumPy and counted through Python.
"""

import hashlib

import numpy as np

from calibfast import _core

CLASSES = (2, 4, 17, 100)
EDGES = (1, 10, 15, 100, 127, 535, 1000, [0.0, 0.2, 0.9, 1.0])
FLOATS = ("float16", "bfloat16", "float32", "float64")


def bits(stream, at):
    """Numbers `at` of a stream of SplitMix64 (Steele, Lea and Flood 2014)."""
    z = (np.uint64(stream << 32) + at.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def share(stream, at):
    return (bits(stream, at) >> np.uint64(11)).astype(np.float64) / 2.0**53


def kind(stream, at, kinds):
    """What kind of number it is, and bits for more."""
    drawn = bits(stream, at)
    return drawn % np.uint64(kinds), (drawn >> np.uint64(8))


def below(more, limit):
    return (more % np.uint64(limit)).astype(np.int64)


def power_of_two(exponents):
    return np.ldexp(1.0, exponents.astype(np.int32))  # the only integers that it takes on every system


def confidence(at):
    which, more = kind(0, at, 8)
    p = share(1, at)
    special = np.array([0.0, 1.0, 0.1, 0.5, 5e-324, 1 - 2.0**-53])[below(more, 6)]
    power = power_of_two(-below(more, 160))
    return np.select([which == m for m in range(4)], [below(more, 31) / 30, special, power, 1 - p * p], p * p * p * p)


def weight(at):
    which, more = kind(2, at, 8)
    power = power_of_two(below(more, 200) - 100)
    return np.select([which == 0, which == 1], [0.0, power], 4 * share(3, at))


def label(at, classes):
    return below(bits(4, at), classes)


def places(rows, classes):
    return np.arange(rows * classes).reshape(rows, classes)


def present(rows, classes):
    labels = label(np.arange(rows), classes)
    return (bits(5, places(rows, classes)) % np.uint64(8) != 0) | (np.arange(classes) == labels[:, None])


def logit(at):
    which, more = kind(6, at, 16)
    return np.select([which < 2, which == 2], [below(more, 7) - 3.0, -800.0], 16 * share(7, at) - 8)


def probabilities(rows, classes, masked):
    labels = label(np.arange(rows), classes)
    counts = below(bits(8, places(rows, classes)), 1024) + (np.arange(classes) == labels[:, None])
    counts = np.where(present(rows, classes), counts, 0) if masked else counts
    return counts / counts.sum(axis=1, keepdims=True)


def nearest(x, name):
    """The nearest values of a float type; those of bfloat16 as bits."""
    if name != "bfloat16":
        return x.astype(name)
    # To float32 with a last bit that stands for all below it, then to the nearest with ties to even.
    near = x.astype(np.float32)
    cut = np.where(np.abs(near) > np.abs(x), np.nextafter(near, np.float32(0)), near).view(np.uint32) | (near != x)
    return ((cut + 0x7FFF + (cut >> 16 & 1)) >> 16).astype(np.uint16)


def confidences(digest, name, weighted):
    for rows in (1, 63, 1000, 5_003 if weighted else 70_001):
        at = np.arange(rows)
        p, y, weights = nearest(confidence(at), name)[:, None], label(at, 2).astype(np.uint8), weight(at)
        for edges in EDGES:
            for scores in (False, True):
                state = _core.State(edges, scores=scores)
                state.update(p, y, form="confidence", weights=weights if weighted else None)
                digest.update(state.to_bytes())


def options(digest, name, form, masked, weighted):
    for classes in CLASSES:
        rows = 20_011 // classes
        made = probabilities(rows, classes, masked) if form == "probabilities" else logit(places(rows, classes))
        labels, weights = label(np.arange(rows), classes), weight(np.arange(rows))
        given = {"mask": present(rows, classes) if masked else None, "weights": weights if weighted else None}
        for edges in (15, 127, [0.0, 0.2, 0.9, 1.0]):
            for every in (False, True):
                state = _core.State(edges, classwise=every, scores=every, norm="l2")
                state.update(nearest(made, name), labels, form=form, **given)
                digest.update(state.to_bytes())


def lines():
    for name in FLOATS:
        kinds = [("confidence", confidences, (False,)), ("confidence, weights", confidences, (True,))]
        for form in ("probabilities", "logits"):
            kinds += [
                (form, options, (form, False, False)),
                (f"{form}, mask", options, (form, True, False)),
                (f"{form}, mask, weights", options, (form, True, True)),
            ]
        for title, count, how in kinds:
            digest = hashlib.sha256()
            count(digest, name, *how)
            yield f"{name} {title}: {digest.hexdigest()}"


if __name__ == "__main__":
    print(*lines(), sep="\n")
