"""What a result depends on is part of its identity: files of users, scales to the last digit, which cell is which."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given
from hypothesis import strategies as st

import rgflow
from rgflow.chapters.networks.axes import short
from rgflow.errors import RgflowError
from rgflow.store.labels import parse_path
from rgflow.study.catalogue import axes
from rgflow.study.gather import along
from rgflow.study.plan import Study
from rgflow.study.stage import Labelled

ROOT = Path(__file__).parents[2]


def small(**sections: Any) -> dict[str, Any]:
    """The smallest study with an ensemble, with sections of a test."""
    return {
        "study": "identity",
        "inputs": {"source": "gaussian", "features": 4, "train": 6, "test": 4, "probes": 2},
        "networks": {"activation": ["tanh"], "width": [8]},
        "ensemble": {"depth": [3], "members": 4000, "block": 2000},
        "training": None,
        **sections,
    }


def specs(raw: dict[str, Any], stage: str) -> list[dict[str, Any]]:
    study = Study(raw)
    return [json.loads(study.spec(stage, labels)) for labels in study.cells(stage)]


def test_an_edited_activation_is_another_activation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("act.py")
    raw = small(networks={"activation": ["act.py:f"], "width": [8]})
    file.write_text("import torch\n\n\ndef f(z):\n    return torch.tanh(z)\n")
    before = {stage: specs(raw, stage) for stage in ("theory/hyperparameters", "ensemble/block")}
    file.write_text("import torch\n\n\ndef f(z):\n    return torch.tanh(2 * z)\n")
    for stage, found in before.items():
        assert specs(raw, stage) != found, stage


def everything_drawn(network: rgflow.Network) -> list[xr.Dataset]:
    x, y = np.random.default_rng(0).normal(size=(6, 3)), np.ones((4, 1))
    return [
        rgflow.sample_initialization(network, x, members=4000, seed=1, sampler="weights"),
        rgflow.sample_initialization(network, x, members=4000, seed=1, sampler="marginal"),
        rgflow.train_ensemble(network, x[:4], y, x[4:], members=16, steps=2, seed=1),
        rgflow.sample_posterior(network, x[:4], y, x[4:], noise=0.1, islands=4, particles=16, seed=1),
    ]


def test_draws_do_not_depend_on_where_the_file_lies(tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "act.py").write_text("import torch\n\n\ndef f(z):\n    return torch.tanh(z)\n")
        found.append(everything_drawn(rgflow.Network(f"{folder}/act.py:f", (3, 8, 8, 1), 0.1, 1.5)))
    for here, there in zip(*found, strict=True):
        xr.testing.assert_equal(here, there)


@pytest.mark.parametrize("name", ["act", "below/act", "a~b", "a{b}", "with blank", "it's"])
def test_files_of_any_name_are_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path(f"{name}.py")
    file.parent.mkdir(exist_ok=True)
    file.write_text("import torch\n\n\ndef f(z):\n    return torch.tanh(z)\n")
    study = Study(small(networks={"activation": [f"{name}.py:f"], "width": [8]}))
    (labels,) = study.cells("ensemble/combine")
    pattern = axes()["activation"].pattern
    assert re.fullmatch(pattern, labels["activation"])
    path = PurePath(study.path("ensemble/combine", labels, ".zarr"))
    assert parse_path(path.relative_to(study.root))[1]["activation"] == labels["activation"]


def test_two_files_of_one_label_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    for name in ("a/b.py", "a+b.py"):
        Path(name).write_text("import torch\n\n\ndef f(z):\n    return torch.tanh(z)\n")
    with pytest.raises(RgflowError, match=r"two entries of the sweep are both called 'a\+b.py:f'"):
        Study(small(networks={"activation": ["a/b.py:f", "a+b.py:f"], "width": [8]})).cells("ensemble/combine")


@pytest.mark.parametrize("edited", ["images", "labels"])
def test_edited_data_are_other_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edited: str) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    content = {"images": rng.integers(0, 256, (40, 3, 3)), "labels": np.arange(40) % 2}
    names = {"images": "train-images-idx3-ubyte", "labels": "train-labels-idx1-ubyte"}
    Path("data").mkdir()
    for what, array in content.items():
        write_idx(Path("data") / names[what], array)
    raw = small(inputs={"source": "idx", "path": f"data/{names['images']}", "train": 6, "test": 4, "probes": 2})
    (before,) = specs(raw, "inputs")
    write_idx(Path("data") / names[edited], content[edited][::-1])
    (after,) = specs(raw, "inputs")
    assert after != before


def write_idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(
        struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype("u1").tobytes()
    )


def test_scales_that_differ_in_the_last_digits_are_two_cells() -> None:
    scales = [{"C_b": 0.0, "C_W": 2.0}, {"C_b": 0.0, "C_W": 2.000001}]
    study = Study(small(networks={"activation": ["tanh"], "initialization": scales, "width": [8]}))
    labels = study.cells("ensemble/combine")
    assert len({study.path("ensemble/combine", one, ".zarr") for one in labels}) == 2
    found = {json.loads(study.spec("ensemble/combine", one))["init"]["C_W"] for one in labels}
    assert found == {2.0, 2.000001}


@given(st.floats(1e-12, 1e12))
def test_labels_of_numbers_are_injective(value: float) -> None:
    assert float(short(value)) == value


def test_exchanged_cells_are_gathered_by_label() -> None:
    cells = [Labelled({"width": width}, xr.Dataset({"V": float(width)})) for width in (64, 8, 16)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        gathered = along({"ensemble": [cells[i] for i in order]}, "ensemble", "width")
        assert list(gathered["width"].values) == list(gathered["V"].values) == [8, 16, 64]
    with pytest.raises(RgflowError, match="two manifests with width~8"):
        along({"ensemble": [cells[1], cells[1]]}, "ensemble", "width")


def test_the_default_study_has_a_store_for_every_cell() -> None:
    study = Study(yaml.safe_load((ROOT / "config.yaml").read_text()))
    for stage in study.stages:
        cells = study.cells(stage.name)
        assert len({study.path(stage.name, one, ".zarr") for one in cells}) == len(cells)
