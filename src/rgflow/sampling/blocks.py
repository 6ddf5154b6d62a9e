"""Ensembles at initialization, in blocks of groups that merge in any order to the same bits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from rgflow.compute import find_device, map_tasks, one_thread
from rgflow.errors import RgflowError
from rgflow.inputs import Inputs
from rgflow.network import Network
from rgflow.sampling import estimators
from rgflow.sampling.chunks import checked_chunk_size, chunk_sampler, make_target
from rgflow.sampling.estimators import Array
from rgflow.sampling.rng import GROUP
from rgflow.sampling.samples import Samples, Target
from rgflow.sampling.spec import Ensemble

Progress = Callable[[int, int], None]
_GROUPS_PER_TASK = 5  # of a worker: small enough to share the work evenly and to show progress


def sample_initialization(
    network: Network,
    inputs: Inputs,
    *,
    members: int,
    seed: int,
    tensors: Sequence[str] = ("K", "V", "Theta"),
    layers: Sequence[int] | None = None,
    sampler: str = "marginal",
    law: str = "normal",
    dtype: str = "float32",
    kept: int = 0,
    device: str = "auto",
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Sample an ensemble of networks at initialization and estimate the tensors of the theory, with errors.

    Parameters
    ----------
    network
        The network, at its actual widths.
    inputs
        (sample, feature) array of N inputs. Repeated or parallel inputs are fine.
    members
        Networks to draw, a multiple of 1000 and at least 2000.
    seed, tensors, layers, sampler, law, dtype, kept
        See :class:`rgflow.sampling.spec.Ensemble`.
    device
        "auto", "cpu" or "cuda". Draws differ between the two.
    workers, cluster
        See :func:`rgflow.compute.map_tasks`. The result does not depend on them.
    progress
        Called with (done, total) as the work proceeds.

    Returns
    -------
    Dataset on ``layer`` and ``sample_1`` .. ``sample_4`` of the estimates ``K`` = E[z z] and ``Theta`` = E[H_ii] at these
    widths, and of the connected tensors ``V``, ``D``, ``F``, ``A``, ``B``, unbiased, times n_{l-1}; each with its standard
    error ``<name>_stderr`` (jackknife over groups of 1000). Layer 1 is exact. Members kept one by one are in
    ``preactivation`` and, where it was drawn, ``ntk``.

    Raises
    ------
    RgflowError
        A parameter that is not allowed, memory that does not suffice, or numbers that are not finite.
    """
    ensemble = Ensemble(seed, tuple(tensors), sampler, law, None if layers is None else tuple(layers), dtype, kept)
    groups = range(group_count(members))
    return estimate(
        sample_block(
            network, inputs, groups, ensemble, device=device, workers=workers, cluster=cluster, progress=progress
        )
    )


def sample_block(
    network: Network,
    inputs: Inputs,
    groups: range,
    ensemble: Ensemble,
    *,
    device: str = "auto",
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Draw a block, some groups of an ensemble, on any number of workers.

    Parameters
    ----------
    groups
        Labels of the groups; group g holds the members 1000 g .. 1000 g + 999.
    network, inputs, ensemble, device, workers, cluster, progress
        As for :func:`sample_initialization`.

    Returns
    -------
    The dataset of :func:`sample_groups`.
    """
    tasks = [groups[start : start + _GROUPS_PER_TASK] for start in range(0, len(groups), _GROUPS_PER_TASK)]
    sample = partial(sample_groups, network, inputs, ensemble=ensemble, device=device)
    return combine(block for _, block in map_tasks(sample, tasks, workers, cluster, progress))


def group_count(members: int) -> int:
    """Number of groups of 1000 in an ensemble.

    Raises
    ------
    RgflowError
        Unless ``members`` is a multiple of 1000 and at least 2000, without which there are no error bars.
    """
    if members % GROUP or members < 2 * GROUP:
        raise RgflowError(
            f"members = {members}; a multiple of {GROUP}, the members of a group, and at least {2 * GROUP}"
        )
    return members // GROUP


def sample_groups(
    network: Network, inputs: Inputs, groups: range, ensemble: Ensemble, device: str = "auto"
) -> xr.Dataset:
    """Draw some groups of an ensemble in this process.

    Parameters
    ----------
    network, inputs, groups, ensemble, device
        As for :func:`sample_block`.

    Returns
    -------
    Dataset of group means (group, layer, sample_1, ...), see :data:`rgflow.sampling.estimators.MOMENTS`, and of the
    members kept one by one. Attributes tell the ensemble.

    Raises
    ------
    RgflowError
        As :func:`sample_initialization`.
    """
    where = find_device(device)
    target = make_target(network, inputs, ensemble, where)
    size = checked_chunk_size(target, ensemble)
    draw = chunk_sampler(target, ensemble)
    drawn = []
    with one_thread(), torch.no_grad():
        for group in groups:
            drawn.append(_draw_group(group, size, draw, ensemble))
            _require_finite(drawn[-1][0], target.layers)
    means = {name: np.stack([means[name] for means, _ in drawn]) for name in drawn[0][0]}
    kept = {name: np.concatenate([kept[name] for _, kept in drawn]) for name in drawn[0][1]}
    return _labelled(means, kept, groups, target.layers).assign_attrs(_identity(target, ensemble, where))


def combine(blocks: Iterable[xr.Dataset]) -> xr.Dataset:
    """Join blocks of one ensemble, in any order and nesting, to the same bits.

    Raises
    ------
    RgflowError
        No blocks, blocks of different ensembles, or a group that is in two blocks.
    """
    parts = sorted(blocks, key=lambda block: int(block.group[0]))
    if not parts:
        raise RgflowError("no blocks to combine")
    for part in parts:
        _require_same(parts[0], part)
    joined = [_concatenated(parts, dim) for dim in ("group", "member")]
    labels = joined[0].group.values
    if len(set(labels.tolist())) < len(labels):
        twice = labels[1:][labels[1:] == labels[:-1]]
        raise RgflowError(f"group {twice[0]} is in two blocks")
    devices = sorted({device for part in parts for device in part.attrs["device"].split("+")})
    return joined[0].assign(joined[1].variables).assign_attrs(parts[0].attrs, device="+".join(devices))


def estimate(groups: xr.Dataset) -> xr.Dataset:
    """Tensors and standard errors from the groups 0, 1, ... of an ensemble; see :func:`sample_initialization`.

    Raises
    ------
    RgflowError
        Fewer than two groups, or a gap between them.
    """
    count = groups.sizes["group"]
    if count < 2:
        raise RgflowError("one group of members has no error bars; at least two are needed")
    if not np.array_equal(groups.group, np.arange(count)):
        raise RgflowError(f"groups are not 0..{count - 1}: the ensemble has gaps")
    means = {str(name): groups[name].values for name in groups if "group" in groups[name].dims}
    pooled, errors = estimators.with_errors(means, _widths_below(groups), GROUP)
    kept = [name for name in groups if "member" in groups[name].dims]
    return (
        _tensors(pooled, errors, groups.layer.values)
        .assign(groups[kept].variables)
        .assign_attrs(groups.attrs, members=count * GROUP)
    )


def layer_covariance(groups: xr.Dataset) -> xr.Dataset:
    """Covariance between layers of the single-input estimates T_aaaa (K_aa, Theta_aa), for fits over depth.

    Parameters
    ----------
    groups
        The groups of an ensemble, as :func:`combine` returns them.

    Returns
    -------
    Dataset of the tensors' names on (sample, layer, layer_other).
    """
    means = {str(name): groups[name].values for name in groups if "group" in groups[name].dims}
    replicates = estimators.jackknife(means, _widths_below(groups), GROUP)
    covariances = {
        name: (("sample", "layer", "layer_other"), estimators.layer_covariance(values))
        for name, values in replicates.items()
    }
    return xr.Dataset(covariances, {"layer": groups.layer.values, "layer_other": groups.layer.values})


def _draw_group(
    group: int, size: int, draw: Callable[[int, int], Samples], ensemble: Ensemble
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Means over a group, and its members kept one by one."""
    chunks = GROUP // size
    keep = min(max(ensemble.kept - group * GROUP, 0), GROUP)
    total: dict[str, Array] = {}
    kept: dict[str, list[Array]] = {}
    for part in range(chunks):
        samples = draw(group * chunks + part, size)
        for name, mean in estimators.sample_means(samples, frozenset(ensemble.tensors)).items():
            total[name] = total.get(name, 0.0) + mean / chunks
        for name, values in _members(samples).items():
            kept.setdefault(name, []).append(values[: max(keep - part * size, 0)])
    return total, {name: np.concatenate(values) for name, values in kept.items()}


def _members(samples: Samples) -> dict[str, Array]:
    drawn = {"preactivation": samples.preactivation, "ntk": samples.ntk}
    return {name: values.cpu().numpy() for name, values in drawn.items() if values is not None}


def _require_finite(means: dict[str, Array], layers: tuple[int, ...]) -> None:
    for name, values in means.items():
        finite = np.isfinite(values).reshape(len(layers), -1).all(1)
        if not finite.all():
            raise RgflowError(f"{name} is not finite at layer {layers[int(np.argmin(finite))]} of the sampled ensemble")


def _labelled(means: dict[str, Array], kept: dict[str, Array], groups: range, layers: tuple[int, ...]) -> xr.Dataset:
    pair_dims = ("output_1", "output_2", "sample_1", "sample_2")
    dims = {"preactivation": ("output_1", "sample_1"), "ntk": pair_dims}
    variables: dict[str, Any] = {
        name: (("group", "layer", *_legs(values.ndim - 2)), values) for name, values in means.items()
    }
    first = groups.start * GROUP
    count = len(kept["preactivation"])
    if count:
        variables |= {name: (("member", "layer", *dims[name]), values) for name, values in kept.items()}
    coords = {"group": np.array(groups), "layer": np.array(layers)} | (
        {"member": np.arange(first, first + count)} if count else {}
    )
    return xr.Dataset(variables, coords)


def _legs(count: int) -> list[str]:
    return [f"sample_{leg}" for leg in range(1, count + 1)]


def _identity(target: Target, ensemble: Ensemble, device: torch.device) -> dict[str, str]:
    """Attributes that blocks of one ensemble share."""
    network = target.network
    described = {
        "activation": network.activation.label,
        "widths": network.widths,
        **{name: getattr(network, name) for name in ("C_b", "C_W", "lambda_b", "lambda_W")},
    }
    return {
        "network": json.dumps(described, sort_keys=True),
        "inputs": hashlib.blake2b(target.x.cpu().numpy().tobytes(), digest_size=16).hexdigest(),
        "ensemble": ensemble.to_json(),
        "device": device.type,
    }


def _require_same(first: xr.Dataset, other: xr.Dataset) -> None:
    for key in ("network", "inputs", "ensemble"):
        if first.attrs[key] != other.attrs[key]:
            raise RgflowError(f"blocks differ in {key}: {first.attrs[key]} and {other.attrs[key]}")


def _concatenated(parts: list[xr.Dataset], dim: str) -> xr.Dataset:
    having = [part[[name for name in part if dim in part[name].dims]] for part in parts if dim in part.dims]
    if not having:
        return xr.Dataset()
    return xr.concat(having, dim, data_vars="minimal", coords="minimal", compat="override", join="exact").sortby(dim)


def _widths_below(groups: xr.Dataset) -> list[int]:
    widths = json.loads(groups.attrs["network"])["widths"]
    return [widths[layer - 1] for layer in groups.layer.values]


def _tensors(pooled: dict[str, Array], errors: dict[str, Array], layers: Array) -> xr.Dataset:
    """Labelled estimates. In layer 1 the metric and the NTK are certain: no errors, no connected correlators."""
    fluctuates = layers > 1
    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {"layer": layers}
    for name, values in pooled.items():
        legs = _legs(values.ndim - 1)
        mask = fluctuates.reshape(-1, *(1,) * len(legs))
        variables[name] = (("layer", *legs), np.where(mask | (len(legs) == 2), values, 0.0))
        variables[f"{name}_stderr"] = (("layer", *legs), np.where(mask, errors[name], 0.0))
        coords |= {leg: np.arange(values.shape[1]) for leg in legs}
    return xr.Dataset(variables, coords)
