"""Exact arithmetic of derivative towers [f, f', f'', ...]: products, compositions, rescaled arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import comb, factorial, prod

from rgflow.activations.arrays import Array, namespace


def power_tower(z: Array, power: int, order: int) -> list[Array]:
    """z^power and its derivatives."""
    ones = namespace(z).ones_like(z)
    return [_falling(power, p) * (z ** (power - p) if power > p else ones) for p in range(order + 1)]


def _falling(power: int, p: int) -> float:
    return float(prod(range(power - p + 1, power + 1)))


def product(f: Sequence[Array], g: Sequence[Array]) -> list[Array]:
    """Leibniz rule: (f g)^(p) = sum_k C(p, k) f^(k) g^(p-k)."""
    return [sum(comb(p, k) * f[k] * g[p - k] for k in range(p + 1)) for p in range(len(f))]


def compose(outer: Sequence[Array], inner: Sequence[Array]) -> list[Array]:
    """Faa di Bruno: derivatives of f(g(z)) from outer[k] = f^(k)(g(z)) and inner[k] = g^(k)(z)."""
    tower = [outer[0]]
    for p in range(1, len(inner)):
        terms = (c * outer[sum(m)] * _monomial(inner, m) for c, m in _partitions(p))
        tower.append(sum(terms))
    return tower


def _monomial(inner: Sequence[Array], multiplicities: tuple[int, ...]) -> Array:
    return prod(inner[j] ** m for j, m in enumerate(multiplicities, start=1) if m)


@cache
def _partitions(p: int) -> list[tuple[float, tuple[int, ...]]]:
    """Partitions of p as multiplicities (m_1, ..., m_p) with the number of set partitions of that shape."""
    result = []
    for m in _multiplicities(p, p):
        weight = factorial(p) / prod(factorial(mj) * factorial(j) ** mj for j, mj in enumerate(m, start=1))
        result.append((weight, m))
    return result


def _multiplicities(total: int, largest: int) -> list[tuple[int, ...]]:
    if largest == 0:
        return [()] if total == 0 else []
    return [
        (*rest, m) for m in range(total // largest + 1) for rest in _multiplicities(total - m * largest, largest - 1)
    ]


def rescale(tower: Callable[[Array, int], list[Array]], z: Array, order: int, factor: float) -> list[Array]:
    """Derivatives of f(factor z)."""
    return [factor**p * part for p, part in enumerate(tower(factor * z, order))]
