"""Ensembles at initialization, drawn in blocks of groups."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from rgflow.calls import checked
from rgflow.compute.machine import find_device, one_thread
from rgflow.compute.tasks import map_tasks
from rgflow.errors import RgflowError
from rgflow.inputs import Inputs
from rgflow.network import Network
from rgflow.sampling.chunks import checked_chunk_size, chunk_sampler, make_target
from rgflow.sampling.estimators import Array, sample_means
from rgflow.sampling.groups import combine, estimate_tensors, group_count
from rgflow.sampling.precision import with_precision
from rgflow.sampling.rng import GROUP
from rgflow.sampling.samples import Samples
from rgflow.sampling.spec import Dtype, Law, Sampler, SamplingSpec
from rgflow.sampling.target import Target
from rgflow.tensors import leg_names

Progress = Callable[[int, int], None]
_GROUPS_PER_TASK = 5  # of a worker: small enough to share the work evenly and to show progress


@checked
def sample_initialization(
    network: Network,
    inputs: Inputs,
    *,
    members: int,
    seed: int,
    tensors: Sequence[str] = ("K", "V", "Theta"),
    layers: Sequence[int] | None = None,
    sampler: Sampler = "marginal",
    law: Law = "normal",
    dtype: Dtype = "auto",
    kept: int = 0,
    device: str = "auto",
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Sample an ensemble of networks at initialization and estimate the tensors of the theory, with errors.

    PDLT, chapters 4 and 8.

    Parameters
    ----------
    network
        The network, at its actual widths.
    inputs
        (sample, feature) array of N inputs. Repeated or parallel inputs are fine.
    members
        Networks to draw, a multiple of 1000 and at least 2000.
    seed, tensors, layers, sampler, law, dtype, kept
        See :class:`rgflow.sampling.spec.SamplingSpec`.
    device
        "auto", "cpu" or "cuda". Draws differ between the two.
    workers, cluster
        See :func:`rgflow.compute.tasks.map_tasks`. The result does not depend on them.
    progress
        Called with (done, total) as the work proceeds.

    Returns
    -------
    Dataset on ``layer`` and ``sample_1`` .. ``sample_4`` of the estimates ``K`` = E[z z] and ``Theta`` = E[H_ii] at these
    widths, and of the connected tensors ``V``, ``D``, ``F``, ``A``, ``B``, unbiased, times n_{l-1}, and ``V6`` = n_{l-1}^2
    times the connected six-point correlator of a single input, the coefficient of its 15 pairings, and ``T3`` = n times the
    three-point correlator E[z_i;1 z_j;2 z_j;3] of different neurons of a residual network; each with its standard
    error ``<name>_stderr`` (jackknife over groups of 1000) and, for fits over depth, the covariance between layers of its
    components of a single input, ``<name>_covariance`` (sample_1, layer, layer_2). Errors are NaN where networks too rare for
    so many members carry the mean; attribute ``warnings`` names these layers. Layer 1 is exact. Members kept one by one
    are in ``preactivation`` and, where it was drawn of the same neurons, ``ntk``. Attribute ``ensemble`` has all settings, the
    precision that was chosen among them.

    Raises
    ------
    RgflowError
        A parameter that is not allowed, memory that does not suffice, or numbers that are not finite.
    """
    ensemble = SamplingSpec(seed, tuple(tensors), sampler, law, None if layers is None else tuple(layers), dtype, kept)
    groups = range(group_count(members))
    return estimate_tensors(
        sample_block(
            network, inputs, groups, ensemble, device=device, workers=workers, cluster=cluster, progress=progress
        )
    )


def sample_block(
    network: Network,
    inputs: Inputs,
    groups: range,
    ensemble: SamplingSpec,
    *,
    device: str = "auto",
    workers: int = 1,
    cluster: str | None = None,
    memory: float | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Draw a block, some groups of an ensemble, on any number of workers.

    Parameters
    ----------
    groups
        Labels of the groups; group g holds the members 1000 g .. 1000 g + 999.
    memory
        Bytes that each worker may use; None: all of its machine.
    network, inputs, ensemble, device, workers, cluster, progress
        As for :func:`sample_initialization`.

    Returns
    -------
    The dataset of :func:`sample_groups`.
    """
    ensemble = with_precision(ensemble, network, inputs)
    tasks = [groups[start : start + _GROUPS_PER_TASK] for start in range(0, len(groups), _GROUPS_PER_TASK)]
    sample = partial(sample_groups, network, inputs, ensemble=ensemble, device=device, memory=memory)
    return combine(block for _, block in map_tasks(sample, tasks, workers, cluster, progress))


def sample_groups(
    network: Network,
    inputs: Inputs,
    groups: range,
    ensemble: SamplingSpec,
    device: str = "auto",
    memory: float | None = None,
) -> xr.Dataset:
    """Draw some groups of an ensemble in this process.

    Parameters
    ----------
    network, inputs, groups, ensemble, device, memory
        As for :func:`sample_block`.

    Returns
    -------
    Dataset of group means (group, layer, sample_1, ...), see :data:`rgflow.sampling.estimators.MEANS`, and of the
    members kept one by one. Attributes tell the ensemble.

    Raises
    ------
    RgflowError
        As :func:`sample_initialization`.
    """
    where, ensemble = find_device(device), with_precision(ensemble, network, inputs)
    target = make_target(network, inputs, ensemble, where)
    size = checked_chunk_size(target, ensemble, memory)
    draw = chunk_sampler(target, ensemble)
    drawn = []
    with one_thread(), torch.no_grad():
        for group in groups:
            drawn.append(_draw_group(group, size, draw, target, ensemble.kept))
            _require_finite(drawn[-1][0], target.layers)
    means = {name: np.stack([means[name] for means, _ in drawn]) for name in drawn[0][0]}
    kept = {name: np.concatenate([kept[name] for _, kept in drawn]) for name in drawn[0][1]}
    return _labelled(means, kept, groups, target.layers).assign_attrs(_identity(target, ensemble, where))


def _draw_group(
    group: int, size: int, draw: Callable[[int, int], Samples], target: Target, kept: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Means over a group, and its members kept one by one."""
    chunks = GROUP // size
    keep = min(max(kept - group * GROUP, 0), GROUP)
    total: dict[str, Array] = {}
    ones: dict[str, list[Array]] = {}
    for part in range(chunks):
        samples = draw(group * chunks + part, size)
        for name, mean in sample_means(samples, target.estimators.values()).items():
            total[name] = total.get(name, 0.0) + mean / chunks
        for name, values in _members(samples).items():
            ones.setdefault(name, []).append(values[: max(keep - part * size, 0)])
    return total, {name: np.concatenate(values) for name, values in ones.items()}


def _members(samples: Samples) -> dict[str, Array]:
    """Preactivations, and the NTK if it was drawn of the same neurons."""
    drawn = {"preactivation": samples.preactivation}
    if samples.ntk is not None and samples.ntk.shape[2] == samples.preactivation.shape[2]:
        drawn["ntk"] = samples.ntk
    return {name: values.cpu().numpy() for name, values in drawn.items()}


def _require_finite(means: dict[str, Array], layers: tuple[int, ...]) -> None:
    for name, values in means.items():
        finite = np.isfinite(values).reshape(len(layers), -1).all(1)
        if not finite.all():
            raise RgflowError(f"{name} is not finite at layer {layers[int(np.argmin(finite))]} of the sampled ensemble")


def _labelled(means: dict[str, Array], kept: dict[str, Array], groups: range, layers: tuple[int, ...]) -> xr.Dataset:
    pair_dims = ("output_1", "output_2", "sample_1", "sample_2")
    dims = {"preactivation": ("output_1", "sample_1"), "ntk": pair_dims}
    variables: dict[str, Any] = {
        name: (("group", "layer", *leg_names(values.ndim - 2)), values) for name, values in means.items()
    }
    first = groups.start * GROUP
    count = len(kept["preactivation"])
    if count:
        variables |= {name: (("member", "layer", *dims[name]), values) for name, values in kept.items()}
    coords = {"group": np.array(groups), "layer": np.array(layers)} | (
        {"member": np.arange(first, first + count)} if count else {}
    )
    return xr.Dataset(variables, coords)


def _identity(target: Target, ensemble: SamplingSpec, device: torch.device) -> dict[str, str]:
    """Attributes that blocks of one ensemble share."""
    network = target.network
    described = {
        "activation": network.activation.label,
        "widths": network.widths,
        **{name: getattr(network, name) for name in ("C_b", "C_W", "lambda_b", "lambda_W")},
        **network.architecture.strengths,
    }
    return {
        "network": json.dumps(described, sort_keys=True),
        "inputs": hashlib.blake2b(target.x.cpu().numpy().tobytes(), digest_size=16).hexdigest(),
        "ensemble": ensemble.to_json(),
        "device": device.type,
    }
