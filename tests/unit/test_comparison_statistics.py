"""Look-elsewhere p-values and weighted series in 1/n."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import norm
from scipy.stats import t as student

from rgflow.comparison.statistics import combined_dof, fit_series, look_elsewhere, normal_score, pooled_weights
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


@pytest.mark.parametrize("dof", [1, 2, 5, 30, 1000])
def test_normal_scores_have_the_p_values_of_student(dof: int) -> None:
    t = np.array([-8.0, -2.0, -0.1, 0.0, 0.5, 3.0, 12.0])
    np.testing.assert_allclose(2 * norm.sf(abs(normal_score(t, dof))), 2 * student.sf(abs(t), dof), rtol=1e-9)
    assert (np.sign(normal_score(t, dof)) == np.sign(t)).all()


def test_normal_scores_of_certain_errors_are_the_deviations_and_never_overflow() -> None:
    t = np.array([-1e5, -2.0, 0.0, 1e5])
    np.testing.assert_array_equal(normal_score(t, np.inf), t)
    scores = normal_score(np.array([10.0, 1e2, 1e3, 1e5]), 1000)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()


GROUPS = (3, 4, 6, 10, 20, 40, 100)  # what configurations offer; with two groups the p-values are too large
TRIALS = 40_000


def null_ensembles(groups: int, widths: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and errors (width, trial) from groups of normal draws around zero, noisier at some widths."""
    rng = np.random.default_rng([seed, groups])
    draws = rng.standard_normal((widths, TRIALS, groups)) * np.array([1.0, 0.7, 0.5, 0.4])[:widths, None, None]
    return draws.mean(2), draws.std(2, ddof=1) / np.sqrt(groups)


@pytest.mark.parametrize("groups", GROUPS)
def test_under_the_null_small_p_values_are_as_rare_as_they_say(groups: int) -> None:
    """P(p < 0.01) of a single z, of the intercept of fits, and of their chi^2, for every number of groups."""
    values, stderr = null_ensembles(groups, 4, 7)
    dof = groups - 1.0
    single = look_elsewhere(abs(normal_score(values[0] / stderr[0], dof)), 1)
    assert 0.005 < (single < 0.01).mean() < 0.02
    for widths, powers in ((3, (0, 1)), (3, (0, 1, 2)), (4, (0, 1, 2))):
        weights = pooled_weights(stderr[:widths])
        fit = fit_series(values[:widths], stderr[:widths], WIDTHS[:widths], powers, dof, weights)
        intercept = look_elsewhere(abs(fit.scores(0, 0.0)), 1)
        assert 0.005 < (intercept < 0.01).mean() < 0.02, (widths, powers)
        if fit.dof and groups > 4:
            assert (fit.p_value < 0.01).mean() < 0.02, (widths, powers)


def test_normal_errors_from_few_groups_would_be_rejected_far_too_often() -> None:
    values, stderr = null_ensembles(4, 1, 7)
    assert (look_elsewhere(abs(values[0] / stderr[0]), 1) < 0.01).mean() > 0.05


def test_degrees_of_freedom_of_a_sum() -> None:
    equal = combined_dof(np.ones((3, 1)), np.array([5.0, 5.0, 5.0]))
    assert equal[0] == pytest.approx(15.0)
    one_dominates = combined_dof(np.array([[1.0], [1e-9]]), np.array([5.0, 50.0]))
    assert one_dominates[0] == pytest.approx(5.0, rel=1e-6)
    assert np.isinf(combined_dof(np.ones((2, 1)), np.array([np.inf, np.inf]))[0])


def test_weights_are_common_to_components_and_follow_the_width() -> None:
    stderr = np.array([1.0, 0.5, 0.25])[:, None] * np.array([3.0, 10.0])
    weights = pooled_weights(stderr)
    np.testing.assert_allclose(weights[:, 0], weights[:, 1])
    np.testing.assert_allclose(weights[:, 0] / weights[0, 0], [1.0, 4.0, 16.0])
