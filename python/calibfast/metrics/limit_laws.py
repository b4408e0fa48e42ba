"""Tails of the laws that tests of calibration have in the limit, by series, so that NumPy is all they need."""

from __future__ import annotations

import math


def normal_tail(z: float) -> float:
    """P(Z > z) for a standard normal Z."""
    return math.erfc(z / math.sqrt(2)) / 2


def chi_square_tail(x: float, degrees: int) -> float:
    """P(X > x) for a chi-square X with a whole number of degrees: finite sums (Abramowitz & Stegun 26.4.4, 26.4.5)."""
    if x <= 0:
        return 1.0
    half = x / 2
    tail = 0.0 if degrees % 2 == 0 else math.erfc(math.sqrt(half))
    for j in range(degrees // 2):
        power = j + (0.5 if degrees % 2 else 0.0)
        tail += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
    return min(1.0, tail)


def wiener_maximum_tail(x: float) -> float:
    """P(max |W(t)| > x) for a Wiener process on [0, 1] (Feller 1971, X.5): alternating sum over the reflections."""
    if x <= 0:
        return 1.0
    if x > 1:
        return sum(4 * _sign(k) * normal_tail((2 * k + 1) * x) for k in range(12))
    inside = sum(_sign(k) / (2 * k + 1) * math.exp(-((2 * k + 1) ** 2) * math.pi**2 / (8 * x * x)) for k in range(12))
    return 1 - 4 / math.pi * inside


def wiener_range_tail(x: float) -> float:
    """P(max W - min W > x) for a Wiener process on [0, 1] (Feller 1951): 8 sum (-1)^(k-1) k P(Z > k x)."""
    if x < 0.5:
        return 1.0  # P(range < .5) is below 1e-6
    return sum(8 * _sign(k - 1) * k * normal_tail(k * x) for k in range(1, 80))


def _sign(k: int) -> int:
    return 1 - 2 * (k % 2)
