"""What K and Theta are worth: a few inputs are calculated a second time, more precisely or by another method.

Rounding and errors of expansions depend on the scale of the inputs, on how nearly parallel they are, and on what later layers
make of earlier errors. So they are measured, at the end of the last layer, on the inputs where they are largest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rgflow.inputs import Inputs, checked_inputs
from rgflow.network import Network
from rgflow.theory.infinite_width.apart import Block
from rgflow.theory.infinite_width.dual import closed_form
from rgflow.theory.infinite_width.mehler import ExpansionError
from rgflow.theory.infinite_width.plan import Pairs, Plan, make_plan
from rgflow.theory.infinite_width.quadrature import quadrature_kernels

_SAFETY = 8.0  # for pairs that were not measured
_ROUNDING = 8.0  # of one layer, in units of the precision, of pairs that were not measured
_WORST = {"float32": 1e-3}  # errors beyond which nothing is returned; 1e-6 in higher precision


def certified_plan(network: Network, inputs: Inputs, precision: Any) -> Plan:
    """The plan of a calculation, with its measured error.

    Raises
    ------
    RgflowError
        Unusable inputs, a kernel or NTK that leaves the range of the precision, kinks without a closed form, or an error that is
        too large.
    """
    x = checked_inputs(network, inputs)
    plan, checked = make_plan(network, x, precision), x[_representatives(x)]
    if _closed(network):
        checked = np.concatenate([checked, _turned(checked, network.C_W[0])])
    error = _measured_error(network, checked, precision)
    if error > _WORST.get(np.dtype(precision).name, 1e-6):
        raise ExpansionError(
            f"infinite width of {network.activation.label} in {precision}: estimated relative error {error:.1e}; "
            "scale the inputs down, use float64, or declare the analytic_radius of an activation of your own"
        )
    return replace(plan, error=error)


def whole_kernels(plan: Plan) -> Pairs:
    """K and Theta of the last layer between all inputs."""
    everything = slice(0, len(plan.inputs))
    pairs = plan.first(everything, everything)
    for layer in plan.layers:
        pairs = layer.next(everything, everything, *pairs)
    return pairs


def carried_apart(network: Network, inputs: Inputs) -> list[Block | None]:
    """1 - |correlation| of all inputs, (N, N), in the layers 1 .. L-1; None where averages do not depend on the angle itself."""
    if any(sigma.slopes is None or not sigma.kinks for sigma in network.activations):
        return [None] * (network.depth - 1)
    plan = make_plan(network, checked_inputs(network, inputs), "float64")
    everything = slice(0, len(plan.inputs))
    pairs, apart = plan.first(everything, everything), []
    for layer in plan.layers:
        apart.append(pairs[2])
        pairs = layer.next(everything, everything, *pairs)
    return apart


def _measured_error(network: Network, x: Block, precision: Any) -> float:
    found = whole_kernels(make_plan(network, x, precision))[:2]
    right, own = _reference(network, x)
    errors = [_relative_error(value, exact) for value, exact in zip(found, right, strict=True)]
    return _SAFETY * (max(errors) + own) + _ROUNDING * network.depth * float(np.finfo(precision).eps)


def _reference(network: Network, x: Block) -> tuple[tuple[Block, Block], float]:
    """K and Theta in extended precision or, without a closed form, by quadrature, and the error of that."""
    if _closed(network):
        K, Theta, _ = whole_kernels(make_plan(network, x, np.longdouble))
        return (K, Theta), 0.0
    K, Theta, error = quadrature_kernels(network, x @ x.T / x.shape[1])
    return (K, Theta), error


def _closed(network: Network) -> bool:
    return all(closed_form(sigma) is not None for sigma in network.activations)


def _relative_error(found: Block, exact: Block) -> float:
    root = np.sqrt(exact.diagonal())
    scale = np.multiply.outer(root, root)
    return float(np.max(np.abs(found - exact) / np.where(scale > 0.0, scale, 1.0)))


def _representatives(x: Block) -> npt.NDArray[np.intp]:
    """The shortest, a middle and the longest input, and to each the other that is most nearly parallel."""
    length = np.sqrt(np.einsum("ai,ai->a", x, x))
    order = np.argsort(length, kind="stable")
    chosen = order[[0, len(order) // 2, -1]]
    unit = x / np.where(length > 0.0, length, 1.0)[:, None]
    cosine = np.abs(unit[chosen] @ unit.T)
    cosine[np.arange(len(chosen)), chosen] = -1.0
    return np.unique(np.concatenate([chosen, cosine.argmax(axis=1)]))


def _turned(x: Block, C_W: float) -> Block:
    """The longest input turned by angles about 1 / sqrt(K), at which averages change, and by larger ones."""
    longest = x[np.argmax(np.einsum("ai,ai->a", x, x))]
    length = np.sqrt(longest @ longest)
    aside = np.cos(np.arange(x.shape[1]) + 1.0) * length  # any other direction
    aside -= longest * (aside @ longest) / (length**2 or 1.0)
    aside *= length / (np.sqrt(aside @ aside) or 1.0)
    edge = 1.0 / max(1.0, length * np.sqrt(C_W / x.shape[1]))
    angles = np.unique(np.minimum(edge * np.array([0.1, 0.3, 1.0, 3.0, 10.0]), 0.3))
    return np.asarray(np.cos(angles)[:, None] * longest + np.sin(angles)[:, None] * aside)
