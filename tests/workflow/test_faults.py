"""Faults at every moment of a job: no half store is ever visible, a rerun completes, and the result is bitwise the same."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from .faults import FAILURES, JOBS, KILLS, STOPS, Results

BLOCKS = ("block~0000", "trained")
OTHERS = ("theory", "ensemble")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """All jobs, run without a fault."""
    results = Results(tmp_path_factory.mktemp("undisturbed"))
    assert [results.run(output) for output in JOBS] == [0] * len(JOBS)
    assert results.problems() == []
    return results


@pytest.fixture
def results(undisturbed: Results, tmp_path: Path) -> Results:
    """A copy of them, the memo as hard links too."""
    shutil.copytree(undisturbed.folder, tmp_path / "results")
    (tmp_path / "results" / "computed.log").unlink()
    return Results(tmp_path / "results")


def forget(results: Results, output: str) -> None:
    """Remove a result and all memory of it."""
    shutil.rmtree(results.folder / f"{output}.zarr")
    results.manifest(output).unlink()
    shutil.rmtree(results.folder / ".memo" / output)


def assert_nothing_half(results: Results, undisturbed: Results, output: str) -> None:
    """Under the final names is nothing, or all of it; and no other result is touched."""
    if (results.folder / f"{output}.zarr").exists():
        assert results.content(output) == undisturbed.expected(output)
    if results.manifest(output).exists():
        assert results.manifest(output).read_bytes() == undisturbed.manifest(output).read_bytes()
    for other in JOBS.keys() - {output}:
        assert results.content(other) == undisturbed.expected(other)


def assert_recovers(results: Results, undisturbed: Results, output: str) -> None:
    """A rerun completes to the undisturbed result, bit for bit, and leaves nothing behind."""
    assert results.run(output) == 0
    assert results.problems() == []
    assert results.content(output) == undisturbed.expected(output)
    assert results.manifest(output).read_bytes() == undisturbed.manifest(output).read_bytes()
    assert list(results.folder.rglob(".*.tmp*")) == []
    assert (results.folder / ".memo" / output).is_dir()


@pytest.mark.parametrize("fault", KILLS)
@pytest.mark.parametrize("output", BLOCKS)
def test_killed_blocks(results: Results, undisturbed: Results, output: str, fault: str) -> None:
    forget(results, output)
    assert results.run(output, fault) == -signal.SIGKILL
    assert_nothing_half(results, undisturbed, output)
    finished = (results.folder / ".memo" / output).is_dir() and fault != "killed while it remembers"
    assert_recovers(results, undisturbed, output)
    assert results.computed == [output] * (1 if finished else 2)


@pytest.mark.parametrize("fault", ["killed with half of the store written", "killed between store and manifest"])
@pytest.mark.parametrize("output", OTHERS)
def test_other_stages_killed(results: Results, undisturbed: Results, output: str, fault: str) -> None:
    forget(results, output)
    assert results.run(output, fault) == -signal.SIGKILL
    assert_nothing_half(results, undisturbed, output)
    assert_recovers(results, undisturbed, output)


@pytest.mark.parametrize("fault", FAILURES)
def test_failing_jobs_leave_nothing(results: Results, undisturbed: Results, fault: str) -> None:
    forget(results, "block~0000")
    assert results.run("block~0000", fault) not in (0, None)
    assert not (results.folder / "block~0000.zarr").exists()
    assert not results.manifest("block~0000").exists()
    assert_nothing_half(results, undisturbed, "block~0000")
    assert_recovers(results, undisturbed, "block~0000")


@pytest.mark.parametrize("fault", ["killed before it renames", "killed between store and manifest"])
def test_a_finished_result_is_taken_from_the_memo_after_a_kill(
    results: Results, undisturbed: Results, fault: str
) -> None:
    shutil.rmtree(results.folder / "trained.zarr")
    results.manifest("trained").unlink()
    assert results.run("trained", fault) in (0, -signal.SIGKILL)
    assert_recovers(results, undisturbed, "trained")
    assert results.computed == []


@pytest.mark.parametrize("fault", STOPS)
def test_an_orphan_that_wakes_up_after_its_successor_finished(
    results: Results, undisturbed: Results, fault: str
) -> None:
    forget(results, "block~0000")
    orphan = results.start("block~0000", fault)
    await_stop(orphan)
    assert results.run("block~0000") == 0
    assert results.content("block~0000") == undisturbed.expected("block~0000")
    assert orphan.pid is not None
    os.kill(orphan.pid, signal.SIGCONT)
    orphan.join(60)
    assert orphan.exitcode == 0
    assert_nothing_half(results, undisturbed, "block~0000")
    assert_recovers(results, undisturbed, "block~0000")
    assert len(results.computed) == 2


def test_two_writers_at_once_both_succeed(results: Results, undisturbed: Results) -> None:
    forget(results, "block~0000")
    writers = [results.start("block~0000") for _ in range(4)]
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert_recovers(results, undisturbed, "block~0000")


def test_a_full_disk(results: Results, undisturbed: Results, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=1m", "tmpfs") as disk:
        crowded = Results(disk)
        for name in (f"{output}{suffix}" for output in ("inputs", "shallow", "rate") for suffix in (".json", ".zarr")):
            source = results.folder / name
            shutil.copytree(source, disk / name) if source.is_dir() else shutil.copy2(source, disk / name)
        filling = disk / "filling"
        fill(filling)
        assert crowded.run("trained") not in (0, None)
        assert {p.name for p in disk.iterdir()} & {"trained.zarr", "trained.json"} == set()
        filling.unlink()
        assert crowded.run("trained") == 0
        assert crowded.problems() == []
        assert crowded.content("trained") == undisturbed.expected("trained")


def test_read_only_results(results: Results, undisturbed: Results, tmp_path: Path) -> None:
    forget(results, "block~0000")
    with mounted(tmp_path / "results", "--bind", str(results.folder)):
        remount_read_only(tmp_path / "results")
        assert results.run("block~0000") not in (0, None)
    assert_recovers(results, undisturbed, "block~0000")


@pytest.mark.parametrize("damage", ["truncated", "removed", "emptied"])
def test_a_damaged_memo_is_computed_again(results: Results, undisturbed: Results, damage: str) -> None:
    shutil.rmtree(results.folder / "block~0000.zarr")
    entry = next((results.folder / ".memo" / "block~0000").iterdir())
    chunk = next(p for p in sorted((entry / "store.zarr").rglob("c/**/*")) if p.is_file())
    if damage == "removed":
        chunk.unlink()
    else:
        os.truncate(chunk, 0 if damage == "emptied" else chunk.stat().st_size - 3)
    assert_recovers(results, undisturbed, "block~0000")
    assert results.computed == ["block~0000"]


def flip(store: Path) -> None:
    """Change one byte of the largest chunk, where it lies."""
    chunk = max((p for p in store.rglob("c/**/*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(bytes(content))


def exchange(store: Path) -> None:
    """Put the store of the other block there, which is intact but not the one of the manifest."""
    shutil.rmtree(store)
    shutil.copytree(store.with_name("block~0001.zarr"), store)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip, "delete this store and run again"),
        (exchange, "differs from its manifest in "),
        (shutil.rmtree, "no such store"),
    ],
)
def test_a_damaged_input_stops_the_stage_and_is_named(
    results: Results, undisturbed: Results, damage: Callable[[Path], None], message: str
) -> None:
    """A block is damaged, in the memo too, which shares its files; following the advice repairs all."""
    forget(results, "ensemble")
    damaged = results.folder / "block~0000.zarr"
    damage(damaged)
    assert results.run("ensemble") not in (0, None)
    *_, line = (results.folder / "stderr.log").read_text().splitlines()
    assert f"{damaged}: " in line
    assert message in line
    assert not results.manifest("ensemble").exists()
    assert not (results.folder / "ensemble.zarr").exists()

    shutil.rmtree(damaged, ignore_errors=True)
    assert_recovers(results, undisturbed, "block~0000")
    assert_recovers(results, undisturbed, "ensemble")


def test_clocks_of_nodes_do_not_matter(results: Results, undisturbed: Results) -> None:
    for path in results.folder.rglob("*"):
        os.utime(path, (time.time() + 7200,) * 2)
    shutil.rmtree(results.folder / "block~0000.zarr")
    assert_recovers(results, undisturbed, "block~0000")
    assert results.computed == []


def test_leftovers_of_another_host_are_not_touched(results: Results) -> None:
    """A process id says nothing about a process of another node, which may still be writing."""
    foreign = results.folder / ".block~0000.zarr.elsewhere-1-00000000.tmp"
    foreign.mkdir()
    forget(results, "block~0000")
    assert results.run("block~0000") == 0
    assert foreign.exists()


def await_stop(process: BaseProcess) -> None:
    """Wait until the process has stopped itself."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        if state == "T":
            return
        time.sleep(0.02)
    raise AssertionError("the process never stopped")


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as raw, suppress(OSError):
        while True:
            raw.write(bytes(4096))


@contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[Path]:
    """A mount for the time of a with block; the test is skipped where mounting is not allowed."""
    place.mkdir(exist_ok=True)
    if os.system(" ".join(["mount", *arguments, str(place), "2> /dev/null"])):
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        os.system(f"umount {place}")


def remount_read_only(place: Path) -> None:
    assert os.system(f"mount -o remount,bind,ro {place}") == 0
