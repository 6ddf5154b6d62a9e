"""Every figure draws what its datasets say: data on the lines, labels, the same bytes for the same input."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from running import everything, read_by
from synthetic import (
    WIDTHS,
    ensembles,
    learning_curve,
    theory_at_initialization,
    trained,
    training_theory,
    with_next_order,
)

from rgflow.chapters.initialization.figures.correlation import correlation, correlation_stderr
from rgflow.chapters.initialization.figures.gaussianity import correlation_of_squares, excess_kurtosis
from rgflow.chapters.training.figures.deviation import deviation
from rgflow.chapters.training.figures.final_predictions import spread_test_samples
from rgflow.comparison.compare import compare, compare_exact
from rgflow.comparison.exponents import depth_exponents
from rgflow.comparison.quantities import DNTK, INITIALIZATION
from rgflow.comparison.training import compare_training
from rgflow.errors import RgflowError
from rgflow.figures.component import along_layers, tensor_symbol
from rgflow.figures.style import new_figure, save_figure, width_colors
from rgflow.practice.contest import at_best_rate
from rgflow.study.catalogue import chapters, find_figure
from rgflow.study.catalogue import figures as all_figures
from rgflow.study.plan import Study
from rgflow.theory.depth.exponents import exponent_table
from rgflow.theory.learning.generalization import generalization


def _sources() -> dict[str, dict[str, object]]:
    everything = theory_at_initialization()
    theory = everything[["K", "G1", "Theta", "Theta1", "V"]]
    cell = {"theory": theory, "ensembles": ensembles(everything).assign(preactivation=_preactivation())}
    cell["comparison"] = compare(theory, cell["ensembles"], INITIALIZATION)
    laws = xr.concat(
        [theory.assign(K=theory["K"] + theory["G1"] / n) for n in WIDTHS], xr.Variable("width", list(WIDTHS))
    )
    cell["exact"] = compare_exact(laws, cell["ensembles"])
    learning = with_next_order(training_theory())
    learned = trained(learning)
    phase = xr.Dataset(
        {name: (("C_b", "C_W"), np.linspace(0.1, 1.9, 20).reshape(4, 5)) for name in ("chi_perp", "chi_parallel")},
        coords={"C_b": np.linspace(0, 1, 4), "C_W": np.linspace(0.5, 2.5, 5)},
    ).assign(K_star=(("C_b", "C_W"), np.where(np.arange(20).reshape(4, 5) > 17, np.inf, 1.0)))
    study = {
        "comparisons": {
            "relu initialization": cell["comparison"],
            "relu training": compare_training(learning, learned),
        },
        "exponents": {"relu": depth_exponents(theory, cell["ensembles"])},
    }
    phases = {
        "tanh": phase.assign(critical_C_b=0.0, critical_C_W=1.0)
        .merge(exponent_table("tanh", 200))
        .assign_attrs(universality_class="K*=0"),
        "sigmoid": phase.assign(critical_C_b=np.nan, critical_C_W=np.nan).assign_attrs(universality_class="none"),
    }
    learning_cell = {"theory": learning, "trained": learned, "inputs": _inputs(learning), "curve": learning_curve()}
    learning_cell["generalization"] = generalization(
        {depth: _with_test_losses(depth) for depth in (2, 4)}, WIDTHS
    ).assign(optimal_aspect_ratio=0.26)
    criticality = {"phases": phases}
    differentials = everything[["V"]].rename(V="P").assign(T=everything["V"])
    return {
        "dntk": {"comparison": compare(differentials.isel(layer=[-1]), _sampled_last_layer(differentials), DNTK)},
        "initialization": cell,
        "training": learning_cell,
        "overview": study,
        "inputs": learning_cell,
        "criticality": criticality,
        "bayes": _posteriors(),
        "practice": _practice(),
    }


def _posteriors() -> dict[str, object]:
    """What the figures of Bayesian learning read, of a study of a second."""
    study = {
        "study": "test",
        "inputs": {"source": "digits", "classes": [0, 1, 2], "train": 2, "test": 2, "probes": 2},
        "networks": {"activation": "relu", "depth": 2, "width": [8, 16]},
        "ensemble": None,
        "training": None,
        "bayes": {"train": 2, "test": 2, "islands": 4, "particles": 8, "evidence": {"C_b": 0.0, "C_W": [1.0, 2.0]}},
    }
    found = everything(Study(study))
    drawn = [figure for chapter in chapters() if chapter.name == "bayes" for figure in chapter.figures]
    return {role: one for figure in drawn for role, one in read_by(figure, found, ("theories", "posteriors")).items()}


def _practice() -> dict[str, object]:
    """What the figures of practice read: signals and losses of two activations, some of them diverged."""
    study = {
        "study": "test",
        "inputs": {"source": "digits", "train": 4, "test": 4, "probes": 2},
        "networks": {"activation": ["relu", "gelu"], "width": 8},
        "ensemble": None,
        "training": None,
        "practice": {"depth": 3, "seeds": 3, "steps": 3, "factors": [0.5, 1e6], "adam_rates": [0.01, 1.0]},
    }
    (chapter,) = (one for one in chapters() if one.name == "practice")
    found = everything(Study(study), chapter)
    drawn = {"theories": found["theory/practice"], "trainings": found["practice/training"]}
    return {role: dict(zip(("relu, depth 3", "gelu, depth 3"), cells, strict=True)) for role, cells in drawn.items()}


def _with_test_losses(depth: int) -> xr.Dataset:
    """What ``generalization`` takes of a theory: losses at the end of training and order 1/n, proportional to depth."""
    losses = {"loss": 1.0, "bias": 0.4, "variance": 0.6}
    return xr.Dataset(
        {f"test_{part}_limit": value for part, value in losses.items()}
        | {f"test_{part}1_limit": depth * value for part, value in losses.items()}
    )


def _sampled_last_layer(theory: xr.Dataset) -> xr.Dataset:
    """Estimates 1 + 1/n times theory, with errors of one percent."""
    last = theory.isel(layer=[-1])
    of_width = [last * (1 + 1 / n) for n in WIDTHS]
    estimates = xr.concat(of_width, xr.Variable("width", list(WIDTHS)))
    return estimates.merge({f"{name}_stderr": 0.01 * abs(values) + 1e-9 for name, values in estimates.items()})


def _preactivation() -> xr.DataArray:
    z = np.random.default_rng(4).standard_normal((3, 300, 6, 2, 2))
    return xr.DataArray(
        z,
        dims=("width", "member", "layer", "output_1", "sample_1"),
        coords={"width": list(WIDTHS), "layer": np.arange(1, 7)},
    )


def _inputs(learning: xr.Dataset) -> xr.Dataset:
    samples = learning.sizes["sample"]
    x = np.random.default_rng(5).standard_normal((samples, 64))
    return xr.Dataset(
        {
            "x": (("sample", "feature"), x),
            "y": (("sample", "output"), np.where(np.arange(samples) % 2, 1.0, -1.0)[:, None]),
            "probe": ("sample", np.arange(samples) < 2),
        },
        coords={"role": learning["role"], "label": ("sample", np.arange(samples) % 2)},
    )


@pytest.fixture(scope="module")
def sources() -> dict[str, dict[str, object]]:
    return _sources()


@pytest.fixture(scope="module")
def figures(sources: dict[str, dict[str, object]]) -> dict[str, Figure]:
    return {
        figure.name: draw(figure.name, **{role: sources[chapter.name][role] for role in figure.reads})
        for chapter in chapters()
        for figure in chapter.figures
    }


def draw(name: str, **datasets: object) -> Figure:
    drawn: Figure = import_module(find_figure(name).draw).draw(**datasets)
    return drawn


@pytest.mark.parametrize("name", all_figures())
def test_every_figure_can_be_written(name: str, figures: dict[str, Figure], tmp_path: Path) -> None:
    save_figure(figures[name], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_data_give_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        figure = new_figure(1.0, 2.0)
        figure.subplots().errorbar([1, 2], [3, 4], [0.1, 0.2], label=r"$\Theta$")
        save_figure(figure, tmp_path / f"{name}{suffix}")
    first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("first", "second"))
    assert first == second


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RgflowError, match=r"a\.txt: figures are written as \.png, \.svg, \.pdf"):
        save_figure(new_figure(1.0), tmp_path / "a.txt")


def test_depth_shows_theory_as_line_and_every_width_with_its_errors(
    figures: dict[str, Figure], sources: dict[str, dict[str, object]]
) -> None:
    theory, data = sources["initialization"]["theory"], sources["initialization"]["ensembles"]
    kernel = figures["depth"].axes[0]
    np.testing.assert_allclose(kernel.lines[0].get_ydata(orig=False), theory["K"][:, 0, 0])
    assert len(kernel.containers) == len(WIDTHS)
    for container, n in zip(kernel.containers, WIDTHS, strict=True):
        np.testing.assert_allclose(container.lines[0].get_ydata(orig=False), data["K"].sel(width=n)[:, 0, 0])
        bars = np.array([segment[:, 1] for segment in container.lines[2][0].get_segments()])
        np.testing.assert_allclose(np.ptp(bars, axis=1), 2 * data["K_stderr"].sel(width=n)[:, 0, 0], atol=1e-12)


def test_depth_draws_negative_tensors_with_positive_error_bars() -> None:
    negative = -theory_at_initialization()
    data = ensembles(negative)
    drawn = draw("depth", theory=negative, ensembles=data, comparison=compare(negative, data, INITIALIZATION))
    assert all(axes.containers for axes in drawn.axes[: len(data["width"])])


def test_kernel_flow_shows_the_recursion_as_points_and_the_law_dashed(
    figures: dict[str, Figure], sources: dict[str, dict[str, object]]
) -> None:
    laws = sources["criticality"]["phases"]["tanh"].sel(quantity="K2")
    dashed, points, _ = figures["kernel_flow"].axes[2].lines
    np.testing.assert_allclose(points.get_ydata(), laws["flow"])
    np.testing.assert_allclose(dashed.get_ydata(), laws["flow_predicted"])
    assert dashed.get_linestyle() == "--"


def test_negative_tensors_are_open(figures: dict[str, Figure], sources: dict[str, dict[str, object]]) -> None:
    laws = sources["criticality"]["phases"]["tanh"]
    for axes, name, negative in zip(figures["tensors"].axes[:2], ("V/K^2", "D/(K Theta)"), (False, True), strict=True):
        _, filled, empty = axes.lines[:3]
        drawn, other = (empty, filled) if negative else (filled, empty)
        np.testing.assert_allclose(drawn.get_ydata(), abs(laws["flow"].sel(quantity=name)[1:]))  # 0 in layer 1
        assert len(other.get_ydata()) == 0
        assert (empty.get_markerfacecolor(), axes.get_yscale()) == ("white", "log")


def test_table_states_predicted_and_fitted_laws(figures: dict[str, Figure]) -> None:
    texts = [text.get_text() for text in figures["exponent_table"].axes[0].texts]
    assert "tanh ($K^*=0$)" in texts
    assert "0.66667" in texts  # V/K^2 ~ 2/3 l
    assert "\N{MINUS SIGN}1" in texts  # K ~ 1/l
    assert "–" in texts  # the coefficient of K[1] is open
    assert all("sigmoid" not in text for text in texts)


def test_a_study_without_power_laws_says_so(sources: dict[str, dict[str, object]]) -> None:
    phases = {"sigmoid": sources["criticality"]["phases"]["sigmoid"]}
    for name in ("kernel_flow", "tensors", "exponent_table"):
        (text,) = draw(name, phases=phases).texts
        assert "No activation" in text.get_text()


def test_extrapolation_curve_passes_through_the_reported_intercept(
    figures: dict[str, Figure], sources: dict[str, dict[str, object]]
) -> None:
    comparison = sources["initialization"]["comparison"]
    point = along_layers(comparison, "K", (0, 0)).isel(component=-1)
    curve = next(line for line in figures["extrapolation"].axes[0].lines if len(line.get_xdata()) == 60)
    assert curve.get_ydata(orig=False)[0] == pytest.approx(float(point["intercept"] / point["theory"]), rel=1e-9)


def test_loss_curves_hold_theory_and_ensemble_means(
    figures: dict[str, Figure], sources: dict[str, dict[str, object]]
) -> None:
    cell = sources["training"]
    losses = figures["training_curves"].axes[1]
    np.testing.assert_allclose(losses.lines[0].get_ydata(orig=False), cell["theory"]["test_loss"])
    np.testing.assert_allclose(
        losses.containers[-1].lines[0].get_ydata(orig=False), cell["trained"]["test_loss"].sel(width=WIDTHS[-1])
    )


def test_what_order_one_over_n_explains_is_taken_off_below(figures: dict[str, Figure]) -> None:
    """Means are shifted by exactly 2/n in these ensembles, as order 1/n says; the panel shows n times that."""
    path = figures["nearly_kernel"].axes[0]
    total = next(line for line in path.lines if line.get_label() == "order $1/n$")
    np.testing.assert_allclose(total.get_ydata(orig=False), 2.0)
    shares = [line.get_ydata(orig=False)[0] for line in path.lines if line.get_label() in ("frozen", "dNTK", "ddNTK")]
    np.testing.assert_allclose(shares, [2 / 3] * 3)
    upper, lower = (figures["training_curves"].axes[row] for row in (2, 4))
    before, after = (axes.containers[-1].lines[0].get_ydata(orig=False) for axes in (upper, lower))
    np.testing.assert_allclose(before, after)  # order 1/n of the loss is zero in these


def test_the_ratio_at_which_orders_are_equal_is_that_of_the_losses(figures: dict[str, Figure]) -> None:
    _, ratios = figures["generalization"].axes
    np.testing.assert_allclose(ratios.lines[0].get_ydata(orig=False), 1.0)  # |q1|/q = L, so L/n = 1


def test_histograms_hold_every_member(figures: dict[str, Figure]) -> None:
    panels = [axes for axes in figures["final_predictions"].axes if axes.patches]
    assert len(panels) == 3 * len(WIDTHS)
    areas = [sum(bar.get_height() * bar.get_width() for bar in axes.patches) for axes in panels]
    np.testing.assert_allclose(areas, 1.0, rtol=1e-9)


def test_shown_test_samples_span_the_predictions() -> None:
    theory = training_theory(samples=12)
    chosen = spread_test_samples(theory, 4)
    final = theory["prediction_mean"].isel(step=-1, output=0).values
    assert (chosen >= 6).all()
    assert len(set(chosen)) == 4
    assert final[chosen[0]] == final[6:].min()
    assert final[chosen[-1]] == final[6:].max()


def test_overview_counts_every_component(figures: dict[str, Figure], sources: dict[str, dict[str, object]]) -> None:
    total = sum(comparison.sizes["component"] for comparison in sources["overview"]["comparisons"].values())
    strips, histogram, *_ = figures["z_overview"].axes
    drawn = sum(len(line.get_xdata()) for line in strips.lines if line.get_marker() in (".", "o"))
    assert drawn == total
    assert histogram.get_title().startswith(f"{total} components")


def test_excess_kurtosis_of_a_normal_mixture() -> None:
    rng = np.random.default_rng(6)
    scale = np.where(rng.random((400_000, 1)) < 0.5, 1.0, np.sqrt(2.0))
    value, stderr = excess_kurtosis(scale * rng.standard_normal(scale.shape))
    assert abs(value - 1 / 3) < 4 * stderr  # 3 E s^4 / (E s^2)^2 - 3 = 3 * 2.5 / 2.25 - 3
    assert 0.005 < stderr < 0.03


def test_correlation_of_squares_of_a_common_scale() -> None:
    """z_i = s u_i with s^2 = 1 or 3: E[z_1^2 z_2^2] = E s^4 = 5, E z^2 = 2, so 5/4 - 1."""
    rng = np.random.default_rng(12)
    z = np.sqrt(rng.choice([1.0, 3.0], size=(40000, 1))) * rng.standard_normal((40000, 2))
    value, stderr = correlation_of_squares(z)
    assert abs(value - 0.25) < 4 * stderr
    assert stderr < 0.03
    repeats = [correlation_of_squares(part)[0] for part in np.split(z, 40)]
    assert np.std(repeats) / np.sqrt(40) == pytest.approx(stderr, rel=0.4)


def test_correlation_shows_the_ensembles(sources: dict[str, dict[str, object]], figures: dict[str, Figure]) -> None:
    cell = sources["initialization"]
    points = figures["correlation"].axes[0].containers[0]
    expected = correlation(cell["ensembles"]["K"].sel(width=WIDTHS[0]))
    np.testing.assert_allclose(np.asarray(points.lines[0].get_ydata(), dtype=float), expected.values)


def test_errors_of_correlation_are_those_of_sampled_networks() -> None:
    """Metrics G with covariance V/n: the error of the mean's correlation is the scatter of such correlations."""
    rng = np.random.default_rng(13)
    K, n, members = np.array([[1.0, 0.6], [0.6, 1.3]]), 50, 400
    V = np.einsum("ac,bd->abcd", K, K) + np.einsum("ad,bc->abcd", K, K)
    z = rng.standard_normal((200, members, n, 2)) @ np.linalg.cholesky(K).T
    means = np.einsum("rmna,rmnb->rab", z, z) / (members * n)
    scatter = (means[:, 0, 1] / np.sqrt(means[:, 0, 0] * means[:, 1, 1])).std()
    pair, quad = ("layer", "sample_1", "sample_2"), ("layer", "sample_1", "sample_2", "sample_3", "sample_4")
    stderr = np.full((1, 2, 2), np.sqrt(V[0, 0, 0, 0] / (n * members)))
    ensemble = xr.Dataset({"K": (pair, K[None]), "K_stderr": (pair, stderr)}, {"layer": [2]})
    found = correlation_stderr(correlation(ensemble["K"]), ensemble, xr.Dataset({"V": (quad, V[None])}, {"layer": [2]}))
    assert float(found[0]) == pytest.approx(scatter, rel=0.2)


def test_neurons_of_one_member_do_not_count_as_independent() -> None:
    z = np.random.default_rng(7).standard_normal((1000, 1))
    once, twice = excess_kurtosis(z), excess_kurtosis(np.repeat(z, 2, axis=1))
    assert twice == pytest.approx(once, rel=1e-12)


def test_wider_networks_are_darker() -> None:
    luminance = [sum(matplotlib.colors.to_rgb(color)) for color in width_colors((256, 16, 64)).values()]
    assert luminance == sorted(luminance, reverse=True)
    assert list(width_colors((256, 16, 64))) == [16, 64, 256]


def test_drawing_leaves_the_settings_of_the_user_alone(sources: dict[str, dict[str, object]]) -> None:
    matplotlib.rcParams["lines.linewidth"] = 7.0
    before = {
        name: value for name, value in matplotlib.rcParams.items() if name != "backend"
    }  # resolved when first read
    comparison = sources["initialization"]["comparison"]
    draw("extrapolation", comparison=comparison)
    assert {name: matplotlib.rcParams[name] for name in before} == before
    assert draw("extrapolation", comparison=comparison).axes[0].lines[0].get_linewidth() < 7.0


def test_a_component_that_is_not_there_is_named(sources: dict[str, dict[str, object]]) -> None:
    with pytest.raises(RgflowError, match=r"no component \(0, 9\) of K"):
        along_layers(sources["initialization"]["comparison"], "K", (0, 9))


def test_symbols_carry_the_index_structure() -> None:
    assert tensor_symbol("V", (0, 0, 1, 1)) == "$V_{(00)(11)}$"
    assert tensor_symbol("A", (0, 1, 0, 1)) == "$A_{(01)(01)}$"
    assert tensor_symbol("T3", (0, 1, 1)) == "$T_{0(11)}$"
    assert tensor_symbol("Theta", (0, 1)) == r"$\Theta_{01}$"


def test_deviations_take_control_variates_where_these_lower_the_error() -> None:
    theory = with_next_order(training_theory())
    steps = theory["step"]
    error = xr.zeros_like(steps, dtype=float) + 1.0
    theory = theory.assign(test_loss=error * 2.0)
    both = xr.Dataset(
        {
            "test_loss": error * 3.0,
            "test_loss_stderr": error,
            "test_loss_excess": error * 80.0,
            "test_loss_excess_stderr": (error * 40.0).where(steps > 0, 4.0),
        }
    ).expand_dims(width=[8])
    value, stderr = deviation(theory, both, "test_loss", 8)
    np.testing.assert_allclose(stderr, np.where(steps > 0, 1.0, 0.5))
    np.testing.assert_allclose(value, np.where(steps > 0, 1.0, 10.0))


def test_losses_after_training_are_drawn_seed_by_seed(
    figures: dict[str, Figure], sources: dict[str, dict[str, object]]
) -> None:
    training = sources["practice"]["trainings"]["gelu, depth 3"]
    panel = figures["losses"].axes[3]  # second row: adam; second column: gelu
    best = at_best_rate(training).sel(optimizer="adam", recipe="torch").values
    zero, points = panel.lines[0], panel.lines[1]
    np.testing.assert_allclose(points.get_ydata(), best)
    np.testing.assert_allclose(zero.get_ydata(), float(training["contest_zero_loss"]))
    assert panel.get_yscale() == "log"
