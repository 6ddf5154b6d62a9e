"""Tasks in this process, in others of this machine, or on a dask cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rgflow.errors import RgflowError

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_RETRIES = 3  # of a task whose worker died


def map_tasks(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int = 1,
    cluster: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, Result]]:
    """Apply a function to items, in this process or on dask workers; tasks whose worker is killed run again elsewhere.

    Parameters
    ----------
    function, items
        What to do; both are sent to the workers.
    workers
        Processes on this machine, each with one thread and its share of the memory. One worker is this process itself.
    cluster
        Instead of own processes: the address (``tcp://...``) or the scheduler file of a running dask cluster.
    progress
        Called with (done, total) after each item.

    Yields
    ------
    (index, result), in the order of completion.

    Raises
    ------
    RgflowError
        Fewer than one worker.
    Exception
        Whatever the function raises.
    """
    check_workers(workers)
    done = _serial(function, items) if workers == 1 and cluster is None else _on_dask(function, items, workers, cluster)
    for count, (index, result) in enumerate(done, start=1):
        if progress is not None:
            progress(count, len(items))
        yield index, result


def check_workers(workers: int) -> None:
    """A clear error for fewer than one worker."""
    if workers < 1:
        raise RgflowError(f"workers = {workers}; at least 1 is needed")


def _serial(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
    for index, item in enumerate(items):
        yield index, function(item)


def _on_dask(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, cluster: str | None
) -> Iterator[tuple[int, Result]]:
    from distributed import as_completed

    with _client(min(workers, len(items)), cluster) as client:
        futures = client.map(function, items, pure=False, retries=_RETRIES)
        index = {future.key: position for position, future in enumerate(futures)}
        for future in as_completed(futures):  # type: ignore[no-untyped-call]  # distributed is partly annotated
            yield index[future.key], future.result()


@contextmanager
def _client(workers: int, cluster: str | None) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    if cluster is not None:
        where: dict[str, Any] = {"scheduler_file": cluster} if os.path.exists(cluster) else {"address": cluster}
        with Client(**where) as client:  # type: ignore[no-untyped-call]
            yield client
        return
    own = LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        memory_limit="auto",
        silence_logs=logging.ERROR,
        env=ONE_THREAD,
    )
    with own, Client(own) as client:  # type: ignore[no-untyped-call]
        yield client
