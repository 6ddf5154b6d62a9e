"""Progress of long work: a bar on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[int, int], None]

_EVERY_SECONDS = 10.0
_log = logging.getLogger("rgflow")


def silent(_done: int, _total: int) -> None:
    """Report nothing."""


@contextmanager
def show_progress(what: str) -> Iterator[Progress]:
    """Yield a reporter ``progress(done, total)`` that fits standard error."""
    if sys.stderr.isatty():
        with _bar(what) as progress:
            yield progress
    else:
        yield _log_lines(what)


@contextmanager
def show_dask_progress(what: str) -> Iterator[None]:
    """Show the progress of lazy arrays that dask evaluates in threads of this process."""
    from dask.callbacks import Callback

    def after(_key: Any, _result: Any, _graph: Any, state: dict[str, Any], _worker: Any) -> None:
        done = len(state["finished"])
        progress(done, done + sum(len(state[kind]) for kind in ("ready", "waiting", "running")))

    with show_progress(what) as progress, Callback(posttask=after):  # type: ignore[no-untyped-call]
        yield


def _log_lines(what: str) -> Progress:
    """A line at most every ten seconds, and a last one."""
    start = last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _EVERY_SECONDS:
            last = now
            _log.info("%s: %d of %d pieces, %.0f s", what, done, total, now - start)

    return progress


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
