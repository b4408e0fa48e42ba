"""Kernel sums over all pairs, as matrices."""

import numpy as np

from reference import rows


def mmce(p, y, width=0.4, weights=None):
    p, hit, w = rows.of(p, y, weights)
    residual = w * (hit - p) / w.sum()
    kernel = np.exp(-np.abs(p[:, None] - p[None, :]) / width)
    return np.sqrt(residual @ kernel @ residual)


def skce(p, y, estimator="quadratic", width=0.3, weights=None, block=2):
    """r_i . r_j k(p_i, p_j) as a matrix; a row of weight w is w rows."""
    p = np.asarray(p, float)
    if p.ndim == 1:
        matrix, residual = p[:, None], np.asarray(y, float)[:, None] - p[:, None]
    else:
        matrix, residual = p, np.eye(p.shape[1])[np.asarray(y)] - p
    distance = np.sqrt(sum((column[:, None] - column[None, :]) ** 2 for column in matrix.T))
    h = (residual @ residual.T) * np.exp(-distance / width)
    w = np.ones(len(p)) if weights is None else np.asarray(weights, float)
    if estimator == "biased":
        return w @ h @ w / w.sum() ** 2
    if estimator == "quadratic":
        return (w @ h @ w - w @ np.diag(h)) / (w.sum() * (w.sum() - 1))
    squares = [h[a : a + block, a : a + block] for a in range(0, len(p) - block + 1, block)]
    return np.mean([(square.sum() - np.trace(square)) / (block * (block - 1)) for square in squares])


def log_densities(p, bandwidth, weights):
    """(N, N) log of the weighted Dirichlet kernel of every row (column) at every row; no row sees itself."""
    from scipy.special import gammaln

    alpha = p / bandwidth + 1
    log = (
        np.log(np.maximum(p, 1e-300)) @ (alpha - 1).T + (gammaln(alpha.sum(axis=1)) - gammaln(alpha).sum(axis=1))[None]
    )
    with np.errstate(divide="ignore"):
        return log + np.log(weights[None, :] - np.eye(len(p)) * (weights > 0))


def kde_ece(p, y, bandwidth=0.05, weights=None):
    """Densities at every pair of rows; a row of weight w is w rows, and does not see itself."""
    p = np.asarray(p, float)
    scalar = p.ndim == 1
    if scalar:
        p, y = np.stack([p, 1 - p], axis=1), np.where(np.asarray(y).astype(bool), 0, 1)
    w = np.ones(len(p)) if weights is None else np.asarray(weights, float)
    error = np.average(np.abs(predicted(p, np.asarray(y), bandwidth, w) - p).sum(axis=1), weights=w)
    return error / 2 if scalar else error


def predicted(p, y, bandwidth, weights):
    """(N, K) E[y | p] at every row from all others."""
    log = log_densities(p, bandwidth, weights)
    density = np.exp(log - log.max(axis=1, keepdims=True))
    return density @ np.eye(p.shape[1])[y] / density.sum(axis=1, keepdims=True)


def best_bandwidth(p, y, bandwidths):
    """Of the smallest leave-one-out log loss; a probability below 1/N counts as that."""
    if p.ndim == 1:
        p, y = np.stack([p, 1 - p], axis=1), 1 - y
    n = len(p)
    right = [predicted(p, y, bandwidth, np.ones(n))[np.arange(n), y] for bandwidth in bandwidths]
    losses = [-np.log(np.maximum(found, 1 / n)).sum() for found in right]
    return bandwidths[int(np.argmin(losses))]
