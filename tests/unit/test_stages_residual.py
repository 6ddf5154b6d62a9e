"""The stages of a residual study, in memory: from the configuration to the comparison."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from running import Upstream, network_inputs, run

from rgflow.chapters.networks.build import network_of
from rgflow.study.plan import Study

RAW: dict[str, Any] = {
    "study": "test",
    "inputs": {"source": "gaussian", "features": 4, "train": 2, "test": 2, "probes": 2},
    "networks": {"activation": "relu", "residual": {"xi_1": 0.8, "xi_2": 0.7}, "depth": 3, "width": [8, 16]},
    "ensemble": {"members": 4000, "block": 2000, "tensors": ["K", "T3", "V", "Theta"], "kept": 10},
    "training": None,
}
LABELS = {"activation": "relu", "init": "critical", "depth": "3"}


@pytest.fixture(scope="module")
def study() -> Study:
    return Study(RAW)


@pytest.fixture(scope="module")
def upstream(study: Study) -> Upstream:
    return network_inputs(study, LABELS)


def test_the_first_layer_is_plain_and_the_others_critical_with_their_skip(study: Study, upstream: Upstream) -> None:
    spec = json.loads(study.spec("ensemble/block", {**LABELS, "width": "8", "block": "0000"}))
    network = network_of(spec, upstream, outputs=2)
    assert network.widths == (4, 8, 8, 8)
    assert (network.xi_1, network.xi_2) == (0.8, 0.7)
    assert network.C_W[0] == 2.0
    chi = 0.5 * np.array(network.C_W[1:])  # of relu
    np.testing.assert_allclose(0.7**2 + 0.8**2 * chi, 1.0, rtol=1e-11)


def test_sampled_networks_meet_theory(study: Study, upstream: Upstream) -> None:
    theory = run(study, "theory/initialization", LABELS, upstream)
    ensembles = []
    for width in ("8", "16"):
        wide = {**LABELS, "width": width}
        blocks = [run(study, "ensemble/block", {**wide, "block": block}, upstream) for block in ("0000", "0001")]
        ensembles.append(run(study, "ensemble/combine", wide, {"blocks": blocks}))
    sides = {"theory": [theory], "experiment": ensembles}
    compared = run(study, "comparison/initialization", LABELS, sides).dataset
    assert set(compared["quantity"].values) == {"K", "T3", "V", "Theta"}
    assert (compared["z_intercept_max"] < 6.0).all()  # errors of four groups are rough
    assert float(theory.dataset["K"].isel(sample_1=0, sample_2=0).std("layer")) < 1e-10


def test_kernels_of_all_inputs(study: Study, upstream: Upstream) -> None:
    theory = run(study, "theory/initialization", LABELS, upstream).dataset.isel(layer=-1)
    kernels = run(study, "theory/infinite_width", LABELS, upstream).dataset
    np.testing.assert_allclose(kernels["K_output"][:2, :2], theory["K"], rtol=1e-9)
    np.testing.assert_allclose(kernels["Theta_output"][:2, :2], theory["Theta"], rtol=1e-9)
