"""From blocks of groups of trained members to the estimates of an ensemble, and to differences of two ensembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.training.controls import control_means
from rgflow.training.excess import KnownMeans, excess
from rgflow.training.frozen import Frozen
from rgflow.training.jackknife import GroupEstimator, Means, jackknife_errors, unbiased_square

Array = NDArray[np.float64]

_LOSSES = [f"{role}_{part}" for role in ("train", "test") for part in ("loss", "bias", "variance")]

_PLAIN = {
    "prediction_mean": ("step", "sample", "output"),
    "prediction_covariance": ("step", "sample_1", "sample_2"),
    **dict.fromkeys(_LOSSES, ("step",)),
    "NTK": ("ntk_step", "ntk_sample_1", "ntk_sample_2"),
    "metric": ("kernel_step", "layer", "sample_1", "sample_2"),
    "metric_change": ("kernel_step", "layer", "sample_1", "sample_2"),
}
_EXCESS = {
    "prediction_mean_excess": ("step", "sample", "output"),
    "prediction_covariance_excess": ("step", "output_1", "output_2", "sample_1", "sample_2"),
    **{f"{name}_excess": ("step",) for name in _LOSSES},
    "NTK_excess": ("ntk_step", "output_1", "output_2", "ntk_sample_1", "ntk_sample_2"),
}
_DIMS = _PLAIN | _EXCESS
_SHARED = ("target", "learning_rate", "group_size", "last_width", "pairs", "K_output", "Theta_output")


def combine_training(
    blocks: Sequence[xr.Dataset], tensors: xr.Dataset | None = None, *, controls: xr.Dataset | None = None
) -> xr.Dataset:
    """Join blocks of ``train_block`` and estimate what ``training_theory`` predicts.

    The result does not depend, to the bit, on how the members were split.

    Parameters
    ----------
    blocks
        Blocks of one ensemble, in any order, that together hold groups 0, 1, ..., G-1 once each; G >= 3.
    tensors
        With control variates: the tensors of the output layer whose sums the controls' means are, as of
        ``initialization_theory`` of all inputs, any of G1, Theta1, D, F. A mean that needs a tensor which is not given is
        sampled from the same members, which is free of bias at any width but noisier.
    controls
        These means themselves, of :func:`rgflow.training.controls.control_means`, in place of the tensors.

    Returns
    -------
    xr.Dataset
        With ``_stderr`` each: ``prediction_mean`` (step, sample, output); ``prediction_covariance`` (step, sample_1,
        sample_2), unbiased and averaged over output components; ``train_loss``, ``test_loss`` (step), of the square loss also
        as ``<role>_bias``, squared and free of the bias of its estimate, plus ``<role>_variance``; ``NTK`` (ntk_step,
        ntk_sample_1, ntk_sample_2), averaged over components; ``metric`` (kernel_step, layer, sample_1, sample_2)
        of layers 2..L and its change since initialization, ``metric_change``. With control variates also
        n (estimate - infinite width), n = n_{L-1}, as ``<name>_excess``, of covariance and NTK for each pair of components
        ``output_1``, ``output_2``. ``degrees_of_freedom`` of the errors is G - 1: they are delete-one jackknife errors
        over groups. ``prediction`` (member, step, sample, output), ``member_train_loss`` and
        ``member_test_loss`` (member, step) are those of the members that were kept.

    Raises
    ------
    RgflowError
        Groups that are missing, occur twice or are fewer than three; blocks of different ensembles.
    """
    groups = join_blocks(blocks)
    estimator, means = _estimator(groups, tensors, controls)
    return _labelled(groups, jackknife_errors(estimator, means))


@checked
def training_difference(
    first: Sequence[xr.Dataset], second: Sequence[xr.Dataset], tensors: xr.Dataset | None = None
) -> xr.Dataset:
    """Estimate what changes between two ways to train the same initial networks, such as two learning rates.

    Members of equal seed, network shape and initialization start alike, so that most of their noise cancels.

    Parameters
    ----------
    first, second
        Blocks of two ensembles with the same groups and recorded steps.
    tensors
        As of ``combine_training``, for both.

    Returns
    -------
    xr.Dataset
        The estimates of ``combine_training``, second minus first, with jackknife errors of the differences.

    Raises
    ------
    RgflowError
        As of ``combine_training``, or ensembles that are not paired.
    """
    pair = [join_blocks(blocks) for blocks in (first, second)]
    _check_paired(*pair)
    (before, before_means), (after, after_means) = (_estimator(groups, tensors) for groups in pair)
    means = {**_prefixed("first", before_means), **_prefixed("second", after_means)}

    def difference(both: Means, count: int) -> dict[str, Array]:
        old, new = before(_without("first", both), count), after(_without("second", both), count)
        return {name: new[name] - old[name] for name in old if name in new}

    return _labelled(pair[0], jackknife_errors(difference, means)).drop_dims("member").drop_vars("learning_rate")


def join_blocks(blocks: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join blocks of ``train_block`` in the order of their groups; see ``combine_training``."""
    if len(blocks) == 0:
        raise RgflowError("no blocks to combine")
    if not all({"group", "group_size", "mean_prediction"} <= {*block.variables} for block in blocks):
        raise RgflowError("blocks of trained networks are needed, as train_block makes them")
    parts = sorted(blocks, key=lambda block: int(block["group"][0]))
    for part in parts[1:]:
        for name in (name for name in _SHARED if name in parts[0]):
            if name not in part or not np.array_equal(part[name], parts[0][name], equal_nan=True):
                raise RgflowError(f"blocks differ in {name}: they are not of one ensemble")
    options: dict[str, Any] = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "exact"}
    grouped = xr.concat([part.drop_dims("member") for part in parts], dim="group", **options)
    _check_groups(grouped["group"].values, int(grouped["group_size"]))
    single = [part[[name for name in part if "member" in part[name].dims]] for part in parts]
    return grouped.merge(xr.concat(single, dim="member", **options))


def _estimator(
    groups: xr.Dataset, tensors: xr.Dataset | None, controls: xr.Dataset | None = None
) -> tuple[GroupEstimator, dict[str, Array]]:
    """The estimator of an ensemble and the means over each group that it takes."""
    means = {str(name): groups[name].values for name in groups.data_vars if "group" in groups[name].dims}
    means["prediction_square"] = _squares(means["mean_prediction"])
    train = int((groups["role"] == "train").sum())
    plain = partial(_plain, train if groups.attrs.get("loss", "mse") == "mse" else None)
    if "residual_mean" not in means:
        return plain, means
    targets, (K, Theta) = groups["target"].values, (groups[f"{name}_output"].values for name in ("K", "Theta"))
    frozen = Frozen(K, Theta, targets[:train], float(groups["learning_rate"]))
    steps = groups["step"].values
    if tensors is not None and controls is None:
        controls = control_means(frozen, tensors, steps.tolist())
    estimate = excess(groups, frozen, KnownMeans.of(controls, steps))
    means["deviation_square"] = estimate.squares(means)

    def both(means: Means, count: int) -> dict[str, Array]:
        return {**plain(means, count), **estimate(means, count)}

    return both, means


def _plain(train: int | None, means: Means, count: int) -> dict[str, Array]:
    """Estimates without theory; bias and variance of square losses, if the number of train samples is given."""
    squared_mean = unbiased_square(_squares(means["mean_prediction"]), means["prediction_square"], count)
    covariance = means["mean_product"] - squared_mean
    same = ("train_loss", "test_loss", "NTK", "metric", "metric_change")
    found = {name: means[f"mean_{name}"] for name in same if f"mean_{name}" in means}
    if train is not None:
        found |= _loss_parts(train, found, 0.5 * means["mean_prediction"].shape[-1] * covariance)
    return {"prediction_mean": means["mean_prediction"], "prediction_covariance": covariance, **found}


def _loss_parts(train: int, losses: Mapping[str, Array], covariance: Array) -> dict[str, Array]:
    """Variances, from n_L/2 times the covariance, and what the losses are beyond them."""
    variance = np.einsum("...aa->...a", covariance)
    parts: dict[str, Array] = {}
    for role, at in {"train": slice(None, train), "test": slice(train, None)}.items():
        if (loss := losses.get(f"{role}_loss")) is not None:
            of_role = variance[..., at].sum(axis=-1)
            parts |= {f"{role}_variance": of_role, f"{role}_bias": loss - of_role}
    return parts


def _squares(values: Array) -> Array:
    """x_{i;a} x_{i;b}, averaged over components i, of values (..., sample, output)."""
    return np.asarray(values @ values.swapaxes(-1, -2) / values.shape[-1])


def _labelled(groups: xr.Dataset, estimates: Mapping[str, Array]) -> xr.Dataset:
    """A dataset of estimates, with what they come from."""
    count, size = groups.sizes["group"], int(groups["group_size"])
    data: dict[str, Any] = {name: (_DIMS[name.removesuffix("_stderr")], value) for name, value in estimates.items()}
    data["degrees_of_freedom"] = float(count - 1)
    single = [name for name in groups if "member" in groups[name].dims]
    others = set(groups.data_vars) - {*single, "learning_rate"}
    kept = groups.drop_vars([*others, "group"])  # and all other coordinates
    members = f"{size} members" + (f" ({size // 2} antithetic pairs)" if bool(groups["pairs"]) else "")
    return kept.assign(data).assign_attrs(errors=f"delete-one jackknife over {count} groups of {members}")


def _check_groups(labels: NDArray[np.int_], size: int) -> None:
    if len(np.unique(labels)) < len(labels):
        raise RgflowError("a group of members is in more than one block")
    if len(labels) < 3:
        raise RgflowError(f"the ensemble has {len(labels)} groups of {size} members; errors need at least 3 groups")
    missing = np.setdiff1d(np.arange(labels.max() + 1), labels)
    if len(missing):
        raise RgflowError(
            f"member {missing[0] * size} is missing from the blocks ({len(missing) * size} missing in all)"
        )


def _check_paired(first: xr.Dataset, second: xr.Dataset) -> None:
    for name in ("group", "step", "sample", "output", "group_size", "pairs"):
        if not np.array_equal(first[name], second[name]):
            raise RgflowError(f"the two ensembles differ in {name}: their members are not paired")


def _prefixed(prefix: str, means: Means) -> dict[str, Array]:
    return {f"{prefix} {name}": values for name, values in means.items()}


def _without(prefix: str, means: Means) -> dict[str, Array]:
    return {name.removeprefix(f"{prefix} "): values for name, values in means.items() if name.startswith(f"{prefix} ")}
