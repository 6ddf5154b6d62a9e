"""All leading finite-width tensors of a network at initialization, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.gaussian.expectations import Expectations
from rgflow.inputs import Inputs, input_gram
from rgflow.network import Network
from rgflow.theory.infinite_width.accuracy import carried_apart
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.fluctuations import next_A, next_B, next_D, next_F
from rgflow.theory.initialization.kernel import first_kernel, next_kernel, next_metric_correction
from rgflow.theory.initialization.layers import Recursion, Tensors, evolve, recursions
from rgflow.theory.initialization.ntk import first_ntk, next_ntk, next_ntk_correction
from rgflow.theory.initialization.residual import RESIDUAL_RECURSIONS, ResidualStep
from rgflow.theory.initialization.step import Step
from rgflow.theory.initialization.vertex import next_vertex

Recursions = Mapping[str, Recursion]

RECURSIONS: Recursions = recursions(
    K=next_kernel,
    G1=next_metric_correction,
    V=next_vertex,
    Theta=next_ntk,
    Theta1=next_ntk_correction,
    D=next_D,
    F=next_F,
    A=next_A,
    B=next_B,
)

ARCHITECTURES: Mapping[str, tuple[Recursions, type[Step]]] = {
    "plain": (RECURSIONS, Step),
    "residual": (RESIDUAL_RECURSIONS, ResidualStep),
}
"""What is known of each architecture: its recursions, and the step that they read."""


@checked
def initialization_theory(
    network: Network, inputs: Inputs, tensors: Iterable[str] | None = None, rtol: float = 1e-10
) -> xr.Dataset:
    """Kernel, NTK and their leading finite-width tensors in every layer (PDLT, chapters 4 and 8).

    At widths n, E[z z] = K + G1 / n_{l-1}, E[H] = Theta + Theta1 / n_{l-1}, and V, D, F, A, B are n_{l-1} times the
    connected correlators, all up to O(1/n^2); only ratios of widths enter. Of residual networks K, G1, T3, V and Theta
    are known; T3 is n times their three-point correlator.

    Parameters
    ----------
    network
        The network, widths (n_0, ..., n_L).
    inputs
        (sample, feature) array of N inputs with n_0 features. Repeated or parallel inputs are fine.
    tensors
        Names of the tensors wanted, of K, G1, V, Theta, Theta1, D, F, A, B, or of K, G1, T3, V, Theta for a residual
        network; only what these need is evaluated. By default all.
    rtol
        Relative accuracy asked of every Gaussian average.

    Returns
    -------
    Dataset on ``layer`` (1..L) and ``sample_1`` .. ``sample_4`` (0..N-1) with the slots V_(12)(34); D_1234: z_1 z_2
    with H_34; F_1324: E[z_i;1 z_j;2 H_ij;34]; A_(12)(34); B_1324: E[H_ij;12 H_ij;34]; T3_1(23): E[z_i;1 z_j;2 z_j;3] (i
    and j different neurons); and ``quadrature_error`` (layer): largest estimated relative error of the Gaussian averages
    that enter that layer.

    Raises
    ------
    RgflowError
        Unusable inputs, an unknown tensor, a residual network with a kinked activation that is not scale-invariant, an
        average that does not reach ``rtol``, or a tensor that is not finite.
    """
    known, step = network.architecture.choose(ARCHITECTURES, "finite-width theory")
    wanted = known_tensors(known, known if tensors is None else tensors)
    needed = with_dependencies(known, wanted)
    gram, apart = input_gram(network, inputs), carried_apart(network, inputs)

    def advance(layer: int, current: Tensors) -> tuple[Tensors, float]:
        averages = Expectations(network.activation_of(layer), current["K"], rtol, apart[layer - 1])
        return next_layer(needed, step(network, layer, averages), current), averages.error

    return evolve(network.depth, first_layer(needed, network, gram), advance)[[*wanted, "quadrature_error"]]


def known_tensors(recursions: Recursions, tensors: Iterable[str]) -> list[str]:
    """The names without repetitions; raises one line if one is unknown or there is none."""
    wanted = list(dict.fromkeys(tensors))
    unknown = [name for name in wanted if name not in recursions]
    if unknown or not wanted:
        raise RgflowError(f"tensors = {wanted}; allowed are {', '.join(recursions)}")
    return wanted


def with_dependencies(recursions: Recursions, names: list[str]) -> Recursions:
    """The recursions of K, of the names, and of all tensors that these read."""
    needed = {"K", *names}
    while missing := {read for name in needed for read in recursions[name].reads} - needed:
        needed |= missing
    return {name: recursion for name, recursion in recursions.items() if name in needed}


def first_layer(recursions: Recursions, network: Network, gram: Array) -> dict[str, Array]:
    """Tensors of layer 1, where preactivations are Gaussian and the NTK does not fluctuate: all but K, Theta vanish."""
    known = {"K": first_kernel(network, gram), "Theta": first_ntk(network, gram)}
    N = len(gram)
    return {name: known.get(name, np.zeros((N,) * recursion.legs)) for name, recursion in recursions.items()}


def next_layer(recursions: Recursions, step: Step, current: Tensors) -> dict[str, Array]:
    """The same tensors one layer further."""
    return {
        name: recursion.advance(step, *(current[read] for read in recursion.reads))
        for name, recursion in recursions.items()
    }
