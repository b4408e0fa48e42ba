"""Cells (class, bin) of residuals with the covariance that rows, weights and clusters give them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast import _core
from calibfast.errors import InputError
from calibfast.metrics.arrays import widened
from calibfast.metrics.hybrid_resampling import NormalCells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibfast.metrics.accumulator import Norm
    from calibfast.metrics.arrays import Predictions

    Floats = NDArray[np.float64]

_MOST_CELLS = 5000  # their covariance is cells x cells
_WORK = 2e10  # multiplications that a covariance may cost; beyond it, it is estimated on evenly spaced rows
_CHUNK = 4096


@dataclass(frozen=True)
class Residuals:
    """Outcomes and confidences by row and class, and the cell of each.

    Attributes:
        cell: (N, C) index of the cell, -1 where the option is absent; the classes of a row are in different cells.
        p: (N, C) confidence.
        outcome: (N, C) 0 or 1.
        classes: What an error that sums over cells is divided by.
        width: Number of cells, with those that no row is in.
    """

    cell: NDArray[np.int64]
    p: Floats
    outcome: Floats
    classes: int
    width: int

    def summed(self, values: Floats) -> Floats:
        """(width,) sums over the rows of each cell."""
        present = self.cell >= 0
        broad = np.broadcast_to(values, self.cell.shape)
        return np.bincount(self.cell[present], weights=broad[present], minlength=self.width).astype(np.float64)

    def dense(self, values: Floats, rows: slice | NDArray[np.intp]) -> Floats:
        """(rows, width) with each row's values in their cells."""
        cell = self.cell[rows]
        spread = np.zeros((len(cell), self.width + 1))  # the last column takes the options that are absent
        spread[np.arange(len(cell))[:, np.newaxis], cell] = values
        return spread[:, : self.width]

    def compact(self) -> Residuals:
        """Without the cells that no row is in."""
        used, code = np.unique(self.cell[self.cell >= 0], return_inverse=True)
        cell = self.cell.copy()
        cell[cell >= 0] = code
        return replace(self, cell=cell, width=len(used))

    def smoothed(self) -> Floats:
        """(width,) accuracy where one row is said in advance to be as right as it is confident; 0 in empty cells."""
        count = self.summed(np.ones((1, 1)))
        mean = self.summed(self.p) / np.maximum(count, 1)
        return (self.summed(self.outcome) + mean) / (count + 1)


def normal_cells(
    residuals: Residuals,
    norm: Norm,
    weights: Floats | None,
    clusters: NDArray[np.intp] | None,
    replicates: int,
    seed: int,
) -> NormalCells:
    """Cells whose sums of outcome - confidence are jointly normal.

    Rows of one class and its bins are not independent of the other classes': with two classes they are copies. Without
    clusters the covariance is that of outcomes drawn from the confidences as their cells recalibrate them, which is
    above 0 in cells where nothing has happened yet; with clusters it is that of the clusters' own sums.

    Raises:
        InputError: There are too many cells.
    """
    cells = residuals.compact()
    if cells.width > _MOST_CELLS:
        raise InputError(f"{cells.width} cells (classes x bins) are too many for their covariance; use fewer bins")
    w = np.ones(len(cells.p)) if weights is None else weights
    w = w / w.sum()
    share, residual = cells.summed(w[:, np.newaxis]), cells.summed(w[:, np.newaxis] * (cells.outcome - cells.p))
    if clusters is None:
        covariance = _row_covariance(cells, w, residual)
    else:
        covariance = _cluster_covariance(cells, w, residual, clusters)
    noise = normal_draws(covariance, replicates, seed)
    return NormalCells(residual, np.maximum(share, 1e-300), noise, scale=1 / cells.classes, norm=norm)


def normal_draws(covariance: Floats, replicates: int, seed: int) -> Floats:
    """(replicates, J) draws of a normal law, which may be singular."""
    value, vector = np.linalg.eigh(covariance)
    draws = np.random.default_rng(seed).standard_normal((replicates, len(value)))
    return np.asarray((draws * np.sqrt(np.maximum(value, 0))) @ vector.T)


def cell_of(values: NDArray[Any], bins: int | list[float]) -> tuple[NDArray[np.int64], int]:
    """The bin of each value, and how many bins there are; edges are rounded to the values' type."""
    known = widened(values)
    upper = np.asarray(_core.State(bins).edges[1:]).astype(known.dtype)
    return np.searchsorted(upper, known), len(upper)


def class_residuals(rows: Predictions, bins: int | list[float]) -> Residuals:
    """Every class against the rest, in its own bins."""
    p = _core.probabilities(rows.values, rows.labels, form=rows.form, mask=rows.mask)
    present = rows.present()
    cell, width = cell_of(rows.values if rows.form == "probabilities" else p, bins)
    cell = cell + np.arange(p.shape[1]) * width
    outcome = np.zeros(p.shape)
    outcome[np.arange(len(p)), rows.labels] = 1
    return Residuals(
        np.where(present, cell, -1),
        np.where(present, p, 0),
        outcome,
        int(present.any(axis=0).sum()),
        width * p.shape[1],
    )


def _row_covariance(cells: Residuals, w: Floats, residual: Floats) -> Floats:
    """Sum over rows of w^2 E[e e'] less what their mean takes, e = outcome - p with outcomes drawn from q.

    E[e e'] = (p - q)(p - q)' - q q' + diag(q).
    """
    n, j, p = len(w), cells.width, cells.p
    moved = np.append(cells.smoothed() - cells.summed(p) / cells.summed(np.ones((1, 1))), 0.0)
    q = np.clip(p + moved[cells.cell], 0, 1)
    if cells.classes > 1:
        q /= np.maximum(q.sum(axis=1, keepdims=True), 1e-300)
    step = max(1, math.ceil(n * j * j / _WORK))
    factor = float((w**2).sum() / (w[::step] ** 2).sum())
    covariance, picked = np.zeros((j, j)), np.arange(0, n, step)
    for start in range(0, len(picked), _CHUNK):
        rows = picked[start : start + _CHUNK]
        scale = w[rows, np.newaxis]
        off, drawn = cells.dense(scale * (p[rows] - q[rows]), rows), cells.dense(scale * q[rows], rows)
        covariance += off.T @ off - drawn.T @ drawn
        covariance[np.diag_indices(j)] += (scale * drawn).sum(axis=0)
    return np.asarray(covariance * factor - np.outer(residual, residual) * float((w**2).sum()))


def _cluster_covariance(cells: Residuals, w: Floats, residual: Floats, clusters: NDArray[np.intp]) -> Floats:
    size = int(clusters.max()) + 1
    sums = np.zeros((size, cells.width + 1))
    np.add.at(sums, (clusters[:, np.newaxis], cells.cell), w[:, np.newaxis] * (cells.outcome - cells.p))
    weight = np.bincount(clusters, weights=w)
    sums = sums[:, : cells.width] - weight[:, np.newaxis] * residual
    return np.asarray(sums.T @ sums) * (size / (size - 1))
