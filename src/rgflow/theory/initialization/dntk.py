"""Leading statistics of the differential of the NTK (dNTK) and of its second differentials (ddNTK), layer by layer.

With v_a = lambda grad z_a, an index carrying neuron and input, the step -eta sum_c eps_c v_c of gradient descent changes the
NTK by contractions of higher derivatives of the network,

    dH_012 = D^2 z_0 [v_1, v_2],   ddI_0123 = D^3 z_0 [v_1, v_2, v_3],   ddII_1234 = <D^2 z_1 [., v_3], lambda D^2 z_2 [., v_4]>,

whose means at initialization define P, Q, R, S, T, U (Roberts, Yaida & Hanin, chapter 11), without the prefactor 1/n_{l-1}.
Notation of the recursions: one neuron's share of the next NTK and its derivatives at fixed Theta are

    X_12 = lambda_W s'1 s2 + C_W Theta_12 s''1 s'2,   d_1 X_12 = lambda_W s''1 s2 + C_W Theta_12 s'''1 s'2,
    Y_12 = d_2 X_12 = lambda_W s'1 s'2 + C_W Theta_12 s''1 s''2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from rgflow.gaussian.dense import DenseAverages
from rgflow.inputs import Inputs
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array, exchange_pairs
from rgflow.theory.initialization.layers import Tensors, labelled
from rgflow.theory.initialization.tensors import initialization_theory


class DNTKStep(NamedTuple):
    """What the recursions l -> l+1 read: C_W and lambda_W of layer l+1, rho = n_l / n_{l-1}, Gaussian averages, Theta, F, B."""

    C_W: float
    lambda_W: float
    rho: float
    averages: DenseAverages
    Theta: Array
    F: Array  # with the slots of the NTK first: E[H_ij;13 z_i;2 z_j;4]
    B: Array

    def s(self, p: int, q: int) -> Array:
        """<s^(p)_1 s^(q)_2>, (N, N)."""
        return self.averages.mean((p, q))

    def d1_X(self) -> Array:
        """<d_1 X_12>, (N, N)."""
        return self.lambda_W * self.s(2, 0) + self.C_W * self.Theta * self.s(3, 1)

    def Y(self) -> Array:
        """<Y_12>, (N, N)."""
        return self.lambda_W * self.s(1, 1) + self.C_W * self.Theta * self.s(2, 2)

    def along_X(self, T: Array) -> Array:
        """Sum over b in {1, 2} of <d_b X_12> T_1b34."""
        return _along(self.d1_X(), self.Y(), T)

    def along_ds(self, T: Array) -> Array:
        """Sum over b in {1, 2} of <d_b (s'1 s2)> T_1b34."""
        return _along(self.s(2, 0), self.s(1, 1), T)


def dntk_theory(network: Network, inputs: Inputs) -> xr.Dataset:
    """P, Q (dNTK) and R, S, T, U (ddNTK) in every layer, to leading order in 1/n.

    Parameters
    ----------
    network
        The network, with a smooth activation; only ratios of widths enter.
    inputs
        (sample, feature) array of N inputs that span at most two dimensions in every layer, such as one or two inputs.

    Returns
    -------
    Dataset on ``layer`` (1..L) and ``sample_1`` .. ``sample_4``, times n_{l-1}; with i, j different neurons,
    P_0123: E[dH_ijj;012 z_i;3]; Q_0123: E[dH_iij;012 z_j;3]; R_0123: E[ddI_iijj;0123]; S_1234: E[ddII_iijj;1234];
    T_1324: E[ddII_ijij;1234]; U_1423: E[ddII_ijji;1234].

    Raises
    ------
    RgflowError
        A kinked activation, a residual network, inputs that span more than two dimensions, or as
        :func:`rgflow.theory.initialization.tensors.initialization_theory`.
    """
    network.require_smooth("the dNTK")
    network.require_plain("the dNTK")
    known = initialization_theory(network, inputs, ("K", "Theta", "F", "B"))
    N = known.sizes["sample_1"]
    layers: list[Tensors] = [dict.fromkeys(RECURSIONS, np.zeros((N,) * 4))]
    for layer in range(1, network.depth):
        step = _step(network, layer, known.sel(layer=layer))
        layers.append({name: advance(step, layers[-1]) for name, advance in RECURSIONS.items()})
    return labelled({name: np.stack([tensors[name] for tensors in layers]) for name in RECURSIONS})


def _step(network: Network, layer: int, known: xr.Dataset) -> DNTKStep:
    _, C_W, _, lambda_W = network.hyperparameters(layer + 1)
    averages = DenseAverages(network.activation_of(layer), known["K"].values)
    F = known["F"].values.transpose(1, 0, 3, 2)
    return DNTKStep(C_W, lambda_W, network.ratio(layer), averages, known["Theta"].values, F, known["B"].values)


def next_P(step: DNTKStep, tensors: Tensors) -> Array:
    """P'_0123 = C_W^2 Theta_01 Theta_02 <s''0 s'1 s'2 s3>
    + rho C_W^2 <s'1 s'2> {<s''0 s3> B_0012 + sum_b <d_b (s'0 s3)> P_012b}, b in {0, 3}.
    """
    Theta, average = step.Theta, step.averages.mean
    source = np.einsum("ab,ac,abcd->abcd", Theta, Theta, average((2, 1, 1, 0)))
    carried = np.einsum("ad,aabc->abcd", step.s(2, 0), step.B)
    carried += step.along_ds(tensors["P"].transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    return np.asarray(step.C_W**2 * (source + step.rho * np.einsum("bc,abcd->abcd", step.s(1, 1), carried)))


def next_Q(step: DNTKStep, tensors: Tensors) -> Array:
    """Q'_0123 = C_W Theta_02 <X_01 s'2 s3>
    + rho C_W sum_bc {<d_b X_01> F_0b2c + C_W <s'0 s'1> Q_012c} <d_c (s'2 s3)>, b in {0, 1}, c in {2, 3}.
    """
    Theta, average = step.Theta, step.averages.mean
    X = step.lambda_W * average((1, 0, 1, 0)) + step.C_W * _first(Theta) * average((2, 1, 1, 0))
    carried = step.along_X(step.F) + step.C_W * _first(step.s(1, 1)) * tensors["Q"]
    carried = exchange_pairs(step.along_ds(exchange_pairs(carried)))
    return np.asarray(step.C_W * (np.einsum("ac,abcd->abcd", Theta, X) + step.rho * carried))


def next_R(step: DNTKStep, tensors: Tensors) -> Array:
    """R'_0123 = C_W Theta_02 Theta_03 <d_0 X_01 s'2 s'3>
    + rho C_W <s'2 s'3> {<d_0 X_01> B_0023 + sum_b <d_b X_01> P_023b + C_W <s'0 s'1> R_0123}, b in {0, 1}.
    """
    Theta, average = step.Theta, step.averages.mean
    d1_X = step.lambda_W * average((2, 0, 1, 1)) + step.C_W * _first(Theta) * average((3, 1, 1, 1))
    source = np.einsum("ac,ad,abcd->abcd", Theta, Theta, d1_X)
    carried = np.einsum("ab,aacd->abcd", step.d1_X(), step.B)
    carried += step.along_X(tensors["P"].transpose(0, 3, 1, 2)) + step.C_W * _first(step.s(1, 1)) * tensors["R"]
    return np.asarray(step.C_W * (source + step.rho * step.s(1, 1) * carried))


def next_S(step: DNTKStep, tensors: Tensors) -> Array:
    """S'_1234 = C_W Theta_13 Theta_24 <Y_12 s'3 s'4> + rho C_W <s'3 s'4> {<Y_12> B_1234 + C_W <s'1 s'2> S_1234}."""
    Theta, average = step.Theta, step.averages.mean
    Y = step.lambda_W * average((1, 1, 1, 1)) + step.C_W * _first(Theta) * average((2, 2, 1, 1))
    source = np.einsum("ac,bd,abcd->abcd", Theta, Theta, Y)
    carried = _first(step.Y()) * step.B + step.C_W * _first(step.s(1, 1)) * tensors["S"]
    return np.asarray(step.C_W * (source + step.rho * step.s(1, 1) * carried))


def next_T(step: DNTKStep, tensors: Tensors) -> Array:
    """T'_1324 = Theta_12 <X_13 X_24> + rho sum_bc {<d_b X_13> <d_c X_24> F_1b2c + C_W <s'2 s'4> <d_b X_13> Q_241b
    + C_W <s'1 s'3> <d_c X_24> Q_132c} + rho C_W^2 <s'1 s'3> <s'2 s'4> T_1324, b in {1, 3}, c in {2, 4}.
    """
    C_W, lambda_W, Theta, average = step.C_W, step.lambda_W, step.Theta, step.averages.mean
    crossed = lambda_W * C_W * _first(Theta) * average((2, 1, 1, 0))
    XX = lambda_W**2 * average((1, 0, 1, 0)) + crossed + exchange_pairs(crossed)
    XX = XX + C_W**2 * _first(Theta) * Theta * average((2, 1, 2, 1))
    mixed = C_W * step.s(1, 1) * step.along_X(exchange_pairs(tensors["Q"]))
    carried = exchange_pairs(step.along_X(exchange_pairs(step.along_X(step.F)))) + mixed + exchange_pairs(mixed)
    carried = carried + C_W**2 * _first(step.s(1, 1)) * step.s(1, 1) * tensors["T"]
    return np.asarray(np.einsum("ab,acbd->acbd", Theta, XX) + step.rho * carried)


def next_U(step: DNTKStep, tensors: Tensors) -> Array:
    """U'_1423 = C_W^2 Theta_12 Theta_13 Theta_24 <s''1 s'4 s''2 s'3> + rho C_W^2 <s'1 s'4> <s'2 s'3> U_1423."""
    Theta = step.Theta
    source = np.einsum("ab,ac,bd,adbc->adbc", Theta, Theta, Theta, step.averages.mean((2, 1, 2, 1)))
    carried = _first(step.s(1, 1)) * step.s(1, 1) * tensors["U"]
    return np.asarray(step.C_W**2 * (source + step.rho * carried))


RECURSIONS: Mapping[str, Callable[[DNTKStep, Tensors], Array]] = {
    "P": next_P,
    "Q": next_Q,
    "R": next_R,
    "S": next_S,
    "T": next_T,
    "U": next_U,
}


def _first(pair: Array) -> Array:
    """A function of the first two of four legs."""
    return pair[:, :, None, None]


def _along(at_first: Array, at_second: Array, T: Array) -> Array:
    """at_first_12 T_1134 + at_second_12 T_1234."""
    return np.asarray(_first(at_first) * np.einsum("aacd->acd", T)[:, None] + _first(at_second) * T)
