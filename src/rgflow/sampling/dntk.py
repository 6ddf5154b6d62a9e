"""The differentials of the NTK of sampled networks: contractions of higher derivatives by automatic differentiation.

Parameters enter as theta = theta_0 + sqrt(lambda) phi, so that v = lambda grad z and all contractions of learning.md become
Euclidean in phi: the NTK is <g_1, g_2> with g = d z / d phi at phi = 0. Second and third derivatives along the g are taken
forward over reverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.func import jacrev, jvp, vmap

from rgflow.calls import checked
from rgflow.compute.machine import one_thread
from rgflow.compute.tasks import map_tasks
from rgflow.errors import RgflowError
from rgflow.inputs import Inputs, checked_inputs, input_gram
from rgflow.network import Network
from rgflow.sampling.algebra import normal_rows
from rgflow.sampling.estimators import Array
from rgflow.sampling.groups import group_count
from rgflow.sampling.rng import GROUP, Streams, chunk_members
from rgflow.sampling.spec import DntkSpec
from rgflow.tensors import leg_names

_OUTPUTS = 2  # different neurons of the last layer, enough for every tensor
Map = Callable[[Tensor], Tensor]


class Contractions(NamedTuple):
    """Derivatives of z along v = lambda grad z; M = (output, sample) pairs, outputs first.

    Attributes
    ----------
    z, H
        (M) outputs, and (M, M) their NTK.
    dH
        dH_012 = D^2 z_0 [v_1, v_2], (M, M, M).
    ddI
        ddI_0123 = D^3 z_0 [v_1, v_2, v_3], (M, M, M, M).
    ddII
        ddII_1234 = <D^2 z_1 [., v_3], lambda D^2 z_2 [., v_4]>, (M, M, M, M).
    """

    z: Tensor
    H: Tensor
    dH: Tensor
    ddI: Tensor
    ddII: Tensor


def contractions(outputs: Map, phi: Tensor) -> Contractions:
    """Contractions of a map from parameters phi, with unit learning rates, to M outputs."""
    gradient: Map = jacrev(outputs)
    g = gradient(phi)
    second = vmap(lambda v: _along(gradient, v)(phi))(g)  # (v, output, parameter)
    third = vmap(lambda v: vmap(lambda w: _along(_along(gradient, v), w)(phi))(g))(g)
    return Contractions(
        z=outputs(phi),
        H=g @ g.T,
        dH=torch.einsum("bap,cp->abc", second, g),
        ddI=torch.einsum("bcap,dp->abcd", third, g),
        ddII=torch.einsum("cap,dbp->abcd", second, second),
    )


def _along(function: Map, v: Tensor) -> Map:
    return lambda phi: jvp(function, (phi,), (v,))[1]


@checked
def sample_dntk(
    network: Network,
    inputs: Inputs,
    *,
    members: int,
    seed: int,
    workers: int = 1,
    cluster: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Sample networks with explicit weights and estimate P, Q, R, S, T, U of the last layer (PDLT, chapters 11 and infinity).

    Parameters
    ----------
    network
        A plain network with a smooth activation and at least two outputs.
    inputs
        (sample, feature) array of N inputs.
    members, seed
        See :class:`rgflow.sampling.spec.DntkSpec`; at least 2000 members.
    workers, cluster, progress
        See :func:`rgflow.compute.tasks.map_tasks`, whose tasks are groups of 1000. The result does not depend on them.

    Returns
    -------
    Dataset on ``layer`` (the last alone) and ``sample_1`` .. ``sample_4`` of the tensors in the slots of
    :func:`rgflow.theory.initialization.dntk.dntk_theory`, means of moments and so unbiased, times
    n_{L-1}; each with its standard error ``<name>_stderr`` (jackknife over groups of 1000).

    Raises
    ------
    RgflowError
        A kinked activation, whose derivatives automatic differentiation does not know, a residual network, fewer than two
        outputs, unusable inputs or number of members, or numbers that are not finite.
    """
    _check(network)
    x = checked_inputs(network, inputs)
    input_gram(network, x)
    spec = DntkSpec(members, seed)
    groups = range(group_count(spec.members))
    draw = partial(_group_means, network, x, spec.seed)
    drawn = dict(map_tasks(draw, groups, workers, cluster, progress))
    estimates = _estimates({name: np.stack([drawn[group][name] for group in groups]) for name in _MOMENTS})
    return estimates.expand_dims(layer=[network.depth])


def _check(network: Network) -> None:
    network.require_smooth("the dNTK")
    network.require_plain("the dNTK")
    if network.widths[-1] < _OUTPUTS:
        raise RgflowError(f"the dNTK tensors need {_OUTPUTS} outputs; the network has {network.widths[-1]}")


def _shapes(network: Network) -> list[tuple[int, int]]:
    """(n_l, n_{l-1} + 1) of each layer, biases last; of the last layer two neurons only."""
    rows = (*network.widths[1:-1], _OUTPUTS)
    return [(row, below + 1) for row, below in zip(rows, network.widths, strict=False)]


def _parameters(network: Network) -> int:
    return sum(math.prod(shape) for shape in _shapes(network))


def _scales(network: Network, weight: tuple[float, ...], bias: tuple[float, ...]) -> Tensor:
    """sqrt(weight_l / n_{l-1}) for every weight and sqrt(bias_l) for every bias, flat."""
    parts = []
    for shape, W, b in zip(_shapes(network), weight, bias, strict=True):
        scale = torch.full(shape, math.sqrt(W / (shape[1] - 1)), dtype=torch.float64)
        scale[:, -1] = math.sqrt(b)
        parts.append(scale.flatten())
    return torch.cat(parts)


def _outputs(network: Network, x: Tensor, rates: Tensor, theta: Tensor, phi: Tensor) -> Tensor:
    """The two leading outputs of all inputs, (output, sample) flat, at theta + sqrt(lambda) phi."""
    shapes = _shapes(network)
    layers = torch.split(theta + rates * phi, [math.prod(shape) for shape in shapes])
    z = x.T
    for index, (layer, shape) in enumerate(zip(layers, shapes, strict=True)):
        signal = network.activation_of(index)(z) if index else z
        weights = layer.view(shape)
        z = weights[:, :-1] @ signal + weights[:, -1:]
    return z.flatten()


def _group_means(network: Network, inputs: Array, seed: int, group: int) -> dict[str, Array]:
    """Means over a group of 1000 networks, times n_{L-1}."""
    x = torch.as_tensor(inputs)
    size = chunk_members((_OUTPUTS * len(x)) ** 3 * _parameters(network), "cpu")
    streams = Streams(repr(("dntk", seed, network)), torch.device("cpu"))
    chunks = range(group * (GROUP // size), (group + 1) * (GROUP // size))
    with one_thread():
        means = [_moments(network, x, size, streams.generator(chunk, 0)) for chunk in chunks]
    return {name: np.mean([one[name].numpy() for one in means], axis=0) * network.widths[-2] for name in _MOMENTS}


def _moments(network: Network, x: Tensor, members: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Means over some members of the products behind each tensor, averaged over exchange of the two neurons."""
    widths = _scales(network, network.C_W, network.C_b)
    rates = _scales(network, network.lambda_W, network.lambda_b)
    theta = widths * normal_rows((members, len(widths)), torch.float64, generator)

    def one(theta: Tensor) -> Contractions:
        return contractions(partial(_outputs, network, x, rates, theta), torch.zeros_like(theta))

    drawn = vmap(one)(theta)
    return {name: (moment(drawn, 0, 1) + moment(drawn, 1, 0)) / 2 for name, moment in _MOMENTS.items()}


def _of(tensor: Tensor, *neurons: int) -> Tensor:
    """The part (member, N, N, ...) of a tensor (member, M, M, ...) that belongs to the given neurons."""
    for leg, neuron in enumerate(neurons, start=1):
        N = tensor.shape[leg] // _OUTPUTS
        tensor = tensor.narrow(leg, neuron * N, N)
    return tensor


def _with_z(drawn: Contractions, neurons: tuple[int, int, int], neuron: int) -> Tensor:
    dH, z = _of(drawn.dH, *neurons), _of(drawn.z, neuron)
    return torch.einsum("mabc,md->abcd", dH, z) / len(z)


def _mean(tensor: Tensor, *neurons: int) -> Tensor:
    return _of(tensor, *neurons).mean(0)


# with i, j different neurons, in the slots of theory
_MOMENTS: dict[str, Callable[[Contractions, int, int], Tensor]] = {
    "P": lambda drawn, i, j: _with_z(drawn, (i, j, j), i),
    "Q": lambda drawn, i, j: _with_z(drawn, (i, i, j), j),
    "R": lambda drawn, i, j: _mean(drawn.ddI, i, i, j, j),
    "S": lambda drawn, i, j: _mean(drawn.ddII, i, i, j, j),
    "T": lambda drawn, i, j: _mean(drawn.ddII, i, j, i, j).permute(0, 2, 1, 3),
    "U": lambda drawn, i, j: _mean(drawn.ddII, i, j, j, i).permute(0, 3, 1, 2),
}


def _estimates(groups: dict[str, Array]) -> xr.Dataset:
    variables: dict[str, Any] = {}
    for name, values in groups.items():
        if not np.isfinite(values).all():
            raise RgflowError(f"{name} is not finite in the sampled ensemble")
        variables[name] = (leg_names(4), values.mean(0))
        variables[f"{name}_stderr"] = (leg_names(4), values.std(0, ddof=1) / math.sqrt(len(values)))
    return xr.Dataset({**variables, "degrees_of_freedom": len(values) - 1.0})
