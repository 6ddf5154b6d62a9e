"""The stages of studies of training, in memory: from the configuration to the comparison and to every figure."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from running import everything as everything_of

from rgflow.chapters.training.chapter import CHAPTER, FIGURES
from rgflow.errors import RgflowError
from rgflow.study.plan import Study

RAW: dict[str, Any] = {
    "study": "test",
    "inputs": {"source": "gaussian", "features": 4, "train": 3, "test": 2, "probes": 2},
    "networks": {"activation": ["tanh", "relu"], "depth": 2, "width": [8, 16]},
    "ensemble": None,
    "training": {"members": 64, "block": 32, "steps": 20, "records": 4, "ntk_steps": "ends"},
}
PLAIN = {"prediction_mean", "prediction_covariance", "NTK"} | {
    f"{role}_{part}" for role in ("train", "test") for part in ("loss", "bias", "variance")
}
SHARP = {"antithetic": True, "control_variates": True, "dtype": "float64"}


def changed(inputs: dict[str, Any] | None = None, networks: dict[str, Any] | None = None, **training: Any) -> Study:
    """The study with keys of its sections changed."""
    sections = {"inputs": inputs or {}, "networks": networks or {}, "training": training}
    return Study({**RAW, **{name: {**RAW[name], **change} for name, change in sections.items()}})


def everything(study: Study) -> dict[str, list[xr.Dataset]]:
    """All stages of training."""
    return everything_of(study, CHAPTER)


def along_widths(found: dict[str, list[xr.Dataset]], widths: int = 2) -> list[xr.Dataset]:
    """Ensembles of each cell along the width, as figures get them."""
    cells = found["training/combine"]
    of_cells = (cells[start : start + widths] for start in range(0, len(cells), widths))
    return [xr.concat(cell, xr.Variable("width", [8, 16][:widths])) for cell in of_cells]


def drawn(study: Study, found: dict[str, list[xr.Dataset]], widths: int = 2) -> dict[str, list[Figure]]:
    """All figures of all their cells that the study has."""
    trained, pictures = along_widths(found, widths), {}
    labels = study.cells("theory/training")
    for figure in FIGURES:
        cells = study.figure_cells(figure)
        here = [k for k, cell in enumerate(labels) if any(all(cell[a] == one[a] for a in one) for one in cells)]
        roles = {"theory": found["theory/training"], "trained": trained, "inputs": found["inputs"] * len(trained)}
        if "theory" in figure.reads:
            sources = [{role: roles[role][k] for role in figure.reads} for k in here]
        else:
            ((role, stage),) = figure.reads.items()
            sources = [{role: dataset} for dataset in found.get(stage, [])]
        pictures[figure.name] = [import_module(figure.draw).draw(**source) for source in sources]
        assert len(sources) >= len(cells)
        for picture in pictures[figure.name]:
            picture.draw_without_rendering()
    return {name: figures for name, figures in pictures.items() if figures}


def test_trained_networks_are_compared_with_theory_and_drawn() -> None:
    study = changed()
    found = everything(study)
    assert len(found["training/block"]) == 8
    smooth, kinked = found["theory/training"]
    assert "prediction_mean1" in smooth
    assert "not_predicted" not in smooth.attrs
    assert "prediction_mean1" not in kinked
    assert kinked.attrs["not_predicted"] == "relu has kinks: order 1/n of training"
    for compared in found["comparison/training"]:
        assert set(compared["quantity"].values) == PLAIN
        assert float(compared["z_next_max"].sel(quantity="prediction_mean").max()) < 5.0
    pictures = {name: len(figures) for name, figures in drawn(study, found).items()}
    assert pictures == {
        "training_curves": 2,
        "prediction_paths": 2,
        "final_predictions": 2,
        "prediction_covariance": 2,
        "ntk_change": 2,
        "nearly_kernel": 1,
        "generalization": 1,
    }


def test_control_variates_resolve_order_one_over_n() -> None:
    """At these widths the kernel prediction is off by many errors, and order 1/n explains most of that."""
    found = everything(changed(networks={"activation": "tanh", "width": [32, 64]}, members=256, block=256, **SHARP))
    (theory,), (compared,) = found["theory/training"], found["comparison/training"]
    assert {"linear_mean1", "linear_product1", "start_product1", "start_NTK1"} <= set(theory.data_vars)
    assert set(compared["quantity"].values) == PLAIN | {f"{name}_excess" for name in PLAIN}
    for name in ("train_loss_excess", "NTK_excess"):
        scores = compared.sel(quantity=name, width=64)
        assert float(scores["z_leading_rms"]) > 3.0
        assert float(scores["z_next_rms"]) < 0.5 * float(scores["z_leading_rms"])
    sharper = compared["stderr"].where(compared["component_quantity"] == "test_loss_excess").min()
    assert float(sharper) < float(compared["stderr"].where(compared["component_quantity"] == "test_loss").min())


def test_learning_curves_and_trainings_of_every_kind_are_cells_of_one_study() -> None:
    study = changed(
        networks={"activation": "tanh"}, train=[2, 3], step_fraction=[0.25, 0.5], learning_rates=[{}, "equivalence"]
    )
    found = everything(study)
    assert len(found["theory/training"]) == len(found["comparison/training"]) == 8
    assert len(study.cells("comparison/learning_curve")) == 4
    curve = found["comparison/learning_curve"][0]
    assert curve["train"].values.tolist() == [2, 3]
    assert {"test_bias", "test_variance_infinite", "test_loss1"} <= set(curve.data_vars)
    np.testing.assert_allclose(curve["test_loss"], curve["test_bias"] + curve["test_variance"], rtol=1e-9, atol=1e-12)
    rates = {float(cell["learning_rate"]) for cell in found["theory/learning_rate"]}
    assert len(rates) == 8  # of two tasks, two step sizes and two tensors
    pictures = drawn(study, found)
    assert len(pictures["learning_curves"]) == 4
    assert len(pictures["training_curves"]) == 8


def test_a_smaller_train_set_is_the_first_part_of_the_larger_and_has_the_same_test_inputs() -> None:
    found = everything(changed(networks={"activation": "tanh"}, train=[2, 3]))
    few, all_of_them = found["theory/training"]
    assert (few["role"] == "train").sum() == 2
    np.testing.assert_allclose(few["Theta_output"][:2, :2], all_of_them["Theta_output"][:2, :2], rtol=1e-12)
    np.testing.assert_allclose(few["Theta_output"][2:, 2:], all_of_them["Theta_output"][3:, 3:], rtol=1e-12)


def test_regression_with_several_outputs_from_a_file(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(9, 4))
    np.savez(tmp_path / "waves.npz", x=x, y=np.stack([np.sin(x[:, 0]), 0.3 * x[:, 1] ** 2], axis=1))
    inputs = {"source": "npz", "path": str(tmp_path / "waves.npz"), "normalization": "sphere"}
    study = changed(inputs=inputs, networks={"activation": "tanh", "width": [64, 128]}, members=512, **SHARP)
    found = everything(study)
    assert found["inputs"][0]["y"].shape == (5, 2)
    (compared,) = found["comparison/training"]
    between = compared["component_quantity"] == "prediction_covariance_excess"
    assert set(compared["output_2"].values[between]) == {0, 1}
    scores = compared.sel(quantity="NTK_excess", width=128)
    assert float(scores["z_next_rms"]) < 0.5 * float(scores["z_leading_rms"])
    assert len(drawn(study, found)) == 7


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ({"optimizer": "adam", "learning_rate": 0.01}, "optimizer = adam"),
        ({"momentum": 0.5}, "momentum = 0.5"),
        ({"batch_size": 2}, "batch_size = 2"),
        ({"loss": "cross_entropy"}, "loss = cross_entropy"),
    ],
)
def test_what_theory_does_not_predict_is_trained_drawn_and_named(method: dict[str, Any], what: str) -> None:
    study = changed(inputs={"classes": [0, 1]}, networks={"activation": "tanh"}, **method)
    if method.get("loss"):
        study = changed(inputs={"source": "digits", "classes": [0, 1, 2]}, networks={"activation": "tanh"}, **method)
    found = everything(study)
    assert len(found["training/combine"]) == 2
    assert study.cells("comparison/training") == []
    (theory,) = found["theory/training"]
    assert theory.attrs["not_predicted"] == f"{what}: mean, covariance and losses in training"
    assert "prediction_mean" not in theory
    assert set(drawn(study, found)) == {"training_curves", "ntk_change"}
    has_parts = "train_bias" in found["training/combine"][0]
    assert has_parts == (method.get("loss") is None)


def test_one_width_and_theory_of_leading_order_alone() -> None:
    study = changed(networks={"activation": "tanh", "width": 8}, order="leading", ntk_steps="none")
    found = everything(study)
    (theory,), (compared,) = found["theory/training"], found["comparison/training"]
    assert theory.attrs["not_predicted"] == "order = leading: order 1/n of training"
    assert "intercept" not in compared
    assert set(drawn(study, found, widths=1)) == {
        "training_curves", "prediction_paths", "final_predictions", "prediction_covariance"
    }  # fmt: skip


def test_a_learning_rate_beyond_the_stability_limit_is_one_line() -> None:
    with pytest.raises(RgflowError, match=r"learning_rate = 50 is unstable; allowed are 0 to .* = 2 / theta_max"):
        everything(changed(networks={"activation": "tanh"}, learning_rate=50.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": 6, "block": 6}, "config: training.members = 6: errors need at least 4 groups of 2"),
        ({"members": 100, "block": 32}, "members = 100; it must be a multiple of block = 32"),
        ({"optimizer": "adam", "momentum": 0.5}, "momentum = 0.5; it goes with optimizer = 'gd'"),
        ({"optimiser": "adam"}, "config: training.optimiser: unknown key; did you mean 'optimizer'?"),
        ({"train": [2, 4]}, "config: training.train = 4: more than inputs.train = 3"),
        ({"train": [2, 2]}, "config: training: the same value is listed twice"),
        ({"step_fraction": [0.5, 1.5]}, "config: training.step_fraction.1 = 1.5: Input should be less than 1"),
        (
            {"learning_rate": 0.1, "step_fraction": [0.2, 0.5]},
            "training.learning_rate and several training.step_fraction",
        ),
        ({"nodes": 1000}, "nodes = 1000; it must be a power of 2"),
        ({"loss": "hinge"}, "config: training.loss = 'hinge': Input should be 'mse' or 'cross_entropy'"),
        ({"control_variates": True, "optimizer": "adam"}, "control_variates need optimizer = gd, not adam"),
    ],
)
def test_what_it_cannot_have_is_one_clear_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError) as caught:
        Study({**RAW, "training": {**RAW["training"], **change}})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_order_one_over_n_of_too_many_samples_is_refused_before_any_job() -> None:
    with pytest.raises(RgflowError, match=r"tensors of 120 samples take \d+ GiB; give fewer samples or order: leading"):
        changed(inputs={"train": 100, "test": 20})
    assert changed(inputs={"train": 100, "test": 20}, order="leading").cells("theory/training")
