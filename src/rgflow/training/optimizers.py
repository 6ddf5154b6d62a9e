"""Updates with the learning-rate tensor: eta lambda_b for biases, eta lambda_W / n_{l-1} for weights."""

from __future__ import annotations

from typing import Protocol

import torch

from rgflow.network import Network
from rgflow.training.mlp import Parameters, add_gradient_
from rgflow.training.spec import TrainingSpec


class Optimizer(Protocol):
    """Changes the parameters of one layer in place, given its cotangents and the signals that enter it."""

    def update(self, layer: int, cotangent: torch.Tensor, signal: torch.Tensor) -> None:
        """Update layer l in 1..L from Delta^(l), shape (member, n_l, sample), and the signals below it."""


class GradientDescent:
    """theta <- theta - eta lambda dL/dtheta, exactly, with the gradient fused into the update."""

    def __init__(self, network: Network, parameters: Parameters, learning_rate: float) -> None:
        self.parameters = parameters
        self.bias_rates, self.weight_rates = learning_rates(network, learning_rate)

    def update(self, layer: int, cotangent: torch.Tensor, signal: torch.Tensor) -> None:
        """Take one step of layer ``layer``."""
        at = layer - 1
        if self.bias_rates[at] != 0.0:
            self.parameters.biases[at].sub_(cotangent.sum(dim=-1, keepdim=True), alpha=self.bias_rates[at])
        if self.weight_rates[at] != 0.0:
            add_gradient_(self.parameters.weights[at], cotangent, signal, -self.weight_rates[at])


class HeavyBall:
    """Gradient descent with momentum mu: v <- mu v - eta lambda dL/dtheta, theta <- theta + v, from v = 0."""

    def __init__(self, network: Network, parameters: Parameters, learning_rate: float, momentum: float) -> None:
        self.parameters, self.momentum = parameters, momentum
        self.bias_rates, self.weight_rates = learning_rates(network, learning_rate)
        self.bias_velocities = [torch.zeros_like(bias) for bias in parameters.biases]
        self.weight_velocities = [torch.zeros_like(weight) for weight in parameters.weights]

    def update(self, layer: int, cotangent: torch.Tensor, signal: torch.Tensor) -> None:
        """Take one step of layer ``layer``."""
        at = layer - 1
        bias, weight = self.bias_velocities[at].mul_(self.momentum), self.weight_velocities[at].mul_(self.momentum)
        bias.sub_(cotangent.sum(dim=-1, keepdim=True), alpha=self.bias_rates[at])
        add_gradient_(weight, cotangent, signal, -self.weight_rates[at])
        self.parameters.biases[at].add_(bias)
        self.parameters.weights[at].add_(weight)


class Adam:
    """Adam (Kingma and Ba) with decay rates 0.9, 0.999; its normalized step is scaled by the learning-rate tensor."""

    decay_mean, decay_square, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, network: Network, parameters: Parameters, learning_rate: float) -> None:
        self.parameters = parameters
        self.bias_rates, self.weight_rates = learning_rates(network, learning_rate)
        groups = [*parameters.biases, *parameters.weights]
        self.means = [torch.zeros_like(group) for group in groups]
        self.squares = [torch.zeros_like(group) for group in groups]
        self.counts = [0] * len(groups)

    def update(self, layer: int, cotangent: torch.Tensor, signal: torch.Tensor) -> None:
        """Take one step of layer ``layer``."""
        at, depth = layer - 1, len(self.parameters.weights)
        bias, weight = self.parameters.biases[at], self.parameters.weights[at]
        self._step(at, bias, cotangent.sum(dim=-1, keepdim=True), self.bias_rates[at])
        gradient = torch.zeros_like(weight)
        add_gradient_(gradient, cotangent, signal, 1.0)
        self._step(depth + at, weight, gradient, self.weight_rates[at])

    def _step(self, group: int, parameter: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        self.counts[group] += 1
        mean = self.means[group].lerp_(gradient, 1 - self.decay_mean)
        square = self.squares[group].mul_(self.decay_square).addcmul_(gradient, gradient, value=1 - self.decay_square)
        mean_bias = 1 - self.decay_mean ** self.counts[group]
        square_bias = 1 - self.decay_square ** self.counts[group]
        scale = square.div(square_bias).sqrt_().add_(self.epsilon)
        parameter.addcdiv_(mean, scale, value=-rate / mean_bias)


def learning_rates(network: Network, learning_rate: float) -> tuple[list[float], list[float]]:
    """Return (eta lambda_b, eta lambda_W / n_{l-1}) of layers 1..L."""
    biases = [learning_rate * rate for rate in network.lambda_b]
    weights = [learning_rate * rate / n_in for rate, n_in in zip(network.lambda_W, network.widths, strict=False)]
    return biases, weights


def make_optimizer(spec: TrainingSpec, network: Network, parameters: Parameters) -> Optimizer:
    """Return the optimizer of a spec, holding on to the parameters that it changes."""
    if spec.optimizer == "adam":
        return Adam(network, parameters, spec.rate)
    if spec.momentum:
        return HeavyBall(network, parameters, spec.rate, spec.momentum)
    return GradientDescent(network, parameters, spec.rate)
