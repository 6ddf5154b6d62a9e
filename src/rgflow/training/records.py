"""What is recorded of a chunk in training: sums over members of all that the statistics of the ensemble need.

Sums are over *units*: groups of members, or chunks where a group has several. They are float64 and small, whatever the size
of the ensemble; the outputs of single members are kept of the first few only.

Plain sums need no theory. With control variates each member is compared with its own frozen evolution
(:mod:`rgflow.training.frozen`): with c = z - m, c0 = J z(0) and its first-order answer z1, the residuals c - c0 - z1 and
c c' - c0 c0' - c0 z1' - z1 c0' are summed, and apart from them the linear pieces z1 and c0 z1' + z1 c0', whose means may
be known.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rgflow.network import Network
from rgflow.task import Task
from rgflow.training.frozen import Frozen
from rgflow.training.losses import loss_value
from rgflow.training.mlp import Parameters
from rgflow.training.ntk import empirical_ntk, hidden_metrics
from rgflow.training.spec import TrainingSpec

Array = NDArray[np.float64]

STEPPED = {  # name of a mean over members: dims behind ``group``
    "mean_prediction": ("step", "sample", "output"),
    "mean_product": ("step", "sample_1", "sample_2"),
    "mean_train_loss": ("step",),
    "mean_test_loss": ("step",),
    "residual_mean": ("step", "sample", "output"),
    "linear_mean": ("step", "sample", "output"),
    "residual_product": ("step", "output_1", "output_2", "sample_1", "sample_2"),
    "linear_product": ("step", "output_1", "output_2", "sample_1", "sample_2"),
    "mean_NTK": ("ntk_step", "ntk_sample_1", "ntk_sample_2"),
    "residual_NTK": ("ntk_step", "output_1", "output_2", "ntk_sample_1", "ntk_sample_2"),
    "mean_metric": ("kernel_step", "layer", "sample_1", "sample_2"),
    "mean_metric_change": ("kernel_step", "layer", "sample_1", "sample_2"),
}
STARTING = {  # the same at initialization
    "start_product": ("sample_1", "sample_2"),
    "start_NTK": ("ntk_sample_1", "ntk_sample_2"),
}


@dataclass(frozen=True)
class ChunkRecord:
    """Outputs (member, step, sample, output) of single members, and sums over the members of each unit (unit, ...)."""

    predictions: NDArray[np.floating]
    sums: dict[str, Array]


class Recorder:
    """Records of one chunk, step after step from 0.

    Parameters
    ----------
    network, task, spec
        What is trained, on what, and how.
    frozen
        The infinitely wide networks, with control variates only.
    unit
        Members summed over, a divisor of those of the chunk.
    """

    def __init__(self, network: Network, task: Task, spec: TrainingSpec, frozen: Frozen | None, unit: int) -> None:
        self.network, self.task, self.spec, self.frozen, self.unit = network, task, spec, frozen, unit
        self.predictions: list[NDArray[np.floating]] = []
        self.stepped: dict[str, list[Array]] = defaultdict(list)
        self.starting: dict[str, Array] = {}

    def start(self, parameters: Parameters, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        """Take what later records are compared with: kernels and, with control variates, z(0) and H(0)."""
        if self.spec.recorded_kernels:
            self.kernels_start = _numbers(hidden_metrics(self.network, parameters, inputs))
        if self.frozen is not None:
            H, samples = _numbers(empirical_ntk(self.network, parameters, inputs)), self.spec.ntk_samples
            self.z_start = _numbers(outputs.mT)
            self.H_start = H.copy() if samples is None else H[..., samples, :][..., samples]
            self.starting["start_NTK"] = self._sum(_mean_component(self.H_start))
            self.starting["start_product"] = self._products_of_component(self.z_start, self.z_start)
            diagonal = np.arange(self.network.widths[-1])
            H[:, diagonal, diagonal] -= self.frozen.Theta
            self.sources = self.frozen.sources(H, self.z_start)

    def outputs(self, step: int, outputs: torch.Tensor) -> None:
        """Record z(t), shape (member, sample, n_L)."""
        self.predictions.append(np.asarray(outputs.cpu().numpy()))
        z = _numbers(outputs.mT)
        self._add("mean_prediction", z.swapaxes(1, 2))
        self.stepped["mean_product"].append(self._products_of_component(z, z))
        train, test = np.split(z.swapaxes(1, 2), [self.task.train_count], axis=1)
        self._add("mean_train_loss", loss_value(self.spec.loss, train, self.task.train_targets))
        if self.task.test_targets is not None:
            self._add("mean_test_loss", loss_value(self.spec.loss, test, self.task.test_targets))
        if self.frozen is not None:
            self._residuals(self.frozen, step, z)

    def ntk(self, parameters: Parameters, inputs: torch.Tensor) -> None:
        """Record H(t) between inputs (sample, n_0)."""
        H = _numbers(empirical_ntk(self.network, parameters, inputs))
        self._add("mean_NTK", _mean_component(H))
        if self.frozen is not None:
            self._add("residual_NTK", H - self.H_start)

    def kernels(self, parameters: Parameters, inputs: torch.Tensor) -> None:
        """Record the kernels that hidden layers make, between inputs (sample, n_0)."""
        kernels = _numbers(hidden_metrics(self.network, parameters, inputs))
        self._add("mean_metric", kernels)
        self._add("mean_metric_change", kernels - self.kernels_start)

    def result(self) -> ChunkRecord:
        """All records, steps along the axis behind units."""
        steps = {name: np.stack(values, axis=1) for name, values in self.stepped.items()}
        return ChunkRecord(np.stack(self.predictions, axis=1), {**steps, **self.starting})

    def _residuals(self, frozen: Frozen, step: int, z: Array) -> None:
        c = z - frozen.mean(step).T
        c_0, z_1 = self.z_start @ frozen.propagator(step).T, frozen.first_order(self.sources, step)
        self._add("residual_mean", (c - c_0 - z_1).swapaxes(1, 2))
        self._add("linear_mean", z_1.swapaxes(1, 2))
        linear = self._products(c_0, z_1)
        linear = linear + linear.transpose(0, 2, 1, 4, 3)
        self.stepped["linear_product"].append(linear)
        self.stepped["residual_product"].append(self._products(c, c) - self._products(c_0, c_0) - linear)

    def _add(self, name: str, values: Array) -> None:
        self.stepped[name].append(self._sum(values))

    def _sum(self, values: Array) -> Array:
        return np.asarray(values.reshape(-1, self.unit, *values.shape[1:]).sum(axis=1))

    def _products_of_component(self, left: Array, right: Array) -> Array:
        """Sum over members, mean over components i, of x_{i;a} y_{i;b}: (unit, sample, sample)."""
        x, y = (values.reshape(-1, self.unit * values.shape[1], values.shape[2]) for values in (left, right))
        return np.asarray(x.swapaxes(1, 2) @ y / left.shape[1])

    def _products(self, left: Array, right: Array) -> Array:
        """Sum over members of x_{i;a} y_{j;b}: (unit, output, output, sample, sample)."""
        _, components, samples = left.shape
        x, y = (values.reshape(-1, self.unit, components * samples) for values in (left, right))
        products = (x.swapaxes(1, 2) @ y).reshape(-1, components, samples, components, samples)
        return np.asarray(products.swapaxes(2, 3))


def _numbers(values: torch.Tensor) -> Array:
    """A float64 array of its own."""
    return np.array(values.cpu().numpy(), dtype=np.float64)


def _mean_component(H: Array) -> Array:
    """Mean over i of H_ii."""
    return np.asarray(np.einsum("miiab->mab", H) / H.shape[1])
