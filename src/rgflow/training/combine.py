"""From blocks of trained members to an ensemble with its statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.errors import RgflowError

Array = NDArray[np.float64]


def combine_training(blocks: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join blocks of ``train_block`` in the order of their members and add statistics over members.

    The result does not depend, to the bit, on how the members were split.

    Parameters
    ----------
    blocks
        Blocks of one ensemble, in any order, that together hold members 0, 1, ..., M-1 once each; M >= 3.

    Returns
    -------
    xr.Dataset
        The blocks' variables over all members and, with ``_stderr`` each: ``prediction_mean`` (step, sample, output),
        ``prediction_covariance`` (step, sample_1, sample_2), unbiased and averaged over output components,
        ``train_loss_mean`` and ``test_loss_mean`` (step), ``NTK_mean`` (ntk_step, ntk_sample_1, ntk_sample_2).
        Errors of means are s / sqrt(M), that of the covariance is the delete-one jackknife.

    Raises
    ------
    RgflowError
        Members that are missing, occur twice or are fewer than three.
    """
    ensemble = xr.concat(blocks, dim="member", join="exact", combine_attrs="drop_conflicts").sortby("member")
    _check_members(ensemble["member"].values)
    for name in ("prediction", "train_loss", "test_loss", "NTK"):
        if name in ensemble:
            mean, stderr = mean_and_stderr(ensemble[name].values.astype(np.float64))
            dims = ensemble[name].dims[1:]
            ensemble[f"{name}_mean"], ensemble[f"{name}_mean_stderr"] = (dims, mean), (dims, stderr)
    return ensemble.assign(_covariance_variables(ensemble["prediction"]))


def mean_and_stderr(values: Array) -> tuple[Array, Array]:
    """Return the mean over the first axis and its standard error s / sqrt(M)."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def covariance_and_stderr(values: Array) -> tuple[Array, Array]:
    """Return the unbiased covariance between samples, averaged over outputs, and its delete-one jackknife error.

    Leaving out member m changes C = sum_m q_m / (M - 1), q_m = d_m d_m^T, to a value that is linear in q_m, so the
    jackknife variance is M / ((M - 1) (M - 2)^2) sum_m (q_m - mean q)^2, without a loop.

    Parameters
    ----------
    values
        Shape (member, sample, output).
    """
    members = len(values)
    deviations = values - values.mean(axis=0)
    products = np.einsum("mai,mbi->mab", deviations, deviations, optimize=True) / values.shape[2]
    spread = products.var(axis=0)
    return products.sum(axis=0) / (members - 1), members * np.sqrt(spread / (members - 1)) / (members - 2)


def _covariance_variables(prediction: xr.DataArray) -> dict[str, tuple[tuple[str, ...], Array]]:
    steps = prediction.transpose("step", "member", "sample", "output").values.astype(np.float64)
    covariance, stderr = zip(*map(covariance_and_stderr, steps), strict=True)
    dims = ("step", "sample_1", "sample_2")
    return {
        "prediction_covariance": (dims, np.stack(covariance)),
        "prediction_covariance_stderr": (dims, np.stack(stderr)),
    }


def _check_members(members: NDArray[np.int64]) -> None:
    if len(members) < 3:
        raise RgflowError(f"the ensemble has {len(members)} members; statistics need at least 3")
    missing = np.setdiff1d(np.arange(members.max() + 1), members)
    if len(missing):
        raise RgflowError(f"member {missing[0]} is missing from the blocks ({len(missing)} missing in all)")
    if len(np.unique(members)) < len(members):
        raise RgflowError("a member occurs in more than one block")
