"""Statistics over members against literal definitions."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.training.combine import combine_training, covariance_and_stderr, mean_and_stderr


def block(members: range, rng: np.random.Generator) -> xr.Dataset:
    prediction = rng.normal(size=(len(members), 2, 3, 2))
    return xr.Dataset(
        {
            "prediction": (("member", "step", "sample", "output"), prediction),
            "train_loss": (("member", "step"), prediction.sum(axis=(2, 3))),
        },
        {"member": np.array(members), "step": [0, 5]},
    )


def test_covariance_is_that_of_numpy_averaged_over_outputs() -> None:
    values = np.random.default_rng(0).normal(size=(9, 3, 2))
    expected = np.mean([np.cov(values[..., output].T) for output in range(2)], axis=0)
    np.testing.assert_allclose(covariance_and_stderr(values)[0], expected, rtol=1e-13)


def test_covariance_error_is_the_delete_one_jackknife() -> None:
    values = np.random.default_rng(1).normal(size=(9, 3, 2))
    left = np.array([covariance_and_stderr(np.delete(values, member, axis=0))[0] for member in range(9)])
    jackknife = np.sqrt(8 / 9 * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(covariance_and_stderr(values)[1], jackknife, rtol=1e-12)


def test_mean_and_its_error() -> None:
    values = np.random.default_rng(2).normal(size=(7, 4))
    mean, stderr = mean_and_stderr(values)
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(stderr**2, np.var(values, axis=0, ddof=1) / 7)


def test_combined_statistics_belong_to_their_steps() -> None:
    rng = np.random.default_rng(3)
    ensemble = combine_training([block(range(4, 6), rng), block(range(4), rng)])
    assert ensemble["member"].values.tolist() == list(range(6))
    values = ensemble["prediction"].sel(step=5).values
    np.testing.assert_allclose(ensemble["prediction_mean"].sel(step=5), values.mean(axis=0))
    np.testing.assert_allclose(ensemble["prediction_covariance"].sel(step=5), covariance_and_stderr(values)[0])
    np.testing.assert_allclose(ensemble["train_loss_mean"], ensemble["train_loss"].mean("member"))
    assert ensemble["prediction_mean_stderr"].dims == ("step", "sample", "output")
    assert ensemble["prediction_covariance_stderr"].dims == ("step", "sample_1", "sample_2")
    assert "test_loss_mean" not in ensemble


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([range(2)], "2 members; statistics need at least 3"),
        ([range(3), range(5, 8)], "member 3 is missing"),
        ([range(1, 5)], "member 0 is missing"),
        ([range(3), range(2, 5)], "more than one block"),
    ],
)
def test_incomplete_or_overlapping_blocks_are_named(members: list[range], message: str) -> None:
    rng = np.random.default_rng(4)
    with pytest.raises(RgflowError, match=message):
        combine_training([block(labels, rng) for labels in members])
