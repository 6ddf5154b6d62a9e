"""Power laws in depth."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import ensembles, theory_at_initialization

from rgflow.comparison.exponents import depth_exponents, fit_power_law
from rgflow.errors import RgflowError

DEPTH = np.arange(2.0, 30.0)


def test_an_exact_power_law_is_recovered() -> None:
    fit = fit_power_law(DEPTH, 3.0 * DEPTH**1.7, 0.01 * DEPTH)
    assert fit.exponent == pytest.approx(1.7, rel=1e-10)
    assert fit.amplitude == pytest.approx(3.0, rel=1e-10)


def test_correlated_depths_are_fitted_with_their_covariance() -> None:
    rng = np.random.default_rng(5)
    relative = 0.02**2 * (np.minimum.outer(DEPTH, DEPTH) / 5.0)  # a random walk in depth
    draws = np.linalg.cholesky(relative) @ rng.standard_normal((DEPTH.size, 1500))
    law = DEPTH**1.0
    fits = [
        fit_power_law(DEPTH, law * np.exp(noise), relative * np.outer(law, law) * np.exp(np.add.outer(noise, noise)))
        for noise in draws.T
    ]
    pull = np.array([(fit.exponent - 1.0) / fit.stderr for fit in fits])
    assert abs(pull.mean()) < 4 / np.sqrt(1500)
    assert (pull**2).mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 1500))


def test_a_covariance_of_fewer_groups_than_depths_gives_honest_errors() -> None:
    """Fits to means over 8 groups, whose covariance is that of the groups, scatter as their errors say."""
    rng = np.random.default_rng(6)
    factor = np.linalg.cholesky(0.02**2 * (np.minimum.outer(DEPTH, DEPTH) / 5.0))
    fits = []
    for _ in range(600):
        groups = DEPTH[:, None] * np.exp(factor @ rng.standard_normal((DEPTH.size, 8)))
        fits.append(fit_power_law(DEPTH, groups.mean(1), np.cov(groups) / 8))
    scatter = np.std([fit.exponent for fit in fits])
    assert np.sqrt(np.mean([fit.stderr**2 for fit in fits])) == pytest.approx(scatter, rel=0.15)


def test_values_must_be_positive() -> None:
    with pytest.raises(RgflowError, match="positive values"):
        fit_power_law(DEPTH, -DEPTH, DEPTH)


def test_ratios_of_the_synthetic_world_are_linear_in_depth() -> None:
    theory = theory_at_initialization(depth=12)
    exponents = depth_exponents(theory, ensembles(theory, precision=1e-3))
    assert list(exponents["ratio"].values) == ["V/K^2", "D/(K Theta)", "F/(K Theta)", "B/Theta^2"]
    assert exponents["depth_exponent"].dims == ("ratio", "width")
    V = exponents.sel(ratio="V/K^2")
    np.testing.assert_allclose(V["depth_exponent_theory"], 1.0, atol=1e-9)
    shift = V["depth_exponent"].values - 1.0  # from K at finite width, so it falls as 1/n
    np.testing.assert_allclose(shift[:-1] / shift[1:], 2.0, rtol=0.1)
    np.testing.assert_allclose(exponents.sel(ratio="B/Theta^2")["depth_exponent_theory"], 1.0, atol=1e-9)


def test_covariance_between_layers_is_used_when_given() -> None:
    theory = theory_at_initialization(depth=12)
    data = ensembles(theory, precision=1e-3)
    independent = np.stack([np.diag(data["V_stderr"].values[w, :, 0, 0, 0, 0] ** 2) for w in range(3)])
    covariance = 4.0 * np.stack([independent, 9.0 * independent], axis=1)  # that of input 1 is not to be used
    with_covariance = data.assign(V_covariance=(("width", "sample_1", "layer", "layer_2"), covariance))
    plain, wide = (depth_exponents(theory, d).sel(ratio="V/K^2") for d in (data, with_covariance))
    np.testing.assert_allclose(wide["depth_exponent"], plain["depth_exponent"], rtol=1e-9)
    np.testing.assert_allclose(wide["depth_exponent_stderr"], 2.0 * plain["depth_exponent_stderr"], rtol=1e-9)


def test_a_negative_ratio_has_the_exponent_of_its_magnitude() -> None:
    theory = theory_at_initialization(depth=12)
    negative = theory.assign(D=-theory["D"])
    plain, flipped = (
        depth_exponents(one, ensembles(one, precision=1e-9)).sel(ratio="D/(K Theta)") for one in (theory, negative)
    )
    np.testing.assert_allclose(flipped["depth_exponent"], plain["depth_exponent"], rtol=1e-6)
    np.testing.assert_allclose(flipped["depth_amplitude"], -plain["depth_amplitude"], rtol=1e-6)


def test_a_ratio_that_changes_sign_has_no_exponent() -> None:
    theory = theory_at_initialization(depth=12)
    exponents = depth_exponents(
        theory, ensembles(theory.assign(D=theory["D"] * (7.5 - theory["layer"])), precision=1e-3)
    )
    assert bool(exponents.sel(ratio="D/(K Theta)")["depth_exponent"].isnull().all())
    assert bool(exponents.sel(ratio="V/K^2")["depth_exponent"].notnull().all())


def test_a_ratio_needs_its_means() -> None:
    theory = theory_at_initialization(depth=12)
    with pytest.raises(RgflowError, match="none of the ratios"):
        depth_exponents(theory.drop_vars(["K", "Theta"]), ensembles(theory))
