"""Progress of long work: a bar on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
