"""Input data: readers, selection and normalization."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from rgflow.data.select import Selection, select_inputs
from rgflow.errors import RgflowError

DIGITS = Selection("digits", [0, 1], train=10, test=6, probes=3, features=4, normalization="sphere", seed=1)


def test_digits_are_balanced_labelled_and_on_the_sphere() -> None:
    inputs = select_inputs(DIGITS)
    assert inputs["x"].shape == (16, 64)
    np.testing.assert_allclose((inputs["x"] ** 2).mean("feature"), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(inputs["y"].values[:, 0], np.where(inputs["label"] == 1, 1.0, -1.0))
    train = inputs.sel(sample=inputs["role"] == "train")
    assert list(np.bincount(train["label"])) == [5, 5]
    assert int(inputs["probe"].sum()) == 3


def test_selection_is_deterministic_and_follows_the_seed() -> None:
    xr.testing.assert_identical(select_inputs(DIGITS), select_inputs(DIGITS))
    assert not np.array_equal(select_inputs(DIGITS)["source_row"], select_inputs(replace(DIGITS, seed=2))["source_row"])


def test_standardize_gives_unit_features() -> None:
    x = select_inputs(replace(DIGITS, normalization="standardize"))["x"]
    spread = x.std("sample")
    np.testing.assert_allclose(spread.where(spread > 0, 1.0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(x.mean("sample"), 0.0, atol=1e-12)


def test_three_classes_become_one_hot() -> None:
    inputs = select_inputs(replace(DIGITS, classes=[3, 5, 8]))
    np.testing.assert_array_equal(np.array([3, 5, 8])[inputs["y"].values.argmax(1)], inputs["label"])


@pytest.mark.parametrize("source", ["gaussian", "circle"])
def test_synthetic_sets(source: str) -> None:
    inputs = select_inputs(replace(DIGITS, source=source, normalization="none"))
    assert inputs["x"].sizes["feature"] == (2 if source == "circle" else 4)
    if source == "circle":
        np.testing.assert_allclose((inputs["x"] ** 2).mean("feature"), 1.0, rtol=1e-12)


def test_npz_file(tmp_path: Path) -> None:
    x, y = np.arange(120.0).reshape(20, 2, 3), np.arange(20) % 2
    np.savez(tmp_path / "d.npz", x=x, y=y)
    inputs = select_inputs(replace(DIGITS, source="npz", path=str(tmp_path / "d.npz"), normalization="none"))
    np.testing.assert_array_equal(inputs["x"], x.reshape(20, 6)[inputs["source_row"]])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(tmp_path: Path, suffix: str) -> None:
    images, labels = np.arange(20 * 4, dtype=np.uint8).reshape(20, 2, 2), (np.arange(20) % 2).astype(np.uint8)
    opener = gzip.open if suffix else open
    for name, array in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        with opener(tmp_path / (name + suffix), "wb") as file:
            file.write(header + array.tobytes())
    path = str(tmp_path / ("train-images-idx3-ubyte" + suffix))
    inputs = select_inputs(replace(DIGITS, source="idx", path=path, normalization="none"))
    np.testing.assert_array_equal(inputs["x"], images.reshape(20, 4)[inputs["source_row"]])


def test_bad_files_are_one_clear_line(tmp_path: Path) -> None:
    cases = {
        "missing.npz": "no such file",
        "noarray.npz": "no array 'y'",
        "nan.npz": "NaN or infinity at row 2",
        "short.npz": "wanted",
        "float.npz": "labels are integers",
        "junk.npz": "not a readable",
    }
    x = np.ones((20, 2))
    np.savez(tmp_path / "noarray.npz", x=x)
    np.savez(tmp_path / "nan.npz", x=np.where(np.arange(20)[:, None] == 2, np.nan, x), y=np.zeros(20, int))
    np.savez(tmp_path / "short.npz", x=x, y=np.zeros(3, int))
    np.savez(tmp_path / "float.npz", x=x, y=np.zeros(20))
    (tmp_path / "junk.npz").write_bytes(b"junk")
    for name, message in cases.items():
        with pytest.raises(RgflowError, match=message):
            select_inputs(replace(DIGITS, source="npz", path=str(tmp_path / name)))
    (tmp_path / "images").write_bytes(b"\0\0\x08\x01\0\0\0\x09abc")
    (tmp_path / "labels").write_bytes(b"\0\0\x08\x01\0\0\0\x03abc")
    with pytest.raises(RgflowError, match="truncated IDX"):
        select_inputs(replace(DIGITS, source="idx", path=str(tmp_path / "images")))


def test_too_few_samples_of_a_class() -> None:
    with pytest.raises(RgflowError, match="class 11 has 0 samples in digits, 8 are needed"):
        select_inputs(replace(DIGITS, classes=[0, 11]))
