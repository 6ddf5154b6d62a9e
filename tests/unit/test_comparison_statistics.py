"""Look-elsewhere p-values and weighted series in 1/n."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import norm

from rgflow.comparison.statistics import fit_series, look_elsewhere
from rgflow.errors import RgflowError

WIDTHS = np.array([16.0, 32.0, 64.0, 128.0])


def test_one_component_has_the_two_sided_normal_p_value() -> None:
    np.testing.assert_allclose(look_elsewhere(np.array([1.0, 2.5, 9.0]), 1), 2 * norm.sf([1.0, 2.5, 9.0]), rtol=1e-12)


def test_many_components_make_a_large_z_likely() -> None:
    assert look_elsewhere(np.array(3.0), 1000) == pytest.approx(1 - (1 - 2 * norm.sf(3.0)) ** 1000, rel=1e-10)
    assert look_elsewhere(np.array(0.0), 10) == 1.0


def test_p_values_of_independent_maxima_are_uniform() -> None:
    largest = np.abs(np.random.default_rng(0).standard_normal((4000, 25))).max(1)
    p = look_elsewhere(largest, 25)
    assert abs(p.mean() - 0.5) < 4 / np.sqrt(12 * 4000)
    assert abs((p < 0.05).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize("powers", [(0, 1), (1, 2), (0, 1, 2)])
def test_a_noiseless_series_is_recovered_exactly(powers: tuple[int, ...]) -> None:
    true = np.array([[2.0, -1.0], [30.0, 7.0], [-400.0, 900.0]])[: len(powers)]
    values = sum(c[None] / WIDTHS[:, None] ** power for c, power in zip(true, powers, strict=True))
    fit = fit_series(values, np.array([[1.0, 0.1], [2.0, 0.1], [3.0, 0.2], [4.0, 0.3]]), WIDTHS, powers)
    np.testing.assert_allclose(fit.coefficients, true, rtol=1e-9)
    np.testing.assert_allclose(fit.chi2, 0.0, atol=1e-18)
    assert fit.dof == 4 - len(powers)


def test_errors_and_chi2_are_those_of_a_monte_carlo() -> None:
    rng = np.random.default_rng(3)
    stderr = np.array([0.4, 0.2, 0.1, 0.1])[:, None] * np.ones((1, 20000))
    values = 1.0 + 8.0 / WIDTHS[:, None] + stderr * rng.standard_normal(stderr.shape)
    fit = fit_series(values, stderr, WIDTHS, (0, 1))
    pull = (fit.coefficients - np.array([[1.0], [8.0]])) / fit.stderr
    np.testing.assert_allclose(pull.mean(1), 0.0, atol=4 / np.sqrt(20000))
    np.testing.assert_allclose((pull**2).mean(1), 1.0, atol=4 * np.sqrt(2 / 20000))
    np.testing.assert_allclose(fit.p_value, chi2_distribution.sf(fit.chi2, 2), rtol=1e-10)
    assert abs((fit.p_value < 0.1).mean() - 0.1) < 4 * np.sqrt(0.09 / 20000)


def test_weights_matter() -> None:
    values = np.array([[10.0], [1.0], [1.0], [1.0]])
    stderr = np.array([[1e3], [1.0], [1.0], [1.0]])
    assert fit_series(values, stderr, WIDTHS, (0,)).coefficients[0, 0] == pytest.approx(1.0, abs=1e-4)


def test_without_spare_widths_the_p_value_is_one() -> None:
    fit = fit_series(np.ones((2, 1)), np.ones((2, 1)), WIDTHS[:2], (0, 1))
    assert fit.dof == 0
    assert fit.p_value[0] == 1.0


def test_too_few_widths_are_refused() -> None:
    with pytest.raises(RgflowError, match="as many widths, got 1"):
        fit_series(np.ones((1, 1)), np.ones((1, 1)), WIDTHS[:1], (0, 1))
