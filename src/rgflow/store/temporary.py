"""Temporary names, and renaming them to final ones: how nothing half-written ever has a final name.

A temporary sibling of ``x`` is called ``.x.<host>-<pid>-<random>.tmp``: hidden, on the same file system, different for every
process of every node, and recognizable as left over once that process is gone.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rgflow.errors import RgflowError

HOST = socket.gethostname().split(".")[0]
_RENAME_TRIES = 20
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


@contextmanager
def temporary_sibling(final: Path) -> Iterator[Path]:
    """A temporary name beside ``final``; what has it at the end is removed, unless it was renamed away."""
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
    finally:
        _remove(temporary)


def remove_leftovers(final: Path) -> None:
    """Remove temporary siblings of ``final`` left by processes of this host that are gone."""
    for leftover in final.parent.glob(f".{glob.escape(final.name)}.*-*-*.tmp*"):
        host, pid, _ = leftover.name.removeprefix(f".{final.name}.").rsplit("-", 2)
        if host == HOST and not _alive(int(pid)):
            _remove(leftover)


def replace_directory(source: Path, target: Path) -> None:
    """Rename the directory ``source`` to ``target``; what is there already gives way.

    Where the file system can exchange two names, ``target`` exists at every moment. Elsewhere it is moved aside first and
    is absent for the time between two renames.

    Raises
    ------
    RgflowError
        If others keep writing ``target``.
    """
    aside = source.with_name(source.name + ".old")
    if _exchange(source, target):
        _remove(source)
        return
    for _ in range(_RENAME_TRIES):
        with suppress(FileNotFoundError):
            target.rename(aside)
        try:
            source.rename(target)
            return
        except OSError as error:  # another writer of the same result published in between
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        finally:
            _remove(aside)
    raise RgflowError(f"{target}: other writers keep publishing it; is the same study running twice?")


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False if one of them does not exist or the system cannot do it."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
