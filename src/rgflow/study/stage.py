"""What a stage, a figure and a chapter are: records from which paths, specs, rules, requests, estimates and reports derive.

The records are plain facts. A chapter of the book is a folder of :mod:`rgflow.chapters` whose ``chapter.py`` holds one
:class:`Chapter`; nothing else has to be told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rgflow.compute.progress import Progress, silent
from rgflow.store.code import code_digest

if TYPE_CHECKING:
    import xarray as xr
    from pydantic import BaseModel

    from rgflow.store.variables import Variable

Spec = Mapping[str, Any]
Config = Any  # the assembled model: one attribute per section
Cell = Mapping[str, Any]  # values of the axes of one job, by the name of the axis


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
    attempt : int
        How often the job was started, 1 the first time; 0 for a stage that is called by hand, of which nothing is noted.
    progress : callable
        ``progress(done, total)`` is called as pieces of work finish.
    """

    workers: int = 1
    device: str = "auto"
    cluster: str | None = None
    memory: float | None = None
    attempt: int = 0
    progress: Progress = silent

    @property
    def memory_of_worker(self) -> float | None:
        """Bytes of main memory that one worker may use; a cluster's own workers know their machine."""
        return None if self.memory is None or self.cluster else self.memory / self.workers


@dataclass(frozen=True)
class Labelled:
    """A dataset that a stage reads, with the labels of its cell."""

    labels: Mapping[str, Any]
    dataset: xr.Dataset


Datasets = Mapping[str, Sequence[Labelled]]
Run = Callable[[Datasets, Spec, Resources], "xr.Dataset"]
Scratch = MutableMapping[int, Any]  # room for intermediate arrays


@dataclass(frozen=True)
class Axis:
    """One direction of a sweep: a label ``name~label`` in paths.

    Attributes
    ----------
    name : str
        Name of the axis, of the Snakemake wildcard and of the dimension in opened results.
    pattern : str
        Regular expression of its labels.
    values : callable
        ``values(config, section)``: label -> value, in the order of the sweep, for a stage that belongs to a section.
    """

    name: str
    pattern: str
    values: Callable[[Config, str], Mapping[str, Any]]


def _nothing(_config: Config, _cell: Cell) -> float:
    return 0.0


def _no_files(_config: Config) -> Sequence[str]:
    return ()


def _always(_config: Config, _cell: Cell) -> bool:
    return True


@dataclass(frozen=True)
class Piece:
    """A small part of a job that can be run to see what the whole takes.

    Attributes
    ----------
    spec : mapping
        The spec of the part.
    seconds, bytes : float
        Time and size of the whole job in units of the part's.
    """

    spec: Spec
    seconds: float = 1.0
    bytes: float = 1.0


@dataclass(frozen=True)
class Cost:
    """What a job takes, as functions of the configuration and its cell; zero means that its start takes longer.

    Attributes
    ----------
    work : callable
        Floating-point operations, in leading terms.
    numbers : callable
        Numbers that the job reads or writes.
    drawn : callable
        Bytes in memory at once besides these.
    piece : callable, optional
        ``piece(config, cell, spec)``: a part to measure for an estimate.
    """

    work: Callable[[Config, Cell], float] = _nothing
    numbers: Callable[[Config, Cell], float] = _nothing
    drawn: Callable[[Config, Cell], float] = _nothing
    piece: Callable[[Config, Cell, Spec], Piece] | None = None


@dataclass(frozen=True)
class Stage:
    """One stage: a pure function from datasets and a spec to a dataset, once per cell of its axes.

    Attributes
    ----------
    name : str
        ``family/member``: the verb on the command line and, with ``_``, the name of the rule.
    run : str
        Module whose function ``run(datasets, spec, resources)`` it is. The digest of its code is that of this module and what
        it imports; the module may also have ``certify(written, scratch)``.
    summary : str
        What it does, in a few words.
    axes : tuple of str
        The axes that it depends on, in the order of paths.
    section : str
        The section of the configuration whose depths and blocks it has; without that section it has no cells.
    alone : bool
        Whether it has cells without its section too.
    reads : mapping of str to str
        Role -> stage. Of a stage with further axes, all cells along these are read together.
    config : tuple of str
        Keys of the configuration that it consumes besides its axes: ``section.key``, or ``section``.
    files : callable
        ``files(config)``: paths of the files whose content it depends on.
    folder : str
        Where its stores are; by default its name.
    when : callable
        ``when(config, cell)``: whether it exists for a cell.
    wanted : bool
        Whether a study wants it by itself; if not, it exists for the cells that other stages read.
    scores : bool
        Whether its result holds z-scores, for the summary and the overview.
    cost : Cost
        What a job takes.
    """

    name: str
    run: str
    summary: str
    axes: tuple[str, ...] = ()
    section: str = ""
    alone: bool = False
    reads: Mapping[str, str] = field(default_factory=dict)
    config: tuple[str, ...] = ()
    files: Callable[[Config], Sequence[str]] = _no_files
    folder: str = ""
    when: Callable[[Config, Cell], bool] = _always
    wanted: bool = True
    scores: bool = False
    cost: Cost = Cost()

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder or self.name)

    @property
    def rule(self) -> str:
        """Name of its rule."""
        return self.name.replace("/", "_")

    @property
    def family(self) -> str:
        """First part of the name: the target of all stages of the family."""
        return self.name.partition("/")[0]

    def load(self) -> Run:
        """Import the stage's module and return its function ``run(datasets, spec, resources) -> xr.Dataset``."""
        run: Run = import_module(self.run).run
        return run

    def certify(self, written: xr.Dataset, scratch: Scratch) -> Mapping[str, Any]:
        """Attributes that the stage's module tells of the whole result, once it is written; mostly none."""
        tell = getattr(import_module(self.run), "certify", None)
        attributes: Mapping[str, Any] = tell(written, scratch) if tell else {}
        return attributes

    @property
    def code(self) -> str:
        """Digest of all code the stage's result depends on."""
        return code_digest(self.run)


@dataclass(frozen=True)
class Every:
    """All stages of a study with a property, as what a figure reads: ``Every("scores")``."""

    flag: str


@dataclass(frozen=True)
class Figure:
    """One figure, drawn once per cell of its axes; figures of a chapter with the same job share one process.

    Attributes
    ----------
    name : str
        Name of the picture files.
    draw : str
        Module whose function ``draw`` returns a matplotlib figure; it gets one keyword argument per role.
    reads : mapping of str to str or Every
        Role -> stage. A role whose stage has no further axes is a dataset; one with further widths only is a dataset along
        ``width``; any other is a mapping from the words of a cell to its dataset.
    axes : tuple of str
        The axes that it depends on.
    job : str
        Which figures are drawn together; by default those of the chapter.
    when : callable
        ``when(config, cell)``: whether it is drawn for a cell.
    """

    name: str
    draw: str
    reads: Mapping[str, str | Every]
    axes: tuple[str, ...] = ()
    job: str = ""
    when: Callable[[Config, Cell], bool] = _always


@dataclass(frozen=True)
class Chapter:
    """One chapter: its stages, its section of the configuration, what it stores and draws, and what it requires.

    Attributes
    ----------
    name : str
        Name of the folder.
    title : str
        Category in the report, with the chapters of the book.
    place : int
        Order among the chapters.
    section : type, optional
        Model of the section of the configuration.
    section_name : str
        Its key; by default the name of the chapter.
    default : str
        Of the section: ``"always"`` there, ``"on"`` unless null, ``"off"`` unless given.
    axes, stages, figures, variables
        What the chapter adds to a study.
    require : callable, optional
        ``require(config)`` raises one line if a configuration asks for what the chapter cannot give.
    """

    name: str
    title: str
    place: int
    section: type[BaseModel] | None = None
    section_name: str = ""
    default: str = "always"
    axes: tuple[Axis, ...] = ()
    stages: tuple[Stage, ...] = ()
    figures: tuple[Figure, ...] = ()
    variables: tuple[Variable, ...] = ()
    require: Callable[[Config], None] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "section_name", self.section_name or self.name)
