"""What a stage is, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rgflow.errors import RgflowError
from rgflow.workflow.code import code_digest
from rgflow.workflow.progress import Progress, silent

if TYPE_CHECKING:
    import xarray as xr

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Resources:
    """How a stage may compute; nothing of it changes a result.

    Attributes
    ----------
    workers : int
        Processes the stage may use on this machine.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    cluster : str, optional
        Address or scheduler file of a dask cluster to use instead of own processes.
    memory : float, optional
        Bytes of main memory that all workers together may use; None: all of the machine.
    progress : callable
        ``progress(done, total)`` is called as pieces of work finish.
    """

    workers: int = 1
    device: str = "auto"
    cluster: str | None = None
    memory: float | None = None
    progress: Progress = silent

    @property
    def memory_of_worker(self) -> float | None:
        """Bytes of main memory that one worker may use; a cluster's own workers know their machine."""
        return None if self.memory is None or self.cluster else self.memory / self.workers


Datasets = Mapping[str, "list[xr.Dataset]"]
Run = Callable[[Datasets, Spec, Resources], "xr.Dataset"]
Scratch = MutableMapping[int, Any]  # room for intermediate arrays


def _nothing(_written: xr.Dataset, _scratch: Scratch) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Stage:
    """One stage: its name (folder in the results, verb on the command line), its module and what it does."""

    name: str
    module: str
    summary: str

    def load(self) -> Run:
        """Import the stage's module and return its function ``run(datasets, spec, resources) -> xr.Dataset``."""
        run: Run = import_module(self.module).run
        return run

    def certify(self, written: xr.Dataset, scratch: Scratch) -> Mapping[str, Any]:
        """Attributes that the stage's module tells of the whole result, once it is written; mostly none."""
        attributes: Mapping[str, Any] = getattr(import_module(self.module), "certify", _nothing)(written, scratch)
        return attributes

    @property
    def code(self) -> str:
        """Digest of all code the stage's result depends on."""
        return code_digest(self.module)


_STAGES = "rgflow.workflow.stages"

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("inputs", f"{_STAGES}.inputs", "select and normalize the input data"),
        Stage("theory/criticality", f"{_STAGES}.theory_criticality", "critical point, phase diagram and power laws"),
        Stage(
            "theory/hyperparameters", f"{_STAGES}.theory_hyperparameters", "initialization and learning rates by layer"
        ),
        Stage("theory/initialization", f"{_STAGES}.theory_initialization", "tensors of the theory at initialization"),
        Stage("theory/dntk", f"{_STAGES}.theory_dntk", "differentials of the NTK at initialization"),
        Stage("theory/infinite_width", f"{_STAGES}.theory_infinite_width", "infinite-width K and Theta of all inputs"),
        Stage("theory/learning_rate", f"{_STAGES}.theory_learning_rate", "step size of training from the NTK"),
        Stage("theory/training", f"{_STAGES}.theory_training", "kernel prediction of training"),
        Stage("ensemble/block", f"{_STAGES}.ensemble_block", "sample one block of networks at initialization"),
        Stage("ensemble/combine", f"{_STAGES}.ensemble_combine", "combine the blocks of an ensemble to estimates"),
        Stage("dntk", f"{_STAGES}.dntk", "sample the differentials of the NTK"),
        Stage("training/block", f"{_STAGES}.training_block", "train one block of networks"),
        Stage("training/combine", f"{_STAGES}.training_combine", "combine trained blocks to ensemble statistics"),
        Stage(
            "comparison/initialization",
            f"{_STAGES}.comparison_initialization",
            "z-scores and 1/n trends at initialization",
        ),
        Stage("comparison/dntk", f"{_STAGES}.comparison_dntk", "z-scores and 1/n trends of the differentials"),
        Stage("comparison/exact", f"{_STAGES}.comparison_exact", "z-scores against laws that hold at every width"),
        Stage("comparison/exponents", f"{_STAGES}.comparison_exponents", "measured exponents of depth"),
        Stage("comparison/training", f"{_STAGES}.comparison_training", "z-scores and 1/n trends of training"),
    )
}


def find_stage(name: str) -> Stage:
    """Return the stage called ``name``; one line naming all if there is none."""
    if name not in STAGES:
        raise RgflowError(f"no stage {name!r}; the stages are {', '.join(STAGES)}")
    return STAGES[name]
