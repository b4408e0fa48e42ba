"""Two prediction files of the same questions, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibfast.errors import InputError
from calibfast.io.gather import gather, names_of_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibfast.io.predictions import Chunk, PredictionFile
    from calibfast.metrics import Comparison


def compare_files(
    a: PredictionFile,
    b: PredictionFile,
    *,
    bins: int | Sequence[float] = 10,
    replicates: int = 1000,
    seed: int = 0,
) -> Comparison:
    """`calibfast.compare` of two files.

    Args:
        a: Predictions of the first model.
        b: Predictions of the second, of the same questions in the same order.
        bins: Number of equal-width bins, or their edges.
        replicates: Bootstrap samples and permutations.
        seed: Of both.

    Raises:
        InputError: The files are not of the same questions (the message names the first row whose id, question or
            label differs), or one breaks its contract.
    """
    from calibfast.metrics import compare

    for file in (a, b):
        file.evaluate(bins=bins)  # names file, row and line of what breaks the contract
    first, second = gather(a), gather(b)

    def same(x: Sequence[Any], y: Sequence[Any], name: str) -> None:
        for row, pair in enumerate(zip(x, y, strict=False)):
            if pair[0] != pair[1]:
                shown = " and ".join(
                    f"{value!r}{_line(of, row)}" for value, of in zip(pair, (first, second), strict=True)
                )
                raise InputError(f"the {name} of {a.path} and {b.path} differ first at row {row}: {shown}", row)

    known, others = names_of_rows(a), names_of_rows(b)
    for name in (name for name in known if name in others):
        same(known[name], others[name], name)
    options = a.kind != "confidence" and b.kind != "confidence"
    if options:
        same(first.y.tolist(), second.y.tolist(), "labels")
    if (a.kind == "confidence") != (b.kind == "confidence") or (options and a.kind != b.kind):
        raise InputError(f"{a.path} has {a.kind} and {b.path} has {b.kind}; choose the same of both with --key")
    if options:
        same(_present(first), _present(second), "numbers of options")
    if len(first.y) != len(second.y):
        raise InputError(f"{a.path} has {len(first.y)} rows and {b.path} has {len(second.y)}; expected the same ones")
    if first.mask is not None and second.mask is not None and (first.mask != second.mask).any():
        raise InputError(f"{a.path} and {b.path} do not have the same options present in every row")
    return compare(
        first.p,
        second.p,
        first.y,
        y_b=second.y,
        bins=bins,
        replicates=replicates,
        seed=seed,
        logits=a.kind == "logits",
        mask=first.mask,
        ignore_index=a.ignore_index,
    )


def _present(rows: Chunk) -> list[int]:
    return [rows.p.shape[1]] * len(rows.p) if rows.mask is None else rows.mask.sum(axis=1).tolist()


def _line(rows: Chunk, row: int) -> str:
    return "" if rows.lines is None else f" (line {rows.lines[row]})"
