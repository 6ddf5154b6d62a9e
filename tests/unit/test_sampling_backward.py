"""Backward passes against the definition of the NTK, the product of gradients, network by network.

The weight sampler shows its weights. For the marginal sampler the inputs here outnumber every width by so much that its
preactivations determine weights and biases; then its backward pass has no freedom left and must be that of these weights.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from rgflow.network import Network
from rgflow.sampling.backward import backward
from rgflow.sampling.forward import Forward, forward
from rgflow.sampling.forward_ntk import cross_mean, ntk_forms
from rgflow.sampling.rng import Streams
from rgflow.sampling.target import Target
from rgflow.sampling.weights import WEIGHT_LAWS, weight_forward, weight_samples

NETWORK = Network(
    "tanh", (3, 2, 3, 2, 2), [0.3, 0.2, 0.4, 0.1], [1.5, 1.8, 1.2, 2.0], [0.3, 0.1, 0.2, 0.4], [0.7, 0.9, 1.1, 0.6]
)
RESIDUAL = Network(
    "tanh",
    (3, 3, 3, 3, 3),
    [0.3, 0.2, 0.4, 0.1],
    [1.5, 1.8, 1.2, 2.0],
    [0.3, 0.1, 0.2, 0.4],
    [0.7, 0.9, 1.1, 0.6],
    xi_1=0.8,
    xi_2=0.9,
)
MIXED = replace(NETWORK, activation=["tanh", "sin", "leaky_relu"])
every_kind = pytest.mark.parametrize("network", [NETWORK, RESIDUAL, MIXED], ids=["plain", "residual", "mixed"])
MEMBERS = 4
Parameters = list[tuple[Tensor, Tensor]]  # weights (n_l, n_{l-1}) and biases (n_l) of each layer


def make_target(N: int, network: Network = NETWORK) -> Target:
    x = torch.randn(N, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    tensors = {"Theta"} if network.xi_2 else {"F", "A"}
    return Target(network, x, (2, 3, 4), frozenset(tensors), torch.float64)


def generator(chunk: int) -> torch.Generator:
    return Streams("gradients", torch.device("cpu")).generator(chunk, 0)


def skipped(network: Network, z: Tensor, width: int) -> Tensor | float:
    """What the skip connection adds to the leading neurons of the layer above z (N, n)."""
    return network.xi_2 * z[:, :width] if network.xi_2 else 0.0


def outputs(network: Network, parameters: Parameters, x: Tensor) -> Tensor:
    """Preactivations (N, n_L) of the last layer, or those of its neurons that the parameters are of."""
    weights, biases = parameters[0]
    z = x @ weights.T + biases
    for layer, (weights, biases) in enumerate(parameters[1:], start=1):
        branch = network.activation_of(layer)(z) @ weights.T + biases
        z = network.xi_1 * branch + skipped(network, z, branch.shape[1])
    return z


def ntk_of_gradients(network: Network, parameters: Parameters, x: Tensor) -> Tensor:
    """sum over parameters of lambda dz_ia dz_jb: (2, 2, N, N)."""
    leaves = [(w.clone().requires_grad_(), b.clone().requires_grad_()) for w, b in parameters]
    z = outputs(network, leaves, x)
    gradients = []
    for i in range(2):
        for a in range(len(x)):
            grads = torch.autograd.grad(z[a, i], [p for pair in leaves for p in pair], retain_graph=True)
            scaled = []
            for layer, (w, b) in enumerate(zip(grads[::2], grads[1::2], strict=True)):
                scaled += [
                    w.flatten() * (network.lambda_W[layer] / w.shape[1]) ** 0.5,
                    b * network.lambda_b[layer] ** 0.5,
                ]
            gradients.append(torch.cat(scaled))
    G = torch.stack(gradients)
    return (G @ G.T).view(2, len(x), 2, len(x)).transpose(1, 2)


def solved(network: Network, passed: Forward, x: Tensor, member: int, layer: int) -> tuple[Tensor, Tensor]:
    """Weights and biases of a layer from its branch at more inputs than unknowns."""

    def branch(index: int) -> Tensor:
        factor = passed.laws[index - 1].factor.expand(MEMBERS, -1, -1)[member]
        if index > len(passed.hidden):
            return factor @ passed.heads[index - 1][member]
        return factor @ passed.hidden[index - 1].noise[member]

    def preactivation(index: int) -> Tensor:
        here = branch(index)
        return here if index == 1 else here + skipped(network, preactivation(index - 1), here.shape[1])

    below = x if layer == 1 else network.activation_of(layer - 1)(preactivation(layer - 1))
    design = torch.cat([below, torch.ones(len(x), 1, dtype=torch.float64)], 1)
    solution = torch.linalg.lstsq(design, branch(layer)).solution.T
    torch.testing.assert_close(design @ solution.T, branch(layer), rtol=1e-7, atol=1e-7)
    scaled = solution / (network.xi_1 if layer > 1 else 1.0)
    return scaled[:, :-1], scaled[:, -1]


@every_kind
@pytest.mark.parametrize("layer", [2, 3, 4])
def test_marginal_backward_pass_is_that_of_the_weights(network: Network, layer: int) -> None:
    target = make_target(6, network)
    passed = forward(target, MEMBERS, generator(0)).upto(layer)
    ntk = backward(passed, 2, generator(1))
    for member in range(MEMBERS):
        parameters = [solved(network, passed, target.x, member, index) for index in range(1, layer + 1)]
        torch.testing.assert_close(ntk[member], ntk_of_gradients(network, parameters, target.x), rtol=1e-5, atol=1e-5)


@every_kind
@pytest.mark.parametrize("N", [1, 2, 5])
def test_weight_backward_pass_is_that_of_its_weights(network: Network, N: int) -> None:
    target = make_target(N, network)
    samples = weight_samples(target, MEMBERS, generator, "normal")
    layers = weight_forward(target, MEMBERS, generator(0), WEIGHT_LAWS["normal"])
    assert samples.ntk is not None
    for member in range(MEMBERS):
        first = layers[0]
        parameters = [(first.weights[member], (first.z[member] - target.x @ first.weights[member].T)[0])]
        for below, one in pairwise(layers):
            weights = one.weights[member]  # times xi_1, as the sampler holds them
            branch = one.z[member] - skipped(network, below.z[member], len(weights))
            bias = (branch - below.sigma[member] @ weights.T)[0]
            parameters.append((weights / network.xi_1, bias / network.xi_1))
        for position, layer in enumerate(target.layers):
            expected = ntk_of_gradients(network, parameters[:layer], target.x)
            torch.testing.assert_close(samples.ntk[member, position], expected)


def test_mean_given_a_forward_pass_that_determines_the_weights() -> None:
    """The quadratic form must then be the NTK itself: delta_jk alpha_ab + u_j beta_ab u_k = H_jk;ab."""
    target = make_target(6)
    passed = forward(target, MEMBERS, generator(0))
    left, right = torch.triu_indices(6, 6)
    for layer, form in enumerate(ntk_forms(passed), start=1):
        quadratic = torch.einsum("mcj,pcdm,mdk->mjkp", passed.heads[layer - 1], form.beta, passed.heads[layer - 1])
        found = quadratic + torch.eye(2, dtype=torch.float64)[:, :, None] * form.alpha.T[:, None, None]
        for member in range(MEMBERS):
            parameters = [solved(NETWORK, passed, target.x, member, index) for index in range(1, layer + 1)]
            expected = ntk_of_gradients(NETWORK, parameters, target.x)[:, :, left, right]
            torch.testing.assert_close(found[member], expected, rtol=1e-5, atol=1e-5)


def test_cross_mean_is_symmetric_under_exchange_of_the_neurons() -> None:
    passed = forward(make_target(3), MEMBERS, generator(0))
    for form, law in zip(ntk_forms(passed), passed.laws, strict=True):
        cross = cross_mean(form, law)
        torch.testing.assert_close(cross, cross.permute(2, 3, 0, 1), rtol=1e-10, atol=1e-13)
