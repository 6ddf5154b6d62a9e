"""Updates with the learning-rate tensor: eta lambda_b for biases, eta lambda_W / n_{l-1} for weights."""

from __future__ import annotations

from typing import Protocol

import torch

from rgflow.network import Network
from rgflow.training.mlp import Parameters, add_gradients_
from rgflow.training.spec import TrainingSpec


class Optimizer(Protocol):
    """Changes the parameters of one layer in place, given its cotangents and the signals that enter it."""

    def update(self, layer: int, cotangent: torch.Tensor, signal: torch.Tensor) -> None:
        """Update layer l in 1..L from Delta^(l), shape (member, sample, n_l), and the signals below it."""


class GradientDescent:
    """theta <- theta - eta lambda dL/dtheta, exactly, with the gradient fused into the update."""

    def __init__(self, network: Network, parameters: Parameters, learning_rate: float) -> None:
        self.layers = list(zip(parameters.weights, parameters.biases, strict=True))
        self.scales = [(-weight, -bias) for weight, bias in learning_rates(network, learning_rate)]

    def update(self, layer: int, cotangent: torch.Tensor, signal: torch.Tensor) -> None:
        """Take one step of layer ``layer``."""
        add_gradients_(self.layers[layer - 1], cotangent, signal, self.scales[layer - 1])


class HeavyBall:
    """Gradient descent with momentum mu: v <- mu v - eta lambda dL/dtheta, theta <- theta + v, from v = 0."""

    def __init__(self, network: Network, parameters: Parameters, learning_rate: float, momentum: float) -> None:
        self.parameters, self.velocities = parameters, _zeros(parameters)
        self.rates, self.momentum = learning_rates(network, learning_rate), momentum

    def update(self, layer: int, cotangent: torch.Tensor, signal: torch.Tensor) -> None:
        """Take one step of layer ``layer``."""
        weight_rate, bias_rate = self.rates[layer - 1]
        velocities = _of_layer(self.velocities, layer)
        add_gradients_(velocities, cotangent, signal, (-weight_rate, -bias_rate), self.momentum)
        for parameter, velocity in zip(_of_layer(self.parameters, layer), velocities, strict=True):
            parameter.add_(velocity)


class Adam:
    """Adam (Kingma and Ba) with decay rates 0.9, 0.999; its normalized step is scaled by the learning-rate tensor."""

    decay_mean, decay_square, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, network: Network, parameters: Parameters, learning_rate: float) -> None:
        self.parameters, self.rates = parameters, learning_rates(network, learning_rate)
        self.gradients, self.means, self.squares = (_zeros(parameters) for _ in range(3))
        self.counts = [0] * network.depth

    def update(self, layer: int, cotangent: torch.Tensor, signal: torch.Tensor) -> None:
        """Take one step of layer ``layer``."""
        self.counts[layer - 1] += 1
        add_gradients_(_of_layer(self.gradients, layer), cotangent, signal, (1.0, 1.0), decay=0.0)
        moments = zip(*(_of_layer(kind, layer) for kind in (self.gradients, self.means, self.squares)), strict=True)
        groups = zip(_of_layer(self.parameters, layer), moments, self.rates[layer - 1], strict=True)
        for parameter, (gradient, mean, square), rate in groups:
            mean.lerp_(gradient, 1 - self.decay_mean)
            square.mul_(self.decay_square).addcmul_(gradient, gradient, value=1 - self.decay_square)
            self._step(parameter, mean, square, rate, self.counts[layer - 1])

    def _step(self, parameter: torch.Tensor, mean: torch.Tensor, square: torch.Tensor, rate: float, count: int) -> None:
        """Move by the mean over the root of the square, both without their bias from the start at zero."""
        mean_bias, square_bias = 1 - self.decay_mean**count, 1 - self.decay_square**count
        scale = square.div(square_bias).sqrt_().add_(self.epsilon)
        parameter.addcdiv_(mean, scale, value=-rate / mean_bias)


def learning_rates(network: Network, learning_rate: float) -> list[tuple[float, float]]:
    """Return (eta lambda_W / n_{l-1}, eta lambda_b) of layers 1..L."""
    layers = zip(network.lambda_W, network.widths, network.lambda_b, strict=False)
    return [(learning_rate * lambda_W / n_in, learning_rate * lambda_b) for lambda_W, n_in, lambda_b in layers]


def _of_layer(parameters: Parameters, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    return parameters.weights[layer - 1], parameters.biases[layer - 1]


def _zeros(parameters: Parameters) -> Parameters:
    return Parameters(
        *([torch.zeros_like(values) for values in kind] for kind in (parameters.weights, parameters.biases))
    )


def make_optimizer(spec: TrainingSpec, network: Network, parameters: Parameters) -> Optimizer:
    """Return the optimizer of a spec, holding on to the parameters that it changes."""
    if spec.optimizer == "adam":
        return Adam(network, parameters, spec.rate)
    if spec.momentum:
        return HeavyBall(network, parameters, spec.rate, spec.momentum)
    return GradientDescent(network, parameters, spec.rate)
