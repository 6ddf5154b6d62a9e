"""Pair averages in closed form.

All functions take arrays that broadcast against each other: K_aa = x, K_bb = y, K_ab = c, and 1 - |correlation| as ``apart``.
They hold for any scale of the kernel: what would cancel for nearly parallel inputs is written in terms of ``apart``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rgflow.theory.infinite_width.apart import Block


class KernelAverages(NamedTuple):
    """<sigma_a sigma_b>, <sigma'_a sigma'_b>, and 1 - |correlation| of sigma_a and sigma_b if it is known better than
    from <sigma_a sigma_b>.
    """

    ss: Block
    dd: Block
    apart: Block | None = None


_LARGE = 100.0  # kernels beyond which gelu is nearly relu

PairForm = Callable[[Block, Block, Block, Block], KernelAverages]


def scale_invariant_averages(slopes: tuple[float, float], x: Block, y: Block, c: Block, apart: Block) -> KernelAverages:
    """sigma = m z + j |z| with m, j half sum and difference of the slopes: arcsine laws of |z| and sign(z).

    With t the angle between the inputs, M = m^2 + j^2, b = 2 j^2 / pi and f = sin t - t cos t, at c >= 0

        ss = sqrt(x y) (b f + M cos t),  dd = M - b t,  apart = (1 - cos t) - f b/M,

    and at c < 0, with pi - t in the place of t, see `_folded`.
    """
    mean, jump = (slopes[1] + slopes[0]) / 2.0, (slopes[1] - slopes[0]) / 2.0
    bend, total = (2.0 / math.pi) * jump**2, mean**2 + jump**2
    t = np.sqrt(0.5 * apart)
    np.arcsin(t, out=t)
    t *= 2.0
    cosine = 1.0 - apart
    f = 2.0 - apart
    f *= apart
    np.sqrt(f, out=f)
    f -= t * cosine
    close = f * (-bend / total)
    close += apart
    if c.min() < 0.0:
        ss, dd, close = _folded(bend, total, c < 0.0, (t, cosine, f, apart), close)
    else:  # in place: this is most of the work of infinite width
        t *= -bend
        t += total
        f *= bend
        cosine *= total
        f += cosine
        ss, dd = f, t
    ss *= np.sqrt(x)
    ss *= np.sqrt(y)
    return KernelAverages(ss, dd if x.all() and y.all() else _with_vanishing_inputs(slopes, x == 0, y == 0, dd), close)


def _folded(bend: float, total: float, opposite: Block, angle: tuple[Block, ...], close: Block) -> list[Block]:
    """ss / sqrt(x y), dd and apart where the angle is t, or pi - t if opposite.

    There ss = sqrt(x y) [b f + (pi b - M) cos t], dd = M - pi b + b t, and the correlation ss / (M sqrt(x y)) has either sign.
    """
    t, cosine, f, apart = angle
    share, turn = bend / total, math.pi * bend / total
    there = (bend * f + total * (turn - 1.0) * cosine, total * (1.0 - turn) + bend * t)
    negative, positive = apart + turn * cosine + share * f, apart + (2.0 - turn) * cosine - share * f
    here = (bend * f + total * cosine, total - bend * t, close)
    folded = (*there, np.where(there[0] < 0.0, negative, positive))
    return [np.where(opposite, *pair) for pair in zip(folded, here, strict=True)]


def _with_vanishing_inputs(slopes: tuple[float, float], left: Block, right: Block, dd: Block) -> Block:
    """<sigma'_a sigma'_b> where rows and columns vanish: these have sigma' = a_minus for certain."""
    mean = (slopes[1] + slopes[0]) / 2.0
    return np.where(left & right, slopes[0] ** 2, np.where(left | right, slopes[0] * mean, dd)).astype(dd.dtype)


def erf_averages(x: Block, y: Block, c: Block, apart: Block) -> KernelAverages:
    """ss = (2/pi) arctan(2 c / sqrt D) and dd = (4/pi) / sqrt D with D = (1 + 2x)(1 + 2y) - 4 c^2."""
    root = _determinant(x, y, apart)
    root *= 4.0
    root += 1.0 + 2.0 * x
    root += 2.0 * y
    np.sqrt(root, out=root)
    ss = np.arctan(2.0 * c / root)
    ss *= 2.0 / math.pi
    return KernelAverages(ss, (4.0 / math.pi) / root)


def gelu_averages(x: Block, y: Block, c: Block, apart: Block) -> KernelAverages:
    """ss = q Delta + c B and dd = B + c q / D with B = A + c q [1/(1+x) + 1/(1+y)],

    Delta = x y - c^2, D = 1 + x + y + Delta, q = <phi phi> = 1/(2 pi sqrt D), A = <Phi Phi> = 1/4 + arctan(c / sqrt D)/(2 pi).
    """
    inverse = 1.0 / (1.0 + x) + 1.0 / (1.0 + y)
    delta = _determinant(x, y, apart)
    D = delta + x
    D += 1.0 + y
    root = np.sqrt(D)
    both = np.arctan(c / root)
    both *= 0.5 / math.pi
    both += 0.25
    q = (0.5 / math.pi) / root
    cq = c * q
    both += cq * inverse
    cq /= D
    delta *= q
    delta += c * both
    both += cq
    return KernelAverages(delta, both, _gelu_apart(x, y, c, apart) if max(x.max(), y.max()) > _LARGE else None)


def _gelu_apart(x: Block, y: Block, c: Block, apart: Block) -> Block:
    """1 - |correlation| of gelu where the kernel is large, so that gelu is relu plus a small rest, which is subtracted."""
    x, y = np.maximum(x, 1.0), np.maximum(y, 1.0)  # of smaller ones nothing is lost
    size = np.sqrt(x) * np.sqrt(y) / 2.0
    relu_apart = scale_invariant_averages((0.0, 1.0), x, y, c, apart).apart
    root_delta = np.sqrt(_determinant(x, y, apart))
    root = np.sqrt(1.0 + x + y + root_delta**2)
    step = (1.0 + x + y) / (root + root_delta)  # sqrt D - sqrt Delta
    angle = np.arctan(c * step / (root * root_delta + c * c))
    inverse = 1.0 / (1.0 + x) + 1.0 / (1.0 + y)
    rest = ((c * c * inverse - root_delta * step) / root - c * angle) / (2.0 * math.pi)  # <gelu gelu> - <relu relu>
    left, right = _gelu_deficit(x), _gelu_deficit(y)
    deficit = (left + right - left * right) / (1.0 + np.sqrt((1.0 - left) * (1.0 - right)))
    apart = (relu_apart - deficit - rest / size) / (1.0 - deficit)  # 1 - correlation, which may be slightly negative
    return np.asarray(np.maximum(np.minimum(apart, 2.0 - apart), 0.0))


def _gelu_deficit(x: Block) -> Block:
    """1 - <gelu^2> / <relu^2>."""
    root = np.sqrt(1.0 + 2.0 * x)
    return np.asarray((np.arctan(root / x) - 2.0 * x / ((1.0 + x) * root)) / math.pi)


def sine(x: Block, y: Block, c: Block, apart: Block) -> KernelAverages:
    """<sin sin> = exp(-(x+y)/2) sinh c and <cos cos> = exp(-(x+y)/2) cosh c, with (x+y)/2 - |c| from differences."""
    half = np.exp(-((np.sqrt(x) - np.sqrt(y)) ** 2) / 2.0 - np.sqrt(x) * np.sqrt(y) * apart) / 2.0
    change = np.expm1(-2.0 * np.abs(c))
    return KernelAverages(-np.copysign(half, c) * change, half * (2.0 + change))


def cosine(x: Block, y: Block, c: Block, apart: Block) -> KernelAverages:
    """As `sine`, the two averages exchanged."""
    ss, dd, _ = sine(x, y, c, apart)
    return KernelAverages(dd, ss)


def _determinant(x: Block, y: Block, apart: Block) -> Block:
    """x y - c^2."""
    delta = 2.0 - apart
    delta *= apart
    delta *= x
    delta *= y
    return np.asarray(delta)
