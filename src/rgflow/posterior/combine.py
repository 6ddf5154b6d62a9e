"""Islands of a posterior joined: evidence-weighted averages with jackknife errors, and what there is to warn of.

With Z_r the estimate of the evidence of island r and f_r its average of a function,

    p(y) = mean_r Z_r,    E[f | y] = sum_r Z_r f_r / sum_r Z_r;

the weights remove the bias 1/particles of each island's own average. Covariances are those of pooled second moments: centred on
the mean of each island they would be too small by Var/ESS. Needs no torch.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import logsumexp

from rgflow.errors import RgflowError
from rgflow.posterior.spec import FEWEST_ISLANDS
from rgflow.posterior.trust import posterior_warnings

Array = npt.NDArray[np.float64]
_log = logging.getLogger("rgflow")
_SHARED = ("network", "data", "inference", "schedule")


def combine_posterior(blocks: Iterable[xr.Dataset]) -> xr.Dataset:
    """Posterior with errors from blocks of the islands 0, 1, ..., in any order and nesting, to the same bits.

    Parameters
    ----------
    blocks
        Of :func:`rgflow.posterior.blocks.sample_posterior_block`.

    Returns
    -------
    xr.Dataset
        On samples train then test (coordinate ``role``), each with its standard error ``<name>_stderr``:
        ``posterior_mean`` (sample, output) and ``posterior_covariance`` (output_1, output_2, sample_1, sample_2) of
        noiseless outputs, ``log_evidence``, ``hidden_kernel`` (sample_1, sample_2) = E[Ghat | y], ``prior_hidden_kernel`` =
        E[Ghat] of prior draws of the same islands, ``hidden_kernel_change``, the difference, with smaller errors than
        either has, and ``effective_sample_fraction``,
        (mean w)^2/mean w^2 of prior draws, what of them would count if they were only reweighted.
        Without errors: ``effective_sample_size`` of all particles, ``island_log_evidence`` (island), and per stage
        ``beta``, ``step``, ``ess`` and ``acceptance``, means over islands (the last stage moves nothing: step 0, acceptance
        not a number). Attribute ``warnings`` lists what speaks against trusting the numbers, a line each.

    Raises
    ------
    RgflowError
        No blocks, blocks of different posteriors, an island in two blocks, a gap, or fewer than two islands.
    """
    islands = join_islands(blocks)
    count = islands.sizes["island"]
    if not np.array_equal(islands.island, np.arange(count)):
        raise RgflowError(f"islands are not 0..{count - 1}: the posterior has gaps")
    if count < FEWEST_ISLANDS:
        raise RgflowError(f"one island has no error bars; at least {FEWEST_ISLANDS} are needed")
    estimates = _estimates(islands)
    posterior = xr.Dataset({**estimates, **_stages(islands)}, _coordinates(islands))
    posterior = posterior.assign_attrs(islands.attrs, islands=count)
    lines = posterior_warnings(posterior)
    for line in lines:
        _log.warning("posterior of %s: %s", posterior.attrs["network"], line)
    return posterior.assign_attrs(warnings=lines)


def join_islands(blocks: Iterable[xr.Dataset]) -> xr.Dataset:
    """Blocks of one posterior as one block.

    Raises
    ------
    RgflowError
        No blocks, blocks of different posteriors, or an island that is in two blocks.
    """
    parts = sorted(blocks, key=lambda block: int(block.island[0]))
    if not parts:
        raise RgflowError("no blocks to combine")
    for part in parts:
        for key in _SHARED:
            if part.attrs[key] != parts[0].attrs[key]:
                raise RgflowError(f"blocks differ in {key}: {parts[0].attrs[key]} and {part.attrs[key]}")
    joined = xr.concat(parts, "island", data_vars="minimal", coords="minimal", compat="override", join="exact")
    joined = joined.sortby("island")
    labels = joined.island.values
    if (twice := labels[1:][labels[1:] == labels[:-1]]).size:
        raise RgflowError(f"island {twice[0]} is in two blocks")
    devices = sorted({device for part in parts for device in part.attrs["device"].split("+")})
    return joined.assign_attrs(parts[0].attrs, device="+".join(devices))


def _estimates(islands: xr.Dataset) -> dict[str, Any]:
    """Name to dims and values, of all that has errors and of the numbers of islands that have none."""
    log_Z = islands["island_log_evidence"].values
    prior = np.zeros_like(log_Z)
    found: dict[str, tuple[tuple[str, ...], Array, Array]] = {
        "log_evidence": ((), *_with_error(_log_mean_exp(_left_out(log_Z)))),
        "effective_sample_fraction": ((), *_with_error(_fraction(islands))),
    }
    averages = {
        "posterior_mean": (log_Z, islands["island_mean"]),
        "hidden_kernel": (log_Z, islands["island_kernel"]),
        "prior_hidden_kernel": (prior, islands["island_prior_kernel"]),
    }
    replicates = {name: jackknife_means(log, values.values) for name, (log, values) in averages.items()}
    replicates["hidden_kernel_change"] = replicates["hidden_kernel"] - replicates["prior_hidden_kernel"]
    pair = ("sample_1", "sample_2")
    for name, values in replicates.items():
        found[name] = (("sample", "output") if name == "posterior_mean" else pair, *_with_error(values))
    found["posterior_covariance"] = (
        ("output_1", "output_2", *pair),
        *_covariance(islands, replicates["posterior_mean"]),
    )
    with_errors = {name: (dims, values) for name, (dims, values, _) in found.items()}
    with_errors |= {f"{name}_stderr": (dims, error) for name, (dims, _, error) in found.items()}
    return {
        **with_errors,
        "island_log_evidence": ("island", log_Z),
        "effective_sample_size": _effective(islands),
        "degrees_of_freedom": islands.sizes["island"] - 1.0,
    }


def jackknife_means(log_weights: Array, values: Array) -> Array:
    """Averages over islands with weights: first that of all islands, then those without one of them, (1 + R, ...).

    Parameters
    ----------
    log_weights
        (R,).
    values
        (R, ...).
    """
    log = _left_out(log_weights)
    weights = np.exp(log - logsumexp(log, axis=1, keepdims=True))
    return np.asarray(np.tensordot(weights, values, 1))


def _left_out(log_weights: Array) -> Array:
    """Log weights of all islands, then with each left out in turn: (1 + R, R)."""
    all_of_them = np.tile(log_weights, (1 + len(log_weights), 1))
    all_of_them[1:][np.eye(len(log_weights), dtype=bool)] = -np.inf
    return all_of_them


def _log_mean_exp(log_weights: Array) -> Array:
    return np.asarray(logsumexp(log_weights, axis=1) - np.log(np.isfinite(log_weights).sum(1)))


def _with_error(replicates: Array) -> tuple[Array, Array]:
    """The estimate of all islands and its jackknife standard error."""
    without_one = replicates[1:]
    return replicates[0], np.sqrt((len(without_one) - 1) * without_one.var(0))


def _covariance(islands: xr.Dataset, means: Array) -> tuple[Array, Array]:
    """Covariance of outputs and its error, a pair of components at a time, for the replicates are large.

    Parameters
    ----------
    means
        Replicates of the mean, (1 + R, N, n_L).
    """
    log_Z, second = islands["island_log_evidence"].values, islands["island_second"].values
    covariance, error = np.empty(second.shape[1:]), np.empty(second.shape[1:])
    for i, j in np.ndindex(covariance.shape[:2]):
        product = means[:, :, None, i] * means[:, None, :, j]
        covariance[i, j], error[i, j] = _with_error(jackknife_means(log_Z, second[:, i, j]) - product)
    return covariance, error


def _fraction(islands: xr.Dataset) -> Array:
    """Replicates of (mean w)^2 / mean w^2 over prior draws: the effective fraction if they were only reweighted."""
    first, second = (_log_mean_exp(_left_out(islands["island_log_weight"].sel(power=p).values)) for p in (1, 2))
    return np.exp(2.0 * first - second)


def _effective(islands: xr.Dataset) -> float:
    """(sum_r Z_r)^2 / sum_r Z_r^2 / ESS_r: particles at the end that would have the same errors with equal weights."""
    log_Z = islands["island_log_evidence"].values
    log_ess = np.log(islands["island_ess"].values[:, -1] * _particles(islands))
    return float(np.exp(2.0 * logsumexp(log_Z) - logsumexp(2.0 * log_Z - log_ess)))


def _stages(islands: xr.Dataset) -> dict[str, Any]:
    means = {name: ("stage", islands[f"island_{name}"].values.mean(0)) for name in ("ess", "acceptance")}
    return {**means, "beta": islands["beta"].variable, "step": islands["step"].variable}


def _coordinates(islands: xr.Dataset) -> dict[str, Any]:
    pairs = {f"{name}_{leg}": islands[name].values for name in ("sample", "output") for leg in (1, 2)}
    return {**{name: islands[name] for name in ("island", "stage", "sample", "role", "output")}, **pairs}


def _particles(islands: xr.Dataset) -> int:
    return int(json.loads(islands.attrs["inference"])["particles"])
