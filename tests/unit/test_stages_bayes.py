"""The stages of a study of Bayesian learning, in memory: from the configuration to figures and the table of evidence."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from running import everything, network_inputs, read_by, run

from rgflow.chapters.bayes.table import evidence_rows, format_evidence
from rgflow.comparison.quantities import BAYES
from rgflow.errors import RgflowError
from rgflow.figures.style import save_figure
from rgflow.study import estimate
from rgflow.study.catalogue import find_figure
from rgflow.study.plan import Study
from rgflow.study.requests import Requests
from rgflow.theory.learning.bayes import bayes_theory

RAW: dict[str, Any] = {
    "study": "test",
    "inputs": {"source": "digits", "classes": [0, 1, 2], "train": 4, "test": 3, "probes": 2},
    "networks": {"activation": "tanh", "depth": 2, "width": [16, 32, 64]},
    "ensemble": None,
    "training": None,
    "bayes": {
        "train": [2, 3],
        "test": 2,
        "islands": 16,
        "block": 8,
        "particles": 32,
        "evidence": {"C_b": [0.0, 0.5], "C_W": [1.0, 40.0], "depth": [2, 3]},
    },
}
CIRCLE = {
    **RAW,
    "inputs": {"source": "circle", "train": 3, "test": 4, "probes": 2},
    "networks": {"activation": "relu", "depth": 2, "width": [8]},
    "bayes": {"train": 3, "islands": 4, "particles": 16, "evidence": {"C_b": [0.0], "C_W": [2.0]}},
}
CELL = {"activation": "tanh", "init": "critical", "depth": "2", "train": "3", "noise": "0.1"}


def _with(**changes: Any) -> dict[str, Any]:
    return {key: {**value, **changes.get(key, {})} if isinstance(value, dict) else value for key, value in RAW.items()}


@pytest.fixture(scope="module")
def found() -> dict[str, list[xr.Dataset]]:
    return everything(Study(RAW))


def test_sampled_posteriors_are_compared_with_theory(found: dict[str, list[xr.Dataset]]) -> None:
    assert len(found["bayes/pilot"]) == 6
    assert len(found["bayes/block"]) == 12
    for compared in found["comparison/bayes"]:
        assert set(compared["quantity"].values) == {quantity.name for quantity in BAYES}
        assert compared["next_order_known"].all()
        assert float(compared["z_intercept_max"].max()) < 4.5
        legs = compared.isel(component=compared["component_quantity"].values == "posterior_mean")
        assert legs["sample"].min() >= int(compared["samples"].max())  # of test samples only


def test_outputs_are_coupled_and_theory_says_how(found: dict[str, list[xr.Dataset]]) -> None:
    compared = found["comparison/bayes"][1]
    between = (compared["component_quantity"] == "posterior_covariance") & (
        compared["output_1"] != compared["output_2"]
    )
    off = compared.isel(component=between.values)
    np.testing.assert_array_equal(off["theory"], 0.0)
    assert (off["next_order"] != 0.0).all()


def test_the_first_samples_are_taken(found: dict[str, list[xr.Dataset]]) -> None:
    inputs, theory = found["inputs"][0], found["theory/bayes"][0]
    train, test = (np.flatnonzero(inputs["role"].values == role)[:2] for role in ("train", "test"))
    network = network_of_cell(Study(RAW), {**CELL, "train": "2"})
    x, y = inputs["x"].values, inputs["y"].values
    expected = bayes_theory(network, x[train], y[train], x[test], noise=0.1)
    xr.testing.assert_allclose(theory["posterior_mean1"], expected["posterior_mean1"])


def network_of_cell(study: Study, labels: dict[str, str]) -> Any:
    from rgflow.chapters.networks.build import network_of

    return network_of(json.loads(study.spec("theory/bayes", labels)), network_inputs(study, labels), 3)


def test_blocks_and_nodes_do_not_matter(found: dict[str, list[xr.Dataset]]) -> None:
    study = Study(_with(bayes={"block": None, "nodes": 2**12}))
    assert study.cells("bayes/pilot") == []
    upstream = network_inputs(study, CELL)
    block = run(study, "bayes/block", {**CELL, "width": "16", "block": "0000"}, upstream)
    whole = run(study, "bayes/combine", CELL, {"blocks": [block]}).dataset
    in_two = found["bayes/combine"][1].sel(width=[16])
    for name in ("log_evidence", "posterior_mean", "hidden_kernel_change_stderr"):
        np.testing.assert_array_equal(whole[name].values, in_two[name].values)
    nodes, quadrature = run(study, "theory/bayes", CELL, upstream).dataset, found["theory/bayes"][1]
    for name in ("posterior_mean1", "log_evidence1", "hidden_kernel1_learned"):
        scores = (nodes[name] - quadrature[name]) / nodes[f"{name}_error"]
        assert 0.0 < float(abs(scores).max()) < 5.0
    np.testing.assert_allclose(nodes["posterior_mean"], quadrature["posterior_mean"], rtol=1e-6, atol=1e-9)


def draw(name: str, found: dict[str, list[xr.Dataset]]) -> Figure:
    figure = find_figure(name)
    drawn: Figure = import_module(figure.draw).draw(**read_by(figure, found, ("theories", "posteriors")))
    return drawn


NAMES = ("bayes_prediction", "bayes_kernel", "bayes_covariance", "bayes_sample_size", "bayes_evidence")


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_drawn(name: str, found: dict[str, list[xr.Dataset]], tmp_path: Path) -> None:
    save_figure(draw(name, found), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_figures_of_one_width_depth_and_output_on_a_circle(tmp_path: Path) -> None:
    study = Study(CIRCLE)
    found = everything(study)
    assert [name for name in NAMES if not study.figure_cells(find_figure(name))] == ["bayes_covariance"]
    for name in NAMES:
        save_figure(draw(name, found), tmp_path / f"{name}.png")
    angles = draw("bayes_prediction", found).axes[0].lines[0].get_xdata(orig=False)
    assert (np.diff(angles) > 0).all()


def test_the_predicted_mean_is_drawn_where_theory_has_it(found: dict[str, list[xr.Dataset]]) -> None:
    line = draw("bayes_prediction", found).axes[0].lines[0].get_ydata(orig=False)
    theory = found["theory/bayes"][-1]
    test = theory["posterior_mean"].values[theory["role"].values == "test", 0]
    np.testing.assert_allclose(line[::3], np.sort(test))


def test_the_table_of_evidence(found: dict[str, list[xr.Dataset]]) -> None:
    cells = Study(RAW).cells("bayes/combine")
    labelled = [
        {**labels, "depth": int(labels["depth"]), "train": int(labels["train"]), "noise": float(labels["noise"])}
        for labels in cells
    ]
    sides = zip(labelled, found["theory/bayes"], found["bayes/combine"], strict=True)
    rows = evidence_rows(sides)
    assert [(row.train, row.width) for row in rows if row.train == 2] != []
    assert [row.exact for row in rows if row.train == 3] == sorted(
        (r.exact for r in rows if r.train == 3), reverse=True
    )
    for row in rows:
        assert abs(row.exact - row.following) < 5 * row.stderr + 20 / row.width**2
    text = format_evidence(rows)
    assert text.count("log evidence of") == text.count(" best ") == 2


def test_only_what_matters_reaches_the_networks() -> None:
    spec = json.loads(Study(RAW).spec("bayes/block", {**CELL, "width": "16", "block": "0001"}))
    assert spec["block"] == {"first": 8, "count": 8}
    assert spec["bayes"] == {"test": 2, "particles": 32, "seed": 1, "dtype": "float64"}
    assert (spec["train"], spec["noise"]) == (3, 0.1)


def test_estimate_and_requests_know_the_stages() -> None:
    jobs = {line.stage: line.jobs for line in estimate.estimate(RAW)}
    assert (jobs["theory/bayes"], jobs["bayes/pilot"], jobs["bayes/block"], jobs["theory/evidence"]) == (2, 6, 12, 2)
    requests = Requests(Study(RAW))
    narrow, wide = ({**CELL, "width": width, "block": "0000"} for width in ("16", "64"))
    assert requests.work("bayes/block", wide) > requests.work("bayes/block", narrow)
    assert requests.memory("bayes/block", wide) > requests.memory("bayes/block", narrow)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bayes": {"train": [2, 5]}}, "config: bayes.train = 5: inputs.train has 4"),
        ({"bayes": {"test": 9}}, "config: bayes.test = 9: inputs.test has 3"),
        ({"bayes": {"train": 0}}, "config: bayes.train.0 = 0: Input should be greater than 0"),
        ({"bayes": {"noise": -0.1}}, "config: bayes.noise.0 = -0.1: Input should be greater than or equal to 0"),
        ({"bayes": {"noise": [0.1, 0.10]}}, "config: bayes: the same value is listed twice"),
        ({"bayes": {"islands": 10, "block": 4}}, "islands = 10 is not a multiple of block = 4"),
        (
            {"bayes": {"islands": 3, "block": None}},
            "config: bayes.islands = 3: Input should be greater than or equal to 4",
        ),
        ({"bayes": {"nodes": 1000}}, "nodes = 1000 is not a power of two"),
        ({"bayes": {"particle": 1000}}, "config: bayes.particle: unknown key; did you mean 'particles'?"),
        (
            {"bayes": {"noise": 0.0}, "networks": {"width": [2, 8]}},
            "config: bayes.noise = 0 with bayes.train = 3 needs networks.width of at least as many; it has 2",
        ),
        ({"networks": {"residual": {"xi_2": 0.5}}}, "config: bayes: known of plain networks, not of residual ones"),
    ],
)
def test_what_it_cannot_have_is_one_clear_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError) as caught:
        Study(_with(**change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
