"""The posterior of a network on data as a function of the whitened variables: log w(u) and its gradient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rgflow.activations.activation import Activation
from rgflow.network import Network
from rgflow.posterior.draws import Draws
from rgflow.posterior.factors import Features, smaller_factor
from rgflow.posterior.layers import Layers, Rows, hidden_layers
from rgflow.posterior.likelihood import FeatureLikelihood, KernelLikelihood, Likelihood
from rgflow.posterior.spec import Inference
from rgflow.task import Task

SLICE_NUMBERS = 2**17  # per array: what stays in a core's cache from one operation to the next


@dataclass(frozen=True, eq=False)
class Problem:
    """A network, the data it is conditioned on, and how.

    Attributes
    ----------
    network, task, inference
        Checked against each other.
    device
        Where particles live.
    """

    network: Network
    task: Task
    inference: Inference
    device: torch.device

    @cached_property
    def train(self) -> Layers:
        """The hidden layers on the train samples, all that w depends on."""
        return self._layers(self.task.train_count)

    @cached_property
    def all(self) -> Layers:
        """The hidden layers on train and test samples."""
        return self._layers(len(self.task.inputs))

    def _layers(self, samples: int) -> Layers:
        inputs = torch.as_tensor(self.task.inputs[:samples], device=self.device)
        return hidden_layers(self.network, inputs, self.task.train_count, self.inference.torch_dtype())

    @cached_property
    def targets(self) -> Tensor:
        """y (N_A, n_L)."""
        return torch.as_tensor(self.task.train_targets, device=self.device)

    @cached_property
    def likelihood(self) -> Likelihood:
        """log w given the last hidden layer."""
        C_b, C_W, *_ = self.network.hyperparameters(self.network.depth)
        factor = smaller_factor(C_b, C_W, self.network.widths[-2], self.task.train_count)
        kind = FeatureLikelihood if isinstance(factor, Features) else KernelLikelihood
        return kind(factor, self.inference.noise, self.targets)  # type: ignore[arg-type]  # each its own factor

    @cached_property
    def differentiable(self) -> bool:
        """Whether gradients tell something."""
        return all(has_gradient(activation) for activation in self.network.activations)

    def log_weight(self, u: Rows) -> Tensor:
        """log w (members,)."""
        return torch.cat([self.likelihood(self.train.last(part)) for part in self.slices(u)])

    def with_gradient(self, u: Rows) -> tuple[Tensor, Rows]:
        """log w (members,) and its gradient; a gradient that is not finite is zero, which keeps a move exact."""
        weights, gradients = zip(*map(self._slice_with_gradient, self.slices(u)), strict=True)
        return torch.cat(weights), [_finite(torch.cat(layer)) for layer in zip(*gradients, strict=True)]

    def _slice_with_gradient(self, u: Rows) -> tuple[Tensor, Rows]:
        passed = self.train.forward(u)
        log_weight, cotangent = self.likelihood.with_cotangent(passed[-1].sigma)
        return log_weight, self.train.reverse(u, passed, cotangent)

    def slices(self, u: Rows) -> Iterator[Rows]:
        """Some particles at a time of those whose train rows are computed."""
        return self.parts(u, train_numbers(self.network, self.task.train_count))

    def parts(self, arrays: Rows, numbers: int) -> Iterator[Rows]:
        """Arrays (particles, ...) some particles at a time; how many is a property of the format, not of the machine.

        Parameters
        ----------
        arrays
            To be cut.
        numbers
            Numbers per particle in the largest array that is computed from them.
        """
        count = len(arrays[0])
        size = count if self.device.type != "cpu" else slice_members(numbers)
        for start in range(0, count, size):
            yield [array[start : start + size] for array in arrays]

    @property
    def draws(self) -> Draws:
        """The random numbers; those of different noise or targets are the same, so that comparisons gain."""
        law = (self.network.activation.draws_key, self.network.widths, self.network.C_b, self.network.C_W)
        return Draws(repr((self.inference.seed, *law, self.task.train_count)), self.device)

    def identity(self) -> dict[str, str]:
        """Attributes that all islands share."""
        network, task = self.network, self.task
        described = {
            "activation": network.activation.label,
            "widths": network.widths,
            **{name: getattr(network, name) for name in ("C_b", "C_W")},
        }
        data = hashlib.blake2b(digest_size=16)
        for part in (task.train_inputs, task.train_targets, task.test_inputs):
            data.update(repr(part.shape).encode() + part.tobytes())
        return {
            "network": json.dumps(described, sort_keys=True),
            "data": data.hexdigest(),
            "inference": self.inference.to_json(),
            "device": self.device.type,
            "move": "rotation" if self.differentiable else "crank_nicolson",
        }


def slice_members(numbers: int) -> int:
    """Particles that are computed together on the CPU, given the numbers of each in the largest array."""
    return max(1, SLICE_NUMBERS // numbers)


def train_numbers(network: Network, samples: int) -> int:
    """Numbers of the largest layer."""
    return samples * max(network.widths[1:-1])


def kernel_numbers(network: Network, samples: int) -> int:
    """The same, or of the kernel if that is larger."""
    return max(train_numbers(network, samples), samples**2)


def has_gradient(activation: Activation) -> bool:
    """Whether sigma' tells where to go: that of a staircase is zero, whatever torch can differentiate."""
    probe = torch.linspace(-2.0, 2.0, 41, dtype=torch.float64)
    slope = activation.value_and_derivative(probe)[1]
    return bool((slope != 0.0).any())


def _finite(gradient: Tensor) -> Tensor:
    if bool(torch.isfinite(gradient.sum())):
        return gradient
    return torch.nan_to_num_(gradient, nan=0.0, posinf=0.0, neginf=0.0)
