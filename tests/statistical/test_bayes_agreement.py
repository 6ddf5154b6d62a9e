"""Sampled posteriors from n = 32 to 512 against order 1/n: all quantities, extrapolated; leading order alone fails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from running import everything

from rgflow.study.plan import Study

RAW: dict[str, Any] = {
    "study": "test",
    "inputs": {"source": "digits", "classes": [0, 1, 2], "train": 3, "test": 2, "probes": 2},
    "networks": {"activation": ["tanh", "relu", "gelu", "sin"], "depth": [2, 3], "width": [32, 64, 128, 256, 512]},
    "ensemble": None,
    "training": None,
    "bayes": {
        "train": 3,
        "test": 2,
        "noise": [0.1, 0.3],
        "islands": 128,
        "particles": 256,
        "dtype": "float32",
        "seed": 5,
    },
}
Z_MAX, RMS, REJECTED = 3.5, 0.15, 10.0  # bounds fixed beforehand


@pytest.fixture(scope="module")
def compared() -> list[xr.Dataset]:
    return everything(Study(RAW))["comparison/bayes"]


@pytest.mark.slow
def test_order_1_over_n_holds_and_leading_order_does_not(compared: list[xr.Dataset]) -> None:
    z = np.concatenate([one["z_intercept"].values for one in compared])
    assert np.abs(z).max() < Z_MAX
    assert abs(np.sqrt(np.mean(z**2)) - 1.0) < RMS
    for one in compared:
        narrowest = one.sel(width=32)
        for name in ("posterior_covariance", "hidden_kernel_change"):
            assert float(narrowest["z_leading_max"].sel(quantity=name)) > REJECTED


@pytest.mark.slow
def test_slopes_are_those_of_theory(compared: list[xr.Dataset]) -> None:
    z = np.concatenate([one["z_slope"].values for one in compared])
    assert np.abs(z).max() < 4.5
