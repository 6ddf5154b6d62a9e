"""Progress of long work: a bar on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_EVERY_SECONDS = 10.0
_log = logging.getLogger("rgflow")


@dataclass
class Progress:
    """Counts finished pieces of work; call it as ``progress(done, total)``. This base reports nothing."""

    def __call__(self, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` pieces are finished."""


@dataclass
class LogProgress(Progress):
    """Writes a line at most every ten seconds, and a last one."""

    what: str
    _start: float = field(default_factory=time.monotonic)
    _last: float = field(default_factory=time.monotonic)

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self._last < _EVERY_SECONDS:
            return
        self._last = now
        _log.info("%s: %d/%d pieces, %.0f s", self.what, done, total, now - self._start)


@dataclass
class _BarProgress(Progress):
    bar: object
    task: object

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total)  # type: ignore[attr-defined]


@contextmanager
def show_progress(what: str) -> Iterator[Progress]:
    """Yield the progress reporter that fits standard error."""
    if not sys.stderr.isatty():
        yield LogProgress(what)
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        yield _BarProgress(bar, bar.add_task(what, total=None))
