"""The machine: its devices, memory, and one thread per process."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rgflow.errors import RgflowError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names of these parameters, from malloc.h


def find_device(name: str) -> torch.device:
    """The torch device called "cpu", "cuda" or "auto", which is CUDA if there is one.

    Raises
    ------
    RgflowError
        Unknown name, or CUDA asked for and absent.
    """
    import torch

    if name not in DEVICES:
        raise RgflowError(f"device = {name!r}; allowed: {', '.join(DEVICES)}")
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise RgflowError("device = 'cuda', but torch finds no CUDA device here; use 'cpu' or 'auto'")
    return torch.device("cuda" if present and name != "cpu" else "cpu")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: sums come out the same to the bit in every process, and processes share the cores."""
    import torch

    _keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next arrays: returning it to the system and faulting it in again, chunk after
    chunk, costs a quarter of a sampler's time. Other C libraries have no such switch and go without."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_TRIM_THRESHOLD, 2**30)
        mallopt(_MMAP_THRESHOLD, 2**25)  # the largest value allowed


def physical_memory() -> int:
    """Bytes of main memory that this process may use: the machine's, or less where its control group is limited."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_group_limits()])


_GROUPS = Path("/sys/fs/cgroup")
_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # of control groups version 2 and 1


def _group_limits() -> Iterator[int]:
    """Limits of the control group of this process and those around it: of containers and of jobs of a cluster."""
    with suppress(OSError):
        own = Path("/proc/self/cgroup").read_text().splitlines()[-1].rpartition(":")[2].strip("/")
        for folder in [_GROUPS / own, *(_GROUPS / own).parents][: len(Path(own).parts) + 1]:
            for name in _LIMITS:
                with suppress(OSError, ValueError):  # "max" is no number
                    yield int((folder / name).read_text())


def resident_memory() -> int:
    """Bytes of main memory that this process holds now; where the system does not tell, the most it has held."""
    return _process_status("VmRSS") or peak_memory()


def peak_memory() -> int:
    """Largest main memory in bytes that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return _process_status("VmHWM") or unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _process_status(field: str) -> int | None:
    """A memory size in bytes from Linux's account of this process. (getrusage counts what the parent held before exec.)"""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return 1024 * int(line.split()[1])
    return None
