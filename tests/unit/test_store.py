"""The result store: what is published is complete, verified, and found again."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import rgflow
from rgflow.errors import RgflowError
from rgflow.store import memo, publish, temporary
from rgflow.store.check import check_results, repair
from rgflow.store.digest import digest_variables
from rgflow.store.index import Index, write_index
from rgflow.store.inspect import describe
from rgflow.store.manifest import local_path, manifest_of, read_manifest
from rgflow.store.publish import open_zarr
from rgflow.study.catalogue import registry


def kernel(value: float = 1.0, layers: int = 3) -> xr.Dataset:
    values = value * np.arange(1.0, layers * 4 + 1).reshape(layers, 2, 2)
    return xr.Dataset({"K": (("layer", "sample_1", "sample_2"), values)}, {"layer": np.arange(1, layers + 1)})


def test_published_store_reads_back_with_documentation(tmp_path: Path) -> None:
    store = tmp_path / "theory" / "depth~3.zarr"
    digest = publish.publish(kernel(), store, {"seed": 7}, registry())
    assert read_manifest(manifest_of(store))["digest"] == digest
    with open_zarr(store) as found:
        xr.testing.assert_equal(found.drop_attrs(), kernel())
        assert found["K"].attrs["long_name"] == "kernel"
        assert json.loads(found.attrs["rgflow"]) == {"seed": 7}


def test_digest_sees_content_and_nothing_else() -> None:
    base = digest_variables(kernel())
    assert digest_variables(kernel().assign_attrs(time="now").chunk(layer=1)) == base
    assert digest_variables(kernel(2.0)) != base
    assert digest_variables(kernel().assign_coords(layer=[1, 2, 4])) != base
    assert digest_variables(kernel().astype("float32")) != base
    assert digest_variables(kernel().transpose("sample_2", "layer", "sample_1")) != base


def test_digest_of_text_does_not_depend_on_its_storage(tmp_path: Path) -> None:
    labelled = kernel().assign_coords(role=("sample_1", ["train", "test"]))
    publish.publish(labelled, tmp_path / "x.zarr", {}, registry())
    with open_zarr(tmp_path / "x.zarr") as found:
        assert digest_variables(found) == digest_variables(labelled)
        assert list(found["role"].values == "train") == [True, False]


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (xr.Dataset({"kernal": ("layer", [1.0])}), "'kernal' is not registered"),
        (xr.Dataset({"K": ("layer", [1.0])}), "must end with"),
        (kernel().astype(int), "must be of kind 'f'"),
        (xr.Dataset(), "holds no variables"),
    ],
)
def test_unregistered_content_is_refused_and_nothing_written(tmp_path: Path, dataset: xr.Dataset, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        publish.publish(dataset, tmp_path / "x.zarr", {}, registry())
    assert list(tmp_path.iterdir()) == []


def test_failing_disk_leaves_no_final_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_zarr", full)
    with pytest.raises(OSError, match="No space left"):
        publish.publish(kernel(), tmp_path / "x.zarr", {}, registry())
    assert list(tmp_path.iterdir()) == []


def test_replacing_a_result_is_one_rename(tmp_path: Path) -> None:
    store = tmp_path / "x.zarr"
    first = publish.publish(kernel(1.0), store, {}, registry())
    second = publish.publish(kernel(2.0), store, {}, registry())
    assert first != second
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.json", "x.zarr"]


def test_leftovers_of_dead_processes_go_those_of_living_stay(tmp_path: Path) -> None:
    dead, alive = (tmp_path / f".x.zarr.{temporary.HOST}-{pid}-abc.tmp" for pid in (2**22 + 1, os.getpid()))
    elsewhere = tmp_path / ".x.zarr.othernode-1-abc.tmp"
    for folder in (dead, alive, elsewhere):
        folder.mkdir()
    publish.publish(kernel(), tmp_path / "x.zarr", {}, registry())
    assert not dead.exists()
    assert alive.exists()
    assert elsewhere.exists()


def test_memo_restores_the_same_bytes_after_the_outputs_were_removed(tmp_path: Path) -> None:
    store = tmp_path / "x.zarr"
    publish.publish(kernel(), store, {"seed": 1}, registry())
    memo.keep(store, "key")
    before = {p.relative_to(store): p.read_bytes() for p in store.rglob("*") if p.is_file()}
    manifest = manifest_of(store).read_bytes()
    shutil.rmtree(store)
    manifest_of(store).unlink()
    assert not memo.restore(store, "other")
    assert memo.restore(store, "key")
    assert {p.relative_to(store): p.read_bytes() for p in store.rglob("*") if p.is_file()} == before
    assert manifest_of(store).read_bytes() == manifest


def test_damaged_memo_is_not_restored(tmp_path: Path) -> None:
    store = tmp_path / "x.zarr"
    publish.publish(kernel(), store, {}, registry())
    memo.keep(store, "key")
    chunk = next(p for p in (tmp_path / ".memo").rglob("K/c/**/*") if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-3])
    shutil.rmtree(store)
    assert not memo.restore(store, "key")
    assert not store.exists()


def test_memo_keeps_a_bounded_history(tmp_path: Path) -> None:
    store = tmp_path / "x.zarr"
    for value in range(6):
        publish.publish(kernel(float(value)), store, {}, registry())
        memo.keep(store, f"key{value}")
    assert len(list((tmp_path / ".memo" / "x").iterdir())) == 3
    assert memo.restore(store, "key5")
    assert memo.restore(store, "key4")
    assert not memo.restore(store, "key0")


def test_check_names_what_is_damaged(tmp_path: Path) -> None:
    for name in ("good", "edited", "torn", "bare"):
        publish.publish(kernel(), tmp_path / f"{name}.zarr", {}, registry())
    with_other_values = kernel().assign(K=kernel()["K"] + 1)
    shutil.rmtree(tmp_path / "edited.zarr")
    publish.write_zarr(with_other_values, tmp_path / "edited.zarr", {})
    next(p for p in (tmp_path / "torn.zarr" / "K" / "c").rglob("*") if p.is_file()).write_bytes(b"torn")
    manifest_of(tmp_path / "bare.zarr").unlink()
    (tmp_path / "lost.json").write_text(manifest_of(tmp_path / "good.zarr").read_text())
    problems = {finding.store.stem: finding.problem for finding in check_results(tmp_path)}
    assert problems["good"] == ""
    assert problems["edited"] == "differs from its manifest in K"
    assert "cannot be read" in problems["torn"]
    assert "no such manifest" in problems["bare"]
    assert "no such store" in problems["lost"]


def test_open_results_combines_a_sweep_by_label(tmp_path: Path) -> None:
    for activation, depth, width in (("relu", 3, 8), ("relu", 3, 16), ("tanh", 4, 8)):
        store = tmp_path / f"ensemble/activation~{activation}/depth~{depth}/width~{width}.zarr"
        publish.publish(kernel(width, depth), store, {}, registry())
    publish.publish(kernel(), tmp_path / "ensemble/activation~relu/depth~3/width~8/block~0000.zarr", {}, registry())
    tree = rgflow.open_results(tmp_path)
    K = tree["ensemble"]["K"]
    assert K.chunks is not None
    assert K.sizes == {"activation": 2, "depth": 2, "width": 2, "layer": 4, "sample_1": 2, "sample_2": 2}
    np.testing.assert_array_equal(K.sel(activation="relu", depth=3, width=16, layer=[1, 2, 3]), kernel(16)["K"])
    assert np.isnan(K.sel(activation="tanh", depth=4, width=16)).all()
    assert np.isnan(K.sel(activation="relu", depth=3, layer=4)).all()


def test_open_results_pads_what_a_smaller_task_does_not_have(tmp_path: Path) -> None:
    for train in (2, 3):
        role = np.array(["train"] * train + ["test"], dtype=np.dtypes.StringDType())
        task = {"prediction_mean": (("step", "sample", "output"), np.full((1, train + 1, 1), float(train)))}
        task["Theta_output"] = (("sample_1", "sample_2"), np.eye(train + 1))
        dataset = xr.Dataset(task, {"step": [0], "sample": np.arange(train + 1), "role": ("sample", role)})
        publish.publish(dataset, tmp_path / f"theory/training/train~{train}.zarr", {}, registry())
    opened = rgflow.open_results(tmp_path)["theory/training"].to_dataset()
    assert opened["Theta_output"].sizes == {"train": 2, "sample_1": 4, "sample_2": 4}
    assert np.isnan(opened["Theta_output"].sel(train=2)[3]).all()
    assert opened["role"].sel(train=2).values[:3].tolist() == ["train", "train", "test"]
    assert opened["role"].sel(train=3).values.tolist() == ["train", "train", "train", "test"]


def test_open_results_pads_what_another_task_does_not_compare(tmp_path: Path) -> None:
    for activation, own in (("relu", {}), ("tanh", {"output_1": ("component", [0])})):
        labels = {"component": [0], "step": ("component", [2]), "quantity": ["NTK"]} | own
        one = xr.Dataset({"z_intercept": ("component", [1.0]), "components": ("quantity", [1])}, labels)
        publish.publish(one, tmp_path / f"comparison/training/activation~{activation}.zarr", {}, registry())
    tree = rgflow.open_results(tmp_path)
    opened = tree["comparison/training"].to_dataset()
    assert opened["z_intercept"].sizes == {"activation": 2, "component": 1}
    assert opened["output_1"].sel(activation="tanh").item() == 0
    assert np.isnan(opened["output_1"].sel(activation="relu").item())


def test_open_and_inspect_say_when_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(RgflowError, match="no published results"):
        rgflow.open_results(tmp_path)
    with pytest.raises(RgflowError, match="no published results"):
        list(describe(tmp_path))


def test_inspect_tells_meaning_and_origin(tmp_path: Path) -> None:
    store = tmp_path / "theory/depth~3.zarr"
    publish.publish(kernel(), store, {"stage": "theory", "seed": 3}, registry())
    text = "\n".join(describe(store))
    assert "K_12" not in text
    assert "(layer, sample_1, sample_2)" in text
    assert "kernel: theory: K' = C_b + C_W <s_1 s_2>_K" in text
    assert "theory" in "\n".join(describe(tmp_path))


def test_hosts_whose_names_begin_alike_are_told_apart(tmp_path: Path) -> None:
    for host in (f"{temporary.HOST}-2", f"{temporary.HOST}-rack"):
        (tmp_path / f".x.zarr.{host}-{2**22 + 1}-abc.tmp").mkdir()
    temporary.remove_leftovers(tmp_path / "x.zarr")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_reader_finds_the_store_at_every_moment_of_its_replacement(tmp_path: Path) -> None:
    target, done = tmp_path / "x.zarr", threading.Event()
    target.mkdir()
    missing: list[bool] = []
    reader = threading.Thread(target=lambda: [missing.append(not target.exists()) for _ in iter(done.is_set, True)])
    reader.start()
    for _ in range(300):
        with temporary.temporary_sibling(target) as source:
            source.mkdir()
            temporary.replace_directory(source, target)
    done.set()
    reader.join()
    assert len(missing) > 100
    assert not any(missing)


def test_replacing_works_where_names_cannot_be_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "_exchange", lambda _one, _other: False)
    target = tmp_path / "x.zarr"
    for content in ("old", "new"):
        with temporary.temporary_sibling(target) as source:
            source.mkdir()
            (source / "content").write_text(content)
            temporary.replace_directory(source, target)
    assert (target / "content").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["x.zarr"]


@pytest.mark.parametrize("call", [rgflow.open_results, local_path])
def test_addresses_of_object_stores_are_refused_in_one_line(call: Callable[[str], object]) -> None:
    with pytest.raises(RgflowError, match=r"^s3://bucket/digits: results need a file system with atomic renames.*$"):
        call("s3://bucket/digits")


def test_edited_attributes_are_damage(tmp_path: Path) -> None:
    store = tmp_path / "x.zarr"
    publish.publish(kernel().assign_attrs(widths=[4, 8, 1]), store, {}, registry())
    metadata = store / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"widths"', '"widthz"'))
    (finding,) = check_results(tmp_path)
    assert "attributes" in finding.problem


def test_a_linked_stage_is_seen_by_all_who_look(tmp_path: Path) -> None:
    publish.publish(kernel(), tmp_path / "disk" / "depth~3.zarr", {}, registry())
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "theory").symlink_to(tmp_path / "disk")
    assert "theory" in rgflow.open_results(tmp_path / "study").children
    assert [finding.problem for finding in check_results(tmp_path / "study")] == [""]
    assert "theory" in "\n".join(describe(tmp_path / "study"))


def test_repair_removes_what_is_damaged_with_all_memory_of_it(tmp_path: Path) -> None:
    store = tmp_path / "x.zarr"
    publish.publish(kernel(), store, {}, registry())
    memo.keep(store, "key")
    chunk = next(p for p in (store / "K" / "c").rglob("*") if p.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(bytes(content))
    repair(check_results(tmp_path))
    assert not store.exists()
    assert not manifest_of(store).exists()
    assert not memo.restore(store, "key")


def test_the_result_before_is_shown_while_a_new_one_is_missing(tmp_path: Path) -> None:
    store = tmp_path / "theory" / "depth~3.zarr"
    publish.publish(kernel(), store, {}, registry())
    memo.keep(store, "key")
    write_index(tmp_path / "index.json", Index({"theory/depth~3": "of its spec"}, {}))
    shutil.rmtree(store)  # as Snakemake does before it runs a job
    manifest_of(store).unlink()
    shown = rgflow.open_results(tmp_path)["theory"].to_dataset()["K"]
    np.testing.assert_array_equal(shown.values.squeeze(), kernel()["K"].values)
