"""A chain of layers as theory sees it, and its kernel and NTK at infinite width, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.practice.pairs import pair_means
from rgflow.task import Task
from rgflow.theory.criticality.susceptibility import chi_parallel, chi_perp

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    """z^(1) = b + W x, z^(l+1) = b + W sigma_l(z^(l)) + skip_(l+1) z^(l).

    Attributes
    ----------
    widths
        (n_0, ..., n_L).
    activations
        sigma_1, ..., sigma_(L-1).
    skips
        One number per layer, 0 in the first.
    biases
        Whether each layer has biases.
    """

    widths: tuple[int, ...]
    activations: tuple[Activation, ...]
    skips: tuple[float, ...]
    biases: tuple[bool, ...]

    @property
    def depth(self) -> int:
        """Number L of layers."""
        return len(self.widths) - 1

    @property
    def is_plain(self) -> bool:
        """Whether there is no skip connection."""
        return not any(self.skips)

    @property
    def inverse_width(self) -> float:
        """Mean of 1/n over the hidden layers."""
        hidden = np.array(self.widths[1:-1], dtype=np.float64)
        return float(np.mean(1.0 / hidden)) if hidden.size else 0.0

    def network(self, point: Point, lambda_b: Iterable[float], lambda_W: Iterable[float]) -> Network:
        """The same as the library's network; it has to be plain."""
        if not self.is_plain:
            raise RgflowError("a chain with skip connections is no plain network")
        activations = self.activations or ("linear",)
        one = activations[0] if len(set(activations)) == 1 else activations
        return Network(one, self.widths, point.C_b, point.C_W, lambda_b, lambda_W)

    def residual_network(self, point: Point) -> Network | None:
        """The first layers up to the last skip connection, if the library's residual theory has them: one width, one skip."""
        last = max(layer for layer, skip in enumerate(self.skips) if skip)
        skips, sizes = set(self.skips[1 : last + 1]), set(self.widths[1 : last + 2])
        if len(skips) > 1 or len(sizes) > 1 or len(set(self.activations[:last])) > 1:
            return None
        C_b, C_W = point.C_b[: last + 1], point.C_W[: last + 1]
        return Network(self.activations[0], self.widths[: last + 2], C_b, C_W, xi_1=1.0, xi_2=skips.pop())


@dataclass(frozen=True)
class Point:
    """Variances of all layers: of b, and of W times n_{l-1}, with the fixed numbers that multiply them."""

    C_b: tuple[float, ...]
    C_W: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Flow:
    """Infinite width, N inputs, at one point.

    Attributes
    ----------
    K
        Kernel, (layer, N, N).
    signal
        <sigma_1 sigma_2> that enters each layer, x_1.x_2/n_0 the first: (layer, N, N).
    steps
        C_W <sigma'_1 sigma'_2> + skip^2 between each layer and the next, (layer - 1, N, N).
    reach
        What the NTK of a layer is multiplied with on its way to the outputs, the product of the steps
        above: (layer, N, N).
    chi_parallel, chi_perp
        Susceptibilities of the step to the next layer at the mean kernel, (layer,); nan in the last.
    error
        Estimated relative error of the pair averages, (layer,).
    """

    K: Array
    signal: Array
    steps: Array
    reach: Array
    chi_parallel: Array
    chi_perp: Array
    error: Array

    @property
    def correlation(self) -> Array:
        """Mean correlation of two different inputs, (layer,); nan for one input."""
        deviation = np.sqrt(np.einsum("laa->la", self.K))
        with np.errstate(divide="ignore", invalid="ignore"):
            rho = self.K / (deviation[:, :, None] * deviation[:, None, :])
        off = ~np.eye(self.K.shape[1], dtype=bool)
        return rho[:, off].mean(axis=1) if off.any() else np.full(len(rho), np.nan)

    def contributions(self, lambda_b: Array, lambda_W: Array) -> Array:
        """(lambda_b + lambda_W <sigma_1 sigma_2>) reach, what each layer's parameters give the NTK of the outputs."""
        return np.asarray((lambda_b[:, None, None] + lambda_W[:, None, None] * self.signal) * self.reach)


def flow(chain: Chain, point: Point, gram: Array) -> Flow:
    """Kernel of every layer, and what the NTK needs.

    Parameters
    ----------
    chain, point
        The layers and their variances.
    gram
        x_1.x_2/n_0, (N, N).

    Raises
    ------
    RgflowError
        A kernel that is not finite, or a pair average that cannot be had, with the layer.
    """
    K, signal, steps = [point.C_b[0] + point.C_W[0] * gram], [gram], []
    susceptibilities, errors = [], [0.0]
    for layer, sigma in enumerate(chain.activations, start=2):
        C_b, C_W, skip = point.C_b[layer - 1], point.C_W[layer - 1], chain.skips[layer - 1] ** 2
        try:
            ss, dd, error = pair_means(sigma, K[-1])
        except RgflowError as reason:
            raise RgflowError(f"layer {layer}: {reason}") from None
        susceptibilities.append(_susceptibilities(sigma, C_W, skip, float(np.mean(K[-1].diagonal()))))
        signal.append(ss)
        steps.append(C_W * dd + skip)
        K.append(C_b + C_W * ss + skip * K[-1])
        errors.append(error)
        if not np.isfinite(K[-1]).all() or K[-1].max() > _LARGEST_KERNEL:
            raise RgflowError(f"layer {layer}: the kernel grows beyond all bounds; C_W = {C_W:.4g} is too large")
    parallel, perp = np.array([*susceptibilities, (np.nan, np.nan)]).T
    return Flow(np.stack(K), np.stack(signal), np.array(steps), _reach(steps, gram), parallel, perp, np.array(errors))


_LARGEST_KERNEL = 1e100


def _susceptibilities(sigma: Activation, C_W: float, skip: float, K: float) -> tuple[float, float]:
    """chi_parallel, chi_perp with the skip connection; at K = 0 beside a kink the limit from above."""
    K = max(K, 1e-290) if sigma.kinks else K
    return skip + float(chi_parallel(sigma, C_W, K)), skip + float(chi_perp(sigma, C_W, K))


def _reach(steps: list[Array], gram: Array) -> Array:
    reach = [np.ones_like(gram)]
    for step in reversed(steps):
        reach.append(step * reach[-1])
    return np.stack(reach[::-1])


def chain_for(task: Task, sigma: Activation, depth: int, width: int) -> Chain:
    """The chain of `depth` Linear layers that learns a task, with biases and hidden layers of one width."""
    ends = task.train_inputs.shape[1], task.train_targets.shape[1]
    widths = (ends[0], *(width,) * (depth - 1), ends[1])
    return Chain(widths, (sigma,) * (depth - 1), (0.0,) * depth, (True,) * depth)
