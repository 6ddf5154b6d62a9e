"""What a block of pairs needs to pass through all layers: scaled inputs, and O(N) numbers per layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.infinite_width.apart import (
    Block,
    KernelTerm,
    apart_of,
    apart_of_sum,
    apart_of_vectors,
    correlation_of,
)
from rgflow.theory.infinite_width.dual import Dual, closed_form, dual, mean_squares

_TOLERANCE = {"float32": 1e-6}  # of expansions; 1e-10 in higher precision

Pairs = tuple[Block, Block, Block | None]
"""K, Theta, and 1 - |correlation| if it is followed."""


@dataclass(frozen=True)
class LayerStep:
    """One step l -> l+1.

    Attributes
    ----------
    averages, ss_diagonal, dd_diagonal
        Pair averages in layer l, and those of equal inputs.
    C_b, C_W, lambda_b, lambda_W, skip
        Hyperparameters of layer l+1 and squared strength of the skip connection.
    root, deviation
        Root mean square of sigma in layer l and of the preactivation in layer l+1, by input.
    shares
        Of bias, sigma and skip connection in K of layer l+1: roots of the diagonals of these terms over that of K, by input.
        Empty if 1 - |correlation| is not followed further.
    """

    averages: Dual
    ss_diagonal: Block
    dd_diagonal: Block
    C_b: float
    C_W: float
    lambda_b: float
    lambda_W: float
    skip: float
    root: Block
    deviation: Block
    shares: tuple[Block, ...]

    def next(self, rows: slice, cols: slice, K: Block, Theta: Block, apart: Block | None) -> Pairs:
        """K' = C_b + C_W ss + skip K, Theta' = lambda_b + lambda_W ss + (C_W dd + skip) Theta, and how far apart."""
        ss, dd, sigma_apart = self.averages(rows, cols, K, apart)
        if rows == cols:
            np.fill_diagonal(ss, self.ss_diagonal[rows])
            np.fill_diagonal(dd, self.dd_diagonal[rows])
        new_K = self.C_W * ss
        dd *= self.C_W
        if self.C_b:
            new_K += self.C_b
        if self.skip:
            new_K += self.skip * K
            dd += self.skip
        dd *= Theta
        dd += self.lambda_W * ss
        new_Theta = dd + self.lambda_b if self.lambda_b else dd
        if not self.shares or apart is None:
            return new_K, new_Theta, None
        if sigma_apart is None:
            sigma_apart = apart_of(ss, self.root[rows], self.root[cols])
        return new_K, new_Theta, self._apart(rows, cols, new_K, ((1.0, 0.0), (ss, sigma_apart), (K, apart)))

    def _apart(self, rows: slice, cols: slice, K: Block, terms: Any) -> Block:
        """1 - |correlation| in layer l+1 from sign and 1 - |correlation| of the bias, sigma and skip connection."""
        present = (self.C_b > 0.0, True, self.skip > 0.0)
        parts = [
            KernelTerm(share[rows, None], share[cols], *term)
            for share, term, there in zip(self.shares, terms, present, strict=True)
            if there
        ]
        if len(parts) == 1:
            return np.asarray(parts[0].apart)
        return apart_of_sum(parts, correlation_of(K, self.deviation[rows], self.deviation[cols]))


@dataclass(frozen=True)
class Plan:
    """Inputs scaled so that their products are x . x / n_0, their root mean squares, and all layers.

    ``error`` is the estimated relative error of K_ab and Theta_ab, in units of the root of the product of the diagonals.
    """

    inputs: Block
    network: Network
    length: Block
    deviation: Block
    layers: tuple[LayerStep, ...]
    error: float = 0.0

    def first(self, rows: slice, cols: slice) -> Pairs:
        """K = C_b + C_W x . x / n_0, Theta = lambda_b + lambda_W x . x / n_0 in layer 1."""
        network, left, right = self.network, self.inputs[rows], self.inputs[cols]
        gram = left @ right.T
        K, Theta = network.C_b[0] + network.C_W[0] * gram, network.lambda_b[0] + network.lambda_W[0] * gram
        if not _followed(network, 1):
            return K, Theta, None
        cosine = correlation_of(gram, self.length[rows], self.length[cols])
        apart = apart_of_vectors(left, right, self.length[rows], self.length[cols], cosine)
        if network.C_b[0] == 0.0:
            return K, Theta, apart
        shares = _shares(self.deviation, network.C_b[0], network.C_W[0] * self.length**2)
        terms: tuple[tuple[Block | float, Block | float], ...] = ((1.0, 0.0), (gram, apart))
        parts = [KernelTerm(share[rows, None], share[cols], *term) for share, term in zip(shares, terms, strict=True)]
        return K, Theta, apart_of_sum(parts, correlation_of(K, self.deviation[rows], self.deviation[cols]))


def make_plan(network: Network, x: Block, precision: Any) -> Plan:
    """The plan of a calculation with checked inputs (N, n_0) in some precision.

    Raises
    ------
    RgflowError
        A kernel or NTK that leaves the range of the precision, or as :func:`rgflow.theory.infinite_width.dual.dual`.
    """
    dtype = np.dtype(precision)
    x = x.astype(np.result_type(x, dtype))
    x /= np.sqrt(x.shape[1])
    square = np.einsum("ai,ai->a", x, x)
    variance = network.C_b[0] + network.C_W[0] * square
    Theta = network.lambda_b[0] + network.lambda_W[0] * square
    first, layers = np.sqrt(variance), []
    _require_range(variance, Theta, 1, dtype)
    for layer in range(1, network.depth):
        with np.errstate(over="ignore", invalid="ignore"):  # reported with its layer
            made, variance, Theta = _layer(network, layer, variance, Theta, dtype)
        _require_range(variance, Theta, layer + 1, dtype)
        layers.append(made)
    roots = (np.sqrt(square).astype(dtype), first.astype(dtype))
    return Plan(x.astype(dtype, copy=False), network, *roots, tuple(layers))


def _layer(network: Network, layer: int, variance: Block, Theta: Block, dtype: Any) -> tuple[LayerStep, Block, Block]:
    """The step from `layer`, and the diagonals of K and Theta after it."""
    sigma = network.activation_of(layer)
    averages = dual(sigma, variance.astype(dtype), _TOLERANCE.get(dtype.name, 1e-10))
    C_b, C_W, lambda_b, lambda_W = network.hyperparameters(layer + 1)
    skip = network.architecture.skip**2
    ss, dd = mean_squares(sigma, variance)
    after = C_b + C_W * ss + skip * variance
    Theta = lambda_b + lambda_W * ss + (C_W * dd + skip) * Theta
    deviation = np.sqrt(after)
    followed = _followed(network, layer + 1)
    shares = _shares(deviation, C_b, C_W * ss, skip * variance) if followed else []
    ss, dd, root, deviation, *shares = (array.astype(dtype) for array in (ss, dd, np.sqrt(ss), deviation, *shares))
    made = LayerStep(averages, ss, dd, C_b, C_W, lambda_b, lambda_W, skip, root, deviation, tuple(shares))
    return made, after, Theta


def _followed(network: Network, layer: int) -> bool:
    """Whether this layer or a later one needs 1 - |correlation|: closed forms do."""
    return any(closed_form(network.activation_of(later)) is not None for later in range(layer, network.depth))


def _shares(deviation: Block, *squares: Block | float) -> list[Block]:
    """Roots of the terms of a variance in units of the standard deviation."""
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0.0)
    return [np.sqrt(square) * inverse for square in squares]


def _require_range(variance: Block, Theta: Block, layer: int, dtype: Any) -> None:
    """K and Theta of every input with itself must be finite and, if not 0, above the smallest normal number."""
    limits = np.finfo(dtype)
    for name, values in (("K", variance), ("Theta", Theta)):
        largest, smallest = values.max(), values[values > 0.0].min(initial=np.inf)
        if not largest <= limits.max:
            what = f"is not finite at layer {layer}: beyond the range of {dtype.name}, {limits.max:.2g}"
        elif smallest < limits.tiny:
            what = f"is {smallest:.3g} at layer {layer}: below the range of {dtype.name}, {limits.tiny:.2g}"
        else:
            continue
        raise RgflowError(f"{name} {what}; choose C_b and C_W closer to criticality, or fewer layers")
