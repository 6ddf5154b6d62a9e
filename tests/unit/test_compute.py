"""Devices, threads, and tasks on dask workers."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest
import torch

from rgflow.compute import machine
from rgflow.compute.machine import find_device, one_thread, physical_memory
from rgflow.compute.tasks import map_tasks
from rgflow.errors import RgflowError


def square(number: int) -> int:
    return number**2


def environment(name: str) -> str | None:
    return os.environ.get(name)


def die_once(marker: Path, number: int) -> int:
    """Kill the worker at the first attempt at number 2."""
    if number == 2 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def test_auto_is_a_device_that_exists() -> None:
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert find_device("cpu").type == "cpu"
    with pytest.raises(RgflowError, match="device = 'tpu'; allowed: auto, cpu, cuda"):
        find_device("tpu")


def test_one_thread_is_restored_even_after_an_error() -> None:
    before = torch.get_num_threads()
    during = []

    def fail() -> None:
        with one_thread():
            during.append(torch.get_num_threads())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert during == [1]
    assert torch.get_num_threads() == before


def test_memory_is_that_of_a_computer() -> None:
    assert 2**28 < physical_memory() < 2**50


def test_serial_tasks_in_order_with_progress() -> None:
    seen: list[tuple[int, int]] = []
    assert list(map_tasks(square, [3, 1, 2], progress=lambda *step: seen.append(step))) == [(0, 9), (1, 1), (2, 4)]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_workers_at_least_one() -> None:
    with pytest.raises(RgflowError, match="workers = 0"):
        list(map_tasks(square, [1], workers=0))


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    results = dict(map_tasks(partial(die_once, tmp_path / "died"), range(5), workers=2))
    assert (tmp_path / "died").exists()
    assert results == {index: index**2 for index in range(5)}


@pytest.mark.slow
def test_workers_have_one_thread() -> None:
    assert dict(map_tasks(environment, ["OMP_NUM_THREADS", "MKL_NUM_THREADS"], workers=2)) == {0: "1", 1: "1"}


@pytest.mark.slow
def test_a_cluster_of_the_users_own(tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        assert dict(map_tasks(square, [1, 2], cluster=cluster.scheduler_address)) == {0: 1, 1: 4}
        scheduler_file = tmp_path / "scheduler.json"
        scheduler_file.write_text(json.dumps({"address": cluster.scheduler_address}))
        assert dict(map_tasks(square, [3], cluster=str(scheduler_file))) == {0: 9}


def test_memory_is_that_of_the_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_GROUPS", tmp_path)
    whole = machine.physical_memory()
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.physical_memory() == whole
    (tmp_path / "memory.max").write_text("123456789\n")
    assert machine.physical_memory() == 123456789
