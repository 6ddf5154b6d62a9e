"""z-scores, trends in 1/n and summaries on a synthetic world whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from synthetic import WIDTHS, ensembles, theory_at_initialization, trained, training_theory, with_next_order

from rgflow.comparison.compare import compare, compare_exact
from rgflow.comparison.quantities import INITIALIZATION
from rgflow.comparison.summary import format_table, summary_table, with_error
from rgflow.comparison.training import compare_training
from rgflow.errors import RgflowError


@pytest.fixture(scope="module")
def theory() -> xr.Dataset:
    return theory_at_initialization()


@pytest.fixture(scope="module")
def compared(theory: xr.Dataset) -> xr.Dataset:
    return compare(theory, ensembles(theory), INITIALIZATION)


def of(compared: xr.Dataset, name: str) -> xr.Dataset:
    return compared.isel(component=compared["component_quantity"].values == name)


def test_symmetric_components_are_counted_once_and_the_exact_first_layer_not_at_all(compared: xr.Dataset) -> None:
    layers, pairs = 5, 3
    assert int(compared["components"].sel(quantity="K")) == layers * pairs
    assert int(compared["components"].sel(quantity="V")) == layers * pairs * (pairs + 1) // 2
    assert compared["layer"].min() == 2


def test_z_scores_are_those_of_the_definition(theory: xr.Dataset, compared: xr.Dataset) -> None:
    experiment = ensembles(theory)
    at = {"layer": 4, "sample_1": 0, "sample_2": 1}
    mean, stderr = (float(experiment[name].sel(width=64, **at)) for name in ("K", "K_stderr"))
    K = of(compared, "K")
    here = K.isel(component=int(np.flatnonzero((K.layer == 4) & (K.sample_1 == 0) & (K.sample_2 == 1))[0])).sel(
        width=64
    )
    K0, G1 = float(theory["K"].sel(**at)), float(theory["G1"].sel(**at))
    assert float(here["z_leading"]) == pytest.approx((mean - K0) / stderr, rel=1e-6)
    assert float(here["z_next"]) == pytest.approx((mean - K0 - G1 / 64) / stderr, rel=1e-6)
    assert float(here["next_order_shift"]) == pytest.approx(G1 / 64 / stderr, rel=1e-6)


def test_leading_order_alone_is_rejected_and_the_extrapolation_is_not(theory: xr.Dataset) -> None:
    compared = compare(theory, ensembles(theory, precision=1e-4), INITIALIZATION)
    for name in ("K", "V", "Theta"):
        assert float(compared["z_leading_rms"].sel(quantity=name, width=32)) > 50
        assert float(compared["z_intercept_rms"].sel(quantity=name)) < 1.6
        assert float(compared["z_intercept_p_value"].sel(quantity=name)) > 1e-3
        assert float(compared["z_leading_p_value"].sel(quantity=name, width=32)) < 1e-12
    assert (of(compared, "V")["trend_p_value"] > 1e-4).all()


def test_deviation_falls_as_one_over_n_squared_after_the_next_order(theory: xr.Dataset) -> None:
    compared = compare(theory, ensembles(theory, precision=1e-6), INITIALIZATION)
    z = of(compared, "K")["z_next"] * of(compared, "K")["stderr"]
    ratio = np.abs(z.sel(width=32)).sum() / np.abs(z.sel(width=64)).sum()
    assert float(ratio) == pytest.approx(4.0, rel=0.01)


def test_errors_of_early_layers_survive_exponential_growth(theory: xr.Dataset) -> None:
    """The floor of rounding is relative to the layer: a kernel that grows by 1e10 leaves errors of layer 2 alone."""
    grown = theory[["K"]] * 100.0 ** theory["layer"]
    experiment = xr.concat([grown.assign(K_stderr=1e-3 * grown["K"] * (grown["layer"] > 1))] * 2, "width")
    K = compare(grown, experiment.assign_coords(width=[32, 64]), INITIALIZATION)
    np.testing.assert_allclose(K["stderr"], 1e-3 * K["experiment"], rtol=1e-3)


def test_slope_is_tested_against_the_known_next_order(theory: xr.Dataset) -> None:
    experiment = ensembles(theory, precision=1e-4)
    assert float(compare(theory, experiment, INITIALIZATION)["z_slope_rms"].sel(quantity="K")) < 1.6
    wrong = theory.assign(G1=1.1 * theory["G1"])
    assert float(compare(wrong, experiment, INITIALIZATION)["z_slope_rms"].sel(quantity="K")) > 2.5


def test_an_unknown_next_order_is_replaced_by_the_fitted_slope(compared: xr.Dataset) -> None:
    V = of(compared, "V")
    assert not V["next_order_known"].any()
    np.testing.assert_array_equal(V["next_order"], V["slope"])
    np.testing.assert_array_equal(V["z_next"], V["z_leading"])
    np.testing.assert_array_equal(V["z_slope"], 0.0)


def test_a_wrong_theory_is_rejected_at_infinite_width(theory: xr.Dataset) -> None:
    experiment = ensembles(theory, precision=1e-3)
    wrong = theory.assign(V=theory["V"] * 1.05)
    compared = compare(wrong, experiment, INITIALIZATION)
    assert float(compared["z_intercept_p_value"].sel(quantity="V")) < 1e-6
    assert float(compared["z_intercept_p_value"].sel(quantity="K")) > 1e-3


def test_a_single_width_gives_z_scores_but_no_fit(theory: xr.Dataset) -> None:
    compared = compare(theory, ensembles(theory).isel(width=[1]), INITIALIZATION)
    assert "intercept" not in compared
    assert np.isfinite(compared["z_next"]).all()
    rows = summary_table({"only one width": compared})
    assert [row.quantity for row in rows] == list(compared["quantity"].values)
    V = next(row for row in rows if row.quantity == "V")
    assert abs(V.score) == pytest.approx(float(abs(of(compared, "V")["z_next"]).max()))
    assert V.cells()[-3:-1] == ("-", "-")  # nothing is extrapolated
    assert V.cells()[-1] == f"{float(compared['z_next_rms'].sel(quantity='V')[0]):.2f} of {V.components}"


def test_two_widths_are_fitted_linearly(theory: xr.Dataset) -> None:
    experiment = ensembles(theory, curvature=0.0, precision=1e-4).isel(width=[0, 2])
    compared = compare(theory, experiment, INITIALIZATION)
    assert float(compared["z_intercept_rms"].sel(quantity="V")) < 1.6


def test_widths_that_no_series_describes_are_left_out_of_fits_and_keep_their_z(theory: xr.Dataset) -> None:
    experiment = ensembles(theory, precision=1e-4)
    beyond = experiment.isel(width=[0]).assign_coords(width=[4])
    spoiled = xr.concat([beyond.assign(V=3.0 * beyond["V"]), experiment], "width")
    naive, careful, empty = (compare(theory, spoiled, INITIALIZATION, start) for start in (0.0, 5.0, 1e9))
    assert naive.attrs["fit_widths"] == [4, *WIDTHS]
    assert careful.attrs["fit_widths"] == empty.attrs["fit_widths"] == list(WIDTHS)  # no fewer than three
    expected = compare(theory, experiment, INITIALIZATION)
    for name in ("intercept", "z_intercept", "slope", "fit_p_value"):  # but for the rounding of the largest value
        np.testing.assert_allclose(careful[name], expected[name], rtol=0.02, atol=1e-3)
    np.testing.assert_array_equal(careful["z_next"].sel(width=4), naive["z_next"].sel(width=4))
    assert float(naive["z_intercept_rms"].sel(quantity="V")) > 10.0


def test_everything_stored_is_finite(compared: xr.Dataset) -> None:
    for name, array in compared.data_vars.items():
        certain = name == "degrees_of_freedom"  # infinitely many: the errors are given
        assert certain or array.dtype.kind in "bi" or np.isfinite(array.values).all(), name


def test_different_setups_are_noticed_in_the_exact_layer(theory: xr.Dataset) -> None:
    experiment = ensembles(theory)
    experiment["K"] = experiment["K"].copy(data=experiment["K"].values)
    experiment["K"].loc[{"layer": 1}] *= 1.01
    with pytest.raises(RgflowError, match="K: components that do not fluctuate disagree"):
        compare(theory, experiment, INITIALIZATION)


def test_labels_that_differ_are_refused(theory: xr.Dataset) -> None:
    with pytest.raises(RgflowError, match="K: theory and experiment have different labels"):
        compare(theory.isel(layer=slice(3)), ensembles(theory), INITIALIZATION)


def test_nothing_in_common_is_refused(theory: xr.Dataset) -> None:
    with pytest.raises(RgflowError, match="share none of"):
        compare(theory[["G1"]], ensembles(theory), INITIALIZATION)


def test_non_finite_values_are_refused(theory: xr.Dataset) -> None:
    with pytest.raises(RgflowError, match=r"V: .* must be finite"):
        compare(theory.assign(V=theory["V"] * np.nan), ensembles(theory), INITIALIZATION)


def test_a_law_of_every_width_is_compared_width_by_width(theory: xr.Dataset) -> None:
    """The synthetic ensembles follow K + G1/n + 2 K/n^2 exactly; a law shifted at one width is rejected there alone."""
    data = ensembles(theory)
    n, deeper = data["width"], theory["layer"] > 1
    law = xr.Dataset({"K": theory["K"] + ((theory["G1"] / n + 2 * theory["K"] / n**2) * deeper)}).transpose(
        "width", ...
    )
    compared = compare_exact(law, data)
    assert compared["z_exact"].dims == ("width", "component")
    np.testing.assert_allclose(compared["z_exact_rms"], 1.0, atol=0.5)
    middle = law.where(law["width"] != WIDTHS[1], law * (1 + 0.1 * deeper)).transpose("width", ...)
    rms = compare_exact(middle, data)["z_exact_rms"].squeeze().values
    assert rms[1] > 5
    np.testing.assert_array_equal(rms[[0, 2]], compared["z_exact_rms"].squeeze().values[[0, 2]])


def test_training_compares_test_samples_only() -> None:
    theory = training_theory()
    compared = compare_training(theory, trained(theory))
    steps, samples = theory.sizes["step"], 3
    assert compared["components"].sel(quantity="prediction_mean") == steps * samples
    assert compared["components"].sel(quantity="prediction_covariance") == steps * samples * (samples + 1) // 2
    assert set(compared["sample"].values) == {-1, 3, 4, 5}
    assert float(compared["z_intercept_rms"].sel(quantity="prediction_mean")) < 1.6
    assert float(compared["z_leading_rms"].sel(quantity="prediction_mean", width=WIDTHS[0])) < 3


def test_trained_ntk_is_compared_with_the_frozen_one() -> None:
    theory = training_theory()
    experiment = trained(theory)
    compared = compare_training(theory, experiment)
    NTK = of(compared, "NTK")
    assert NTK.sizes["component"] == 2 * 3
    mixed = NTK.isel(component=np.flatnonzero((NTK.ntk_sample_1 == 1) & (NTK.ntk_sample_2 == 4)))
    np.testing.assert_allclose(mixed["theory"], theory["Theta_output"].sel(sample_1=1, sample_2=4))
    assert float(compared["z_leading_rms"].sel(quantity="NTK", width=WIDTHS[0])) > 5
    assert float(compared["z_intercept_p_value"].sel(quantity="NTK")) > 1e-3
    without = compare_training(theory, experiment.drop_vars(["NTK", "NTK_stderr"]))
    assert "NTK" not in without["quantity"].values


def test_control_variates_give_way_to_plain_estimates_of_lower_error() -> None:
    theory = with_next_order(training_theory())
    experiment = trained(theory)
    factor = xr.DataArray(np.where(np.arange(theory.sizes["step"]) < 4, 0.5, 2.0), dims="step")  # of the plain error
    value, stderr = (experiment[f"prediction_mean{suffix}"] for suffix in ("", "_stderr"))
    excess = {
        "prediction_mean_excess": (value + 1.0 - theory["prediction_mean"]) * experiment["width"],
        "prediction_mean_excess_stderr": factor * stderr * experiment["width"],
    }
    compared = compare_training(theory, experiment.assign(excess))
    plain, best = of(compared, "prediction_mean"), of(compared, "prediction_mean_excess")
    controlled = best["step"] < theory["step"][4]
    np.testing.assert_allclose(best["experiment"], plain["experiment"] + 1.0 * controlled)
    np.testing.assert_allclose(best["stderr"], plain["stderr"] * xr.where(controlled, 0.5, 1.0), rtol=1e-4)


def test_summary_table_is_short_and_shows_the_worst_component(compared: xr.Dataset) -> None:
    rows = summary_table({"relu": compared, "gelu": compared}, most_rows=5)
    assert len(rows) == 5
    worst = np.abs(of(compared, "V")["z_intercept"]).max()
    V = next(row for row in summary_table({"relu": compared}) if row.quantity == "V")
    assert abs(V.z_intercept) == pytest.approx(float(worst))
    assert V.width == max(WIDTHS)
    lines = format_table(rows).splitlines()
    assert len(lines) == 6
    assert all(len(line) < 160 for line in lines)
    assert "layer" in lines[1]


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [(35.214, 0.478, "35.21(48)"), (1.0, 0.00012, "1.00000(12)"), (123.4, 31.0, "123(31)"), (0.5, 0.0, "0.5")],
)
def test_values_are_written_with_two_digits_of_error(value: float, stderr: float, text: str) -> None:
    assert with_error(value, stderr) == text
