"""Groups of members: how blocks of them merge, and the estimates they give. Needs no torch."""

from __future__ import annotations

import json
import logging
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.sampling.estimators import Array, estimates
from rgflow.sampling.jackknife import jackknife, layer_covariance, standard_errors
from rgflow.sampling.rng import GROUP
from rgflow.sampling.trust import Sure, known_errors, rare_network_warnings
from rgflow.tensors import leg_names

FEW_GROUPS = 10  # below which standard errors are rough
_log = logging.getLogger("rgflow")


def group_count(members: int) -> int:
    """Number of groups of 1000 in an ensemble.

    Raises
    ------
    RgflowError
        Unless ``members`` is a multiple of 1000 and at least 2000, without which there are no error bars.
    """
    try:
        groups, rest = divmod(operator.index(members), GROUP)
    except TypeError:
        groups, rest = 0, 0
    if rest or groups < 2:
        raise RgflowError(
            f"members = {members}; a multiple of {GROUP}, the members of a group, and at least {2 * GROUP}"
        )
    return groups


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


def estimate_tensors(groups: xr.Dataset) -> xr.Dataset:
    """Tensors with their errors from the groups 0, 1, ... of an ensemble.

    Returns
    -------
    The dataset of :func:`rgflow.sampling.blocks.sample_initialization`.

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
    averages = {name: values.mean(0) for name, values in means.items()}
    below, layers = _widths_below(groups), groups.layer.values
    replicates = jackknife(means, below, GROUP)
    kept = [name for name in groups if "member" in groups[name].dims]
    known = known_errors(means, replicates)
    warnings = [*_few_groups(count), *rare_network_warnings(known, layers)]
    for line in warnings:
        _log.warning("%s", line)
    return (
        _tensors(estimates(averages, below, count * GROUP), replicates, known, layers)
        .assign(_covariances(replicates, known, layers))
        .assign(degrees_of_freedom=count - 1.0)
        .assign(groups[kept].variables)
        .assign_attrs(groups.attrs, members=count * GROUP, warnings=warnings)
    )


def _few_groups(count: int) -> Iterator[str]:
    if count < FEW_GROUPS:
        uncertain = 71 / (count - 1) ** 0.5
        yield f"{count} groups of {GROUP} members: standard errors are uncertain by {uncertain:.0f} %"


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


def _tensors(
    pooled: Mapping[str, Array], replicates: Mapping[str, Array], known: Mapping[str, Sure], layers: Array
) -> xr.Dataset:
    """Labelled estimates. In layer 1 the metric and the NTK are certain: no errors, no connected correlators."""
    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {"layer": layers}
    for name, values in pooled.items():
        samples = leg_names(values.ndim - 1)
        legs = (-1, *(1,) * len(samples))
        fluctuates, sure = (layers > 1).reshape(legs), known[name].reshape(legs)
        errors = np.where(fluctuates, standard_errors(replicates[name]), 0.0)
        variables[name] = (("layer", *samples), np.where(fluctuates | (len(samples) == 2), values, 0.0))
        variables[f"{name}_stderr"] = (("layer", *samples), np.where(sure, errors, np.nan))
        coords |= {leg: np.arange(values.shape[1]) for leg in samples}
    return xr.Dataset(variables, coords)


def _covariances(replicates: Mapping[str, Array], known: Mapping[str, Sure], layers: Array) -> xr.Dataset:
    """Labelled covariances between layers, ``<name>_covariance`` (sample_1, layer, layer_2); zero in layer 1."""
    fluctuates = np.outer(layers > 1, layers > 1)
    variables = {}
    for name, values in replicates.items():
        covariance = np.where(fluctuates, layer_covariance(values), 0.0)
        sure = np.outer(known[name], known[name])
        variables[f"{name}_covariance"] = (("sample_1", "layer", "layer_2"), np.where(sure, covariance, np.nan))
    return xr.Dataset(variables, {"layer": layers, "layer_2": layers})
