"""Input data: readers, selection and normalization."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from rgflow.data.select import select_inputs
from rgflow.data.source import Selection
from rgflow.errors import RgflowError
from rgflow.inputs import checked_inputs
from rgflow.network import Network
from rgflow.task import Task

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
        "junk.npz": "not a readable",
    }
    x = np.ones((20, 2))
    np.savez(tmp_path / "noarray.npz", x=x)
    np.savez(tmp_path / "nan.npz", x=np.where(np.arange(20)[:, None] == 2, np.nan, x), y=np.zeros(20, int))
    np.savez(tmp_path / "short.npz", x=x, y=np.zeros(3, int))
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


def test_values_are_targets_as_they_are(tmp_path: Path) -> None:
    x, y = np.arange(60.0).reshape(20, 3), np.linspace(-3.0, 50.0, 40).reshape(20, 2)
    np.savez(tmp_path / "d.npz", x=x, y=y)
    inputs = select_inputs(replace(DIGITS, source="npz", path=str(tmp_path / "d.npz"), normalization="none"))
    np.testing.assert_array_equal(inputs["y"], y[inputs["source_row"]])
    np.testing.assert_array_equal(inputs["x"], x[inputs["source_row"]])
    assert len(np.unique(inputs["source_row"])) == 16
    assert "label" not in inputs.coords
    assert int((inputs["role"] == "train").sum()) == 10


def test_integer_targets_are_values_on_request(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.arange(60.0).reshape(20, 3), y=np.arange(20))
    chosen = replace(DIGITS, source="npz", path=str(tmp_path / "d.npz"), targets="values")
    inputs = select_inputs(chosen)
    np.testing.assert_array_equal(inputs["y"].values[:, 0], inputs["source_row"])


def test_diabetes_has_standardized_real_targets() -> None:
    inputs = select_inputs(replace(DIGITS, source="diabetes", train=400, test=42, normalization="standardize"))
    assert inputs["x"].shape == (442, 10)
    np.testing.assert_allclose([inputs["y"].mean(), inputs["y"].std()], [0, 1], atol=1e-12)
    assert len(np.unique(inputs["y"])) > 200


def test_breast_cancer_has_two_classes() -> None:
    inputs = select_inputs(replace(DIGITS, source="breast_cancer", train=200, test=100, normalization="standardize"))
    assert inputs["x"].shape == (300, 30)
    np.testing.assert_array_equal(inputs["y"].values[:, 0], np.where(inputs["label"] == 1, 1.0, -1.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "mnist"}, "source = 'mnist'; it must be one of breast_cancer, circle, diabetes"),
        ({"targets": "labels"}, "targets = 'labels'; it must be one of auto, classes, values"),
        ({"source": "diabetes", "targets": "classes"}, "y of diabetes holds real values, not integer labels"),
        ({"source": "diabetes", "train": 500}, "diabetes has 442 samples, 506 are needed"),
    ],
)
def test_bad_selections_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        select_inputs(replace(DIGITS, **changes))


def _idx(array: np.ndarray, code: int) -> bytes:
    return struct.pack(">HBB", 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (300, 8, 8), dtype=np.uint8)
LABELS = (np.arange(300) % 10).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a-images-idx3-ubyte.gz", gzip.compress(_idx(IMAGES, 8))[:5000], "cannot be read"),
        ("a-images-idx3-ubyte.gz", b"\x1f\x8b" + bytes(40), "cannot be read"),
        ("a-images-idx3-ubyte.gz", gzip.compress(_idx(IMAGES, 8))[:900] + bytes(4000), "cannot be read"),
        ("a-images-idx3-ubyte", _idx(IMAGES, 8)[:9], "its header is not whole"),
        ("a-images-idx3-ubyte", _idx(IMAGES.astype(">i4"), 0x0C)[:-6], "truncated IDX file"),
        ("a-images-idx3-ubyte", _idx(IMAGES, 8) + b"more", "truncated IDX file"),
        ("a-images-idx3-ubyte", b"", "not an IDX file"),
    ],
)
def test_damaged_idx_files_are_one_clear_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    labels = name.replace("images-idx3", "labels-idx1")
    (tmp_path / labels).write_bytes(gzip.compress(_idx(LABELS, 8)) if name.endswith("gz") else _idx(LABELS, 8))
    with pytest.raises(RgflowError, match=message) as raised:
        select_inputs(replace(DIGITS, source="idx", path=str(tmp_path / name)))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("cut", [0, 1, 30, 500, 9000, 20_000])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_cut_and_damaged_npz_files_are_one_clear_line(tmp_path: Path, cut: int, save: object) -> None:
    path = tmp_path / "d.npz"
    save(path, x=IMAGES, y=LABELS)  # type: ignore[operator]
    content = bytearray(path.read_bytes())
    at = min(cut, len(content) - 60)
    _is_refused_in_one_line(path, content[:at])
    if content[at : at + 60] != bytes(60):
        _is_refused_in_one_line(path, content[:at] + bytes(60) + content[at + 60 :])


def _is_refused_in_one_line(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(RgflowError, match=r"^[^\n]*not a readable .npz file[^\n]*$"):
        select_inputs(replace(DIGITS, source="npz", path=str(path)))


def test_an_npy_file_called_npz_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", IMAGES)
    (tmp_path / "d.npy").rename(tmp_path / "d.npz")
    with pytest.raises(RgflowError, match="it holds one array, not several by name"):
        select_inputs(replace(DIGITS, source="npz", path=str(tmp_path / "d.npz")))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (IMAGES + 1j, "x: complex numbers where real numbers are needed"),
        (IMAGES.astype(str), "x: strings where real numbers are needed"),
        (IMAGES.astype(object), "not a readable .npz file"),
        (IMAGES * 1e200, r"largest entry is 2.55e\+202; squares leave the range of numbers"),
        (IMAGES * 1e-200, "squares leave the range of numbers"),
        (IMAGES[:0], "wanted"),
    ],
)
def test_numbers_that_would_change_in_silence_are_refused(tmp_path: Path, x: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "d.npz", x=x, y=LABELS[: len(x)])
    with pytest.raises(RgflowError, match=message):
        select_inputs(replace(DIGITS, source="npz", path=str(tmp_path / "d.npz")))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones((3, 2)) * 1j, "complex numbers where"),
        (np.ma.masked_less(np.arange(6.0).reshape(3, 2), 2), "2 entries are masked"),
        ([["1", "2"]] * 3, "strings where"),
        ([[1, 2], [3]], "not an array of numbers"),
        (np.full((3, 2), None), "objects where"),
        (np.zeros((3, 2), "M8[s]"), "dates where"),
    ],
)
def test_arrays_in_memory_are_held_to_the_same(value: object, message: str) -> None:
    good = np.arange(6.0).reshape(3, 2)
    for arrays in ((value, good, good), (good, value, good), (good, good, value)):
        with pytest.raises(RgflowError, match=message):
            Task(*arrays)  # type: ignore[arg-type]
    with pytest.raises(RgflowError, match=f"inputs: .*{message}"):
        checked_inputs(Network("relu", (2, 3), 0, 2), value)  # type: ignore[arg-type]


def test_named_dimensions_may_come_in_any_order() -> None:
    x, y = xr.DataArray(np.arange(4.0).reshape(2, 2), dims=("sample", "feature")), np.ones((2, 1))
    named = Task(x.T, xr.DataArray(y.T, dims=("output", "sample")), x.T)
    np.testing.assert_array_equal(named.inputs, Task(x.values, y, x.values).inputs)
    assert named.train_targets.shape == (2, 1)
