"""Statistics over groups of members against literal definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.training import chunk as chunk_module
from rgflow.training.combine import combine_training, training_difference
from rgflow.training.ensemble import train_block, train_ensemble
from rgflow.training.jackknife import jackknife_errors, unbiased_square
from rgflow.training.spec import TrainingSpec

RNG = np.random.default_rng(5)
TASK = Task(*(RNG.normal(size=shape) for shape in [(3, 4), (3, 2), (2, 4), (2, 2)]))
NETWORK = Network("tanh", (4, 12, 12, 2), 0.2, 1.4, lambda_b=0.3)
SPEC = TrainingSpec(
    seed=2, learning_rate=0.05, steps=(0, 1, 6), dtype="float64", ntk_steps="all", kernel_steps="ends", members=24
)


def block(members: range, spec: TrainingSpec = SPEC) -> xr.Dataset:
    return train_block(NETWORK, TASK, spec, members)


def test_jackknife_is_the_literal_delete_one_error() -> None:
    values = np.random.default_rng(1).normal(size=(9, 3))
    groups = {"x": values, "xx": values[:, :, None] * values[:, None]}

    def covariance(means: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
        square = np.multiply.outer(means["x"], means["x"])
        return {"c": means["xx"] - unbiased_square(square, means["xx"], count)}

    result = jackknife_errors(covariance, groups)
    np.testing.assert_allclose(result["c"], np.cov(values.T), rtol=1e-12)
    left = np.array([np.cov(np.delete(values, k, axis=0).T) for k in range(9)])
    expected = np.sqrt(8 / 9 * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(result["c_stderr"], expected, rtol=1e-10)


def test_estimates_are_those_over_members() -> None:
    result = combine_training([block(range(24))])
    z = result["prediction"].values
    np.testing.assert_allclose(result["prediction_mean"], z.mean(axis=0), rtol=1e-12)
    pairs = z.reshape(12, 2, *z.shape[1:]).mean(axis=1)
    np.testing.assert_allclose(result["prediction_mean_stderr"], pairs.std(axis=0, ddof=1) / np.sqrt(12), rtol=1e-9)
    np.testing.assert_allclose(result["train_loss"], result["member_train_loss"].mean("member"), rtol=1e-12)
    assert int(result["degrees_of_freedom"]) == 11
    assert {name: result[name].values.tolist() for name in ("ntk_step", "kernel_step", "layer", "step")} == {
        "ntk_step": [0, 1, 6], "kernel_step": [0, 6], "layer": [2, 3], "step": [0, 1, 6]
    }  # fmt: skip
    assert result.attrs["errors"] == "delete-one jackknife over 12 groups of 2 members"


def test_covariance_with_one_member_per_group_is_that_of_numpy_averaged_over_outputs() -> None:
    result = combine_training([block(range(24), replace(SPEC, group=1))])
    z = result["prediction"].sel(step=6).values
    expected = np.mean([np.cov(z[..., output].T) for output in range(2)], axis=0)
    np.testing.assert_allclose(result["prediction_covariance"].sel(step=6), expected, rtol=1e-9)


def test_covariance_is_unbiased_by_the_group_means_it_takes_off() -> None:
    """Over many small ensembles the covariance averages to that of one large ensemble."""
    spec = replace(SPEC, ntk_steps="none", kernel_steps="none", steps=(0,))
    whole = block(range(1800), replace(spec, group=2))
    covariance = combine_training([whole])["prediction_covariance"].values[0]
    small = [combine_training([part]) for part in _renumbered(whole, 3)]
    mean = np.mean([part["prediction_covariance"].values[0] for part in small], axis=0)
    spread = np.std([part["prediction_covariance"].values[0] for part in small], axis=0) / np.sqrt(len(small))
    assert len(small) == 300
    assert (abs(mean - covariance) < 4 * spread).all()  # 1/G = 1/3 of a biased one would be off by more than 4 errors
    assert (np.diag(covariance) / 3 > 4 * np.diag(spread)).all()


def _renumbered(whole: xr.Dataset, groups: int) -> list[xr.Dataset]:
    starts = range(0, whole.sizes["group"], groups)
    parts = [whole.isel(group=slice(start, start + groups)) for start in starts]
    return [part.assign_coords(group=np.arange(groups)) for part in parts]


@pytest.mark.parametrize("settings", [{}, {"control_variates": True, "antithetic": True, "group": 4}, {"group": 8}])
def test_any_split_into_blocks_gives_the_same_bits(
    settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_module, "_LARGEST_CHUNK", 4)
    spec = replace(SPEC, keep=10, **settings)
    whole = combine_training([block(range(24), spec)])
    parts = [block(members, spec) for members in (range(16, 24), range(8), range(8, 16))]
    xr.testing.assert_identical(combine_training(parts), whole)
    assert whole.sizes["member"] == 10


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([range(4)], "2 groups of 2 members; errors need at least 3 groups"),
        ([range(4), range(6, 12)], r"member 4 is missing from the blocks \(2 missing in all\)"),
        ([range(2, 12)], "member 0 is missing"),
        ([range(8), range(6, 12)], "more than one block"),
        ([], "no blocks"),
    ],
)
def test_incomplete_or_overlapping_blocks_are_named(members: list[range], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        combine_training([block(labels) for labels in members])


def test_blocks_of_two_ensembles_are_not_joined() -> None:
    other = block(range(6, 12), replace(SPEC, learning_rate=0.1))
    with pytest.raises(RgflowError, match="blocks differ in learning_rate"):
        combine_training([block(range(6)), other])


def test_the_difference_of_two_learning_rates_on_the_same_networks_is_sharper() -> None:
    fast, slow = (replace(SPEC, learning_rate=rate, group=8) for rate in (0.05, 0.025))
    pair = [[block(range(256), spec)] for spec in (slow, fast)]
    difference, (first, second) = training_difference(*pair), [combine_training(blocks) for blocks in pair]
    for name in ("prediction_mean", "train_loss", "NTK", "metric_change", "prediction_covariance"):
        np.testing.assert_allclose(difference[name], second[name] - first[name], rtol=1e-9, atol=1e-12)
    apart = np.hypot(first["prediction_mean_stderr"], second["prediction_mean_stderr"])[1:]
    assert np.median(apart / difference["prediction_mean_stderr"][1:]) > 4
    assert not difference["prediction_mean_stderr"][0].any()  # the same networks at the start
    assert "prediction" not in difference


def test_ensembles_that_are_not_paired_are_named() -> None:
    first, second = [block(range(8))], [block(range(8), replace(SPEC, group=1))]
    with pytest.raises(RgflowError, match="the two ensembles differ in group"):
        training_difference(first, second)


def test_what_is_no_block_is_named() -> None:
    with pytest.raises(RgflowError, match=r"^blocks of trained networks are needed, as train_block makes them$"):
        training_difference([xr.Dataset({"V": 1.0})], [block(range(8))])


def test_an_unknown_setting_is_one_line() -> None:
    with pytest.raises(RgflowError, match="unexpected keyword argument 'sead'"):
        train_ensemble(NETWORK, TASK.train_inputs, TASK.train_targets, TASK.test_inputs, sead=3)


def test_records_that_do_not_fit_in_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rgflow.training.ensemble.physical_memory", lambda: 100_000)
    with pytest.raises(RgflowError, match="GiB; use larger groups, smaller blocks or fewer recorded steps"):
        block(range(24))
