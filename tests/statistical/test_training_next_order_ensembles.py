"""Order 1/n of training against ensembles with explicit weights, extrapolated from three widths.

Every network is paired with its twin of opposite last layer, and two known pieces are subtracted per network: its evolution
at infinite width z_frozen and its linear response z_1 to its own NTK, computed from its own z(0) and H(0). What is left has a
noise that does not grow with the width, so n times its average resolves the coefficient of 1/n, with a quadratic in 1/n for
what comes after. Seeds are fixed; bounds in standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import xarray as xr

from rgflow.network import Network
from rgflow.theory.initialization.finite_width import finite_width_tensors
from rgflow.theory.learning.training import training_theory
from rgflow.training.mlp import Parameters, add_gradients_, cotangents, draw_parameters, outputs, run_forward
from rgflow.training.ntk import empirical_ntk

Array = np.ndarray
INPUTS = np.array([[1.3, 0.2], [-0.4, 1.1], [0.8, -0.9]])  # two to train on, one to test on
TARGETS = np.array([[0.5], [-0.7]])
STEPS = (1, 3, 8)
TRAIN = len(TARGETS)
PAIRS, CHUNK = 16_000, 2_000


@dataclass(frozen=True)
class Reference:
    """What is subtracted per network, and its known means."""

    eta: float
    K: Array
    Theta: Array
    theory: xr.Dataset
    tensors: xr.Dataset

    def linear_response(self, steps: int) -> tuple[Array, Array, Array]:
        """J_t of z_frozen = J_t z(0) + (1 - J_t) y, and the coefficients of z_1 in dH_wb eps_e, iterated literally."""
        N, A = len(self.K), slice(TRAIN)
        J, P, Z = np.eye(N), np.eye(TRAIN), np.zeros((N, N, TRAIN, TRAIN))
        for _ in range(steps):
            Z -= self.eta * np.einsum("xa,awbe->xwbe", self.Theta[:, A], Z[A])
            Z -= self.eta * np.einsum("xw,be->xwbe", np.eye(N), P)
            J = J - self.eta * self.Theta[:, A] @ J[A]
            P = P - self.eta * self.Theta[A, A] @ P
        return J, Z, (J[:, A] - np.eye(N)[:, A]) @ TARGETS

    def left_over(self, step: int) -> Array:
        """Coefficients of 1/n of what is left: mean, covariance, change of the NTK."""
        J, Z, _ = self.linear_response(step)
        T, A, y = {name: self.tensors[name].values for name in ("D", "F", "Theta1", "G1")}, slice(TRAIN), TARGETS[:, 0]
        F = T["F"].transpose(1, 0, 3, 2)
        Hzz = T["D"].transpose(2, 3, 0, 1) + np.einsum("acbd->abcd", F) + np.einsum("adbc->abcd", F)
        Hzz = Hzz + np.einsum("wb,ez->wbez", T["Theta1"], self.K)
        z_1 = -np.einsum("xwbe,wb,e->x", Z, T["Theta1"][:, A], y)
        c_z_1 = np.einsum("xz,ywbe,wbez->xy", J, Z, Hzz[:, A, A])
        at = self.theory.sel(step=step)
        mean = at["prediction_mean1"].values[:, 0] - z_1
        covariance = at["prediction_covariance1"].values[0, 0] - J @ T["G1"] @ J.T - c_z_1 - c_z_1.T
        return _packed(mean, covariance, at["NTK1"].values[0, 0] - T["Theta1"])


def reference(network: Network) -> Reference:
    tensors = finite_width_tensors(network, INPUTS)
    theory = training_theory(
        network, INPUTS[:TRAIN], TARGETS, INPUTS[TRAIN:], steps=(0, *STEPS), step_fraction=0.35, tensors=tensors
    )
    K, Theta = theory["K_output"].values, theory["Theta_output"].values
    return Reference(float(theory["learning_rate"]), K, Theta, theory, tensors.isel(layer=-1))


def _packed(mean: Array, covariance: Array, ntk: Array) -> Array:
    """The distinct components along the last axis."""
    upper = np.triu_indices(mean.shape[-1])
    return np.concatenate([mean, covariance[..., *upper], ntk[..., *upper]], axis=-1)


def sampled(network: Network, known: Reference, seed: int) -> tuple[Array, Array]:
    """n times the average of what is left per network, and its standard error: (step, component) each."""
    generator = torch.Generator().manual_seed(seed)
    chunks = [_chunk(network, known, generator) for _ in range(PAIRS // CHUNK)]
    pairs = network.widths[-2] * np.concatenate(chunks, axis=1)
    return pairs.mean(axis=1), pairs.std(axis=1, ddof=1) / np.sqrt(pairs.shape[1])


def _chunk(network: Network, known: Reference, generator: torch.Generator) -> Array:
    """(step, pair, component)."""
    drawn = draw_parameters(network, CHUNK, generator, torch.float64)
    signs = [torch.ones(2 * CHUNK, 1, 1, dtype=torch.float64) for _ in drawn.weights]
    signs[-1][CHUNK:] = -1.0
    weights, biases = (
        [s * torch.cat([p, p]) for s, p in zip(signs, of, strict=True)] for of in (drawn.weights, drawn.biases)
    )
    parameters, inputs = Parameters(weights, biases), torch.from_numpy(INPUTS)
    z_0, H_0 = _observed(network, parameters, inputs)
    found = []
    for step in range(1, STEPS[-1] + 1):
        _descend(network, parameters, inputs[:TRAIN], known.eta)
        if step in STEPS:
            left = _left_over(known, step, z_0, H_0, *_observed(network, parameters, inputs))
            found.append(left.reshape(2, CHUNK, -1).mean(axis=0))
    return np.stack(found)


def _observed(network: Network, parameters: Parameters, inputs: torch.Tensor) -> tuple[Array, Array]:
    """z (member, sample) and H (member, sample, sample) of the only output; arrays of their own, which training leaves."""
    z, H = (f(network, parameters, inputs).numpy().copy() for f in (outputs, empirical_ntk))
    return z[:, :, 0], H[:, 0, 0]


def _descend(network: Network, parameters: Parameters, inputs: torch.Tensor, eta: float) -> None:
    run = run_forward(network, parameters, inputs)
    for layer, cotangent in cotangents(parameters, run, run.outputs - torch.from_numpy(TARGETS)):
        values = parameters.weights[layer - 1], parameters.biases[layer - 1]
        rates = network.lambda_W[layer - 1] / network.widths[layer - 1], network.lambda_b[layer - 1]
        add_gradients_(values, cotangent, run.signals[layer - 1], (-eta * rates[0], -eta * rates[1]))


def _left_over(known: Reference, step: int, z_0: Array, H_0: Array, z: Array, H: Array) -> Array:
    J, Z, pulled = known.linear_response(step)
    mean_0 = -pulled[:, 0]
    c, c_0 = z - mean_0, z_0 @ J.T
    fluctuation = (H_0 - known.Theta)[:, :, :TRAIN]
    z_1 = np.einsum("xwbe,mwb,me->mx", Z, fluctuation, z_0[:, :TRAIN] - TARGETS[:, 0], optimize=True)
    mixed = np.einsum("mx,my->mxy", c_0, z_1)
    products = np.einsum("mx,my->mxy", c, c) - np.einsum("mx,my->mxy", c_0, c_0) - mixed - mixed.swapaxes(1, 2)
    return _packed(c - c_0 - z_1, products, H - H_0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "hidden"), [("tanh", (64,)), ("sin", (40, 32))], ids=["two layers", "three layers"]
)
def test_trained_ensembles_follow_the_next_order(activation: str, hidden: tuple[int, ...]) -> None:
    rates = ([0.0, 0.1, 0.2], 1.3, [0.3, 0.2, 0.4], [0.9, 1.1, 0.8])
    layers = [per_layer if np.isscalar(per_layer) else per_layer[: len(hidden) + 1] for per_layer in rates]
    networks = [Network(activation, (2, *(scale * n for n in hidden), 1), *layers) for scale in (1, 2, 4)]
    known = reference(networks[0])
    expected = np.stack([known.left_over(step) for step in STEPS])
    values, errors = zip(*(sampled(network, known, seed) for seed, network in enumerate(networks)), strict=True)
    weights = np.array([1.0, -6.0, 8.0]) / 3.0  # removes 1/n and 1/n^2 from widths n, 2n, 4n
    error = np.sqrt(np.tensordot(weights**2, np.square(errors), 1))
    assert abs((np.tensordot(weights, values, 1) - expected) / error).max() < 3.5
    assert (abs(expected / error) > 5).mean() > 0.5, "the experiment is blind"
