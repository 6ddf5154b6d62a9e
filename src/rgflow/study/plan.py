"""A study: its stages with their cells, the paths of their stores, and the spec that each job consumes.

All of it derives from the chapters and the configuration; this is all that the Snakemake rules know. A *spec* is the sorted
JSON of exactly what a job consumes, so a change elsewhere in the configuration leaves the job idle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from rgflow.errors import RgflowError, marked
from rgflow.store.digest import canonical_json, digest_json, file_digest
from rgflow.store.index import Index, identity
from rgflow.store.labels import cell_path
from rgflow.store.publish import PROVENANCE
from rgflow.study import catalogue
from rgflow.study.config import load_config
from rgflow.study.stage import Axis, Chapter, Every, Figure, Stage

Labels = Mapping[str, str]
Gathered = Callable[[Any], list[str]]  # paths as a function of Snakemake's wildcards


class Study:
    """A validated configuration with its cells, paths and specs.

    Parameters
    ----------
    raw : mapping
        The configuration as read from YAML.

    Raises
    ------
    RgflowError
        If the configuration is wrong or asks for something that does not exist; one line each.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.config = load_config(raw)
        self.root = f"results/{self.config.study}"
        self._axes: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._cells: dict[str, list[dict[str, str]]] = {}
        self._grouped: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], list[dict[str, str]]]] = {}
        for chapter in catalogue.chapters():
            if chapter.require and self.has(chapter.section_name):
                chapter.require(self.config)

    def has(self, section: str) -> bool:
        """Whether the study has a section (or the section is no section at all, and so not missing)."""
        return getattr(self.config, section, ...) is not None

    @cached_property
    def stages(self) -> list[Stage]:
        """The stages that have cells, in the order of the chapters."""
        return [stage for stage in catalogue.stages().values() if self.cells(stage.name)]

    @cached_property
    def wanted(self) -> list[Stage]:
        """The stages that a study wants by itself."""
        return [stage for stage in self.stages if stage.wanted]

    @property
    def needed(self) -> list[Stage]:
        """The stages of a finished study: those that it wants, and what they read."""
        return [stage for stage in self.stages if stage not in self._on_demand]

    @property
    def _on_demand(self) -> list[Stage]:
        return [stage for stages in self.targets.values() for stage in stages if not stage.wanted]

    @property
    def targets(self) -> dict[str, list[Stage]]:
        """What can be asked for by name: the wanted stages of each family, and single stages that are made only then."""
        targets: dict[str, list[Stage]] = {}
        for stage in self.stages:
            if "/" not in stage.name:
                continue  # its rule is a target already
            if stage.wanted:
                targets.setdefault(stage.family, []).append(stage)
            elif not any(stage.name in reader.reads.values() for reader in self.stages):
                targets[stage.name.rpartition("/")[2]] = [stage]
        return targets

    def cells(self, stage_name: str) -> list[dict[str, str]]:
        """Labels of all jobs of a stage."""
        if stage_name not in self._cells:
            stage = catalogue.find_stage(stage_name)
            self._cells[stage_name] = list(self._swept(stage) if stage.wanted else self._read_by_others(stage))
        return self._cells[stage_name]

    def _swept(self, stage: Stage) -> Iterator[dict[str, str]]:
        """The product of the axes, where the stage exists and what it reads exists."""
        if not (self.has(stage.section) or stage.alone):
            return
        wanted_reads = [name for name in stage.reads.values() if catalogue.find_stage(name).wanted]
        for labels in self._product(stage.axes, stage.section):
            if stage.when(self.config, self.cell(stage, labels)) and all(
                self._matching(name, labels) for name in wanted_reads
            ):
                yield labels

    def _read_by_others(self, stage: Stage) -> Iterator[dict[str, str]]:
        """The cells, where the stage exists, that stages with cells read; of a stage that none reads, the whole sweep."""
        readers = [reader for reader in catalogue.stages().values() if stage.name in reader.reads.values()]
        if not readers:
            yield from (
                labels
                for labels in self._product(stage.axes, stage.section)
                if stage.when(self.config, self.cell(stage, labels))
            )
            return
        cells = (tuple((axis, cell[axis]) for axis in stage.axes) for one in readers for cell in self.cells(one.name))
        for labels in map(dict, dict.fromkeys(cells)):
            if stage.when(self.config, self.cell(stage, labels)):
                yield labels

    def _product(self, axes: tuple[str, ...], section: str) -> Iterator[dict[str, str]]:
        for labels in product(*(self.values(axis, section) for axis in axes)):
            yield dict(zip(axes, labels, strict=True))

    def values(self, axis: str, section: str) -> Mapping[str, Any]:
        """Label -> value along an axis, for the stages of a section."""
        if (axis, section) not in self._axes:
            self._axes[axis, section] = self._axis(axis).values(self.config, section)
        return self._axes[axis, section]

    def cell(self, stage: Stage | Figure, labels: Labels) -> dict[str, Any]:
        """Values of the axes of a job."""
        section = stage.section if isinstance(stage, Stage) else ""
        return {axis: self._value(axis, section, labels[axis]) for axis in stage.axes}

    def _value(self, axis: str, section: str, label: str) -> Any:
        sections = dict.fromkeys(["", *(stage.section for stage in catalogue.stages().values()), section])
        known = {label: value for name in sections for label, value in self.values(axis, name).items()}
        known |= self.values(axis, section)
        if label not in known:
            raise RgflowError(f"the study {self.config.study} has no {axis}~{label}; it has {', '.join(known)}")
        return known[label]

    @staticmethod
    def _axis(name: str) -> Axis:
        return catalogue.axes()[name]

    def spec(self, stage_name: str, labels: Labels | None = None) -> str:
        """The spec of one job, as sorted JSON: the values of its axes, and the keys of the configuration it consumes."""
        stage = catalogue.find_stage(stage_name)
        spec: dict[str, Any] = self.cell(stage, labels or {})
        if files := stage.files(self.config):
            spec["files"] = {path: file_digest(Path(path)) for path in files}
        for key in stage.config:
            section, _, member = key.partition(".")
            value = getattr(self.config, section)
            if member:
                spec.setdefault(section, {})[member] = _plain(getattr(value, member))
            else:
                spec[section] = _plain(value)
        return canonical_json(spec)

    def pattern(self, item: Stage, suffix: str) -> str:
        """Path of a stage's stores (``.zarr``) or manifests (``.json``), with a wildcard for each axis."""
        return self.place(item, item.folder, suffix)

    def place(self, item: Stage | Figure, folder: str, suffix: str) -> str:
        """A path below a folder of the study with a wildcard for each axis."""
        return "/".join([self.root, folder, *(f"{axis}~{{{axis}}}" for axis in item.axes)]) + suffix

    def path(self, stage_name: str, labels: Labels, suffix: str) -> str:
        """Path of one store or manifest."""
        stage = catalogue.find_stage(stage_name)
        cell = cell_path({axis: labels[axis] for axis in stage.axes})
        return "/".join([self.root, stage.folder, *([cell] if cell else [])]) + suffix

    def paths(self, stages: Iterable[Stage], suffix: str) -> list[str]:
        """Paths of all stores or manifests of some stages."""
        return [self.path(stage.name, labels, suffix) for stage in stages for labels in self.cells(stage.name)]

    def sources(self, item: Stage | Figure, suffix: str) -> dict[str, str | list[str] | Gathered]:
        """What a job reads, by role: a pattern, or a function of wildcards where several cells are read together."""
        return {role: self._source(self._read(read), item.axes, suffix) for role, read in item.reads.items()}

    def _read(self, read: str | Every) -> list[Stage]:
        if isinstance(read, str):
            return [catalogue.find_stage(read)]
        return [stage for stage in self.stages if getattr(stage, read.flag)]

    def _source(self, stages: list[Stage], axes: tuple[str, ...], suffix: str) -> str | list[str] | Gathered:
        if len(stages) == 1 and set(stages[0].axes) <= set(axes) and (stages[0].wanted or self.cells(stages[0].name)):
            return self.pattern(stages[0], suffix)
        if not axes:
            return self.paths(stages, suffix)
        return lambda wildcards: [
            self.path(stage.name, labels, suffix)
            for stage in stages
            for labels in self._matching(stage.name, dict(wildcards.items()))
        ]

    def _matching(self, stage_name: str, labels: Labels) -> list[dict[str, str]]:
        """Cells of a stage that agree with labels on the axes that both have."""
        shared = tuple(axis for axis in catalogue.find_stage(stage_name).axes if axis in labels)
        key = (stage_name, shared)
        if key not in self._grouped:
            grouped: dict[tuple[str, ...], list[dict[str, str]]] = {}
            for cell in self.cells(stage_name):
                grouped.setdefault(tuple(cell[axis] for axis in shared), []).append(cell)
            self._grouped[key] = grouped
        return self._grouped[key].get(tuple(labels[axis] for axis in shared), [])

    @cached_property
    def drawings(self) -> list[Drawing]:
        """The jobs that draw figures."""
        return [drawing for chapter in catalogue.chapters() for drawing in self._drawings(chapter)]

    def _drawings(self, chapter: Chapter) -> Iterator[Drawing]:
        jobs: dict[str, list[Figure]] = {}
        for figure in chapter.figures:
            jobs.setdefault(figure.job or chapter.name, []).append(figure)
        for job, figures in jobs.items():
            drawing = self._drawing(chapter, job, figures)
            if drawing.cells and drawing.figures:
                yield drawing

    def _drawing(self, chapter: Chapter, job: str, figures: list[Figure]) -> Drawing:
        """Figures of one job that have the same cells: those of the stages that the first of them reads."""
        cells = {figure.name: self.figure_cells(figure) for figure in figures}
        present = [figure for figure in figures if cells[figure.name]]
        return Drawing(chapter, job, present, cells[present[0].name] if present else [])

    def figure_cells(self, figure: Figure) -> list[dict[str, str]]:
        """Labels of all cells of a figure: those for which all that it reads exists."""
        read = [stage.name for read in figure.reads.values() for stage in self._read(read)]
        several = [stage for stage in read if set(figure.axes) <= set(catalogue.find_stage(stage).axes)]
        if not read or not all(self.cells(stage) for stage in read):
            return []
        if not figure.axes:
            return [{}] if figure.when(self.config, {}) else []
        cells = dict.fromkeys(tuple((axis, cell[axis]) for axis in figure.axes) for cell in self.cells(several[0]))
        return [
            dict(labels)
            for labels in cells
            if all(self._matching(stage, dict(labels)) for stage in read)
            and figure.when(self.config, self.cell(figure, dict(labels)))
        ]

    @cached_property
    def index(self) -> Index:
        """Every store of the study with the identity of what it is made from."""
        return Index(self._identities(self.needed), self._identities(self._on_demand))

    def _identities(self, stages: Iterable[Stage]) -> dict[str, str]:
        return {
            self.path(stage.name, labels, "").removeprefix(f"{self.root}/"): identity(
                stage.name, json.loads(self.spec(stage.name, labels))
            )
            for stage in stages
            for labels in self.cells(stage.name)
        }

    @property
    def index_digest(self) -> str:
        """Digest of the index: it is written anew when it changes."""
        return digest_json(self.index.all)

    def stale(self) -> list[str]:
        """Stores that were made from another spec than the study's: read from the stores, for when Snakemake's notes are lost."""
        return [path for path, made_from in self.index.all.items() if self._made_from(path) not in (None, made_from)]

    def _made_from(self, path: str) -> str | None:
        """Identity of what a store says it was made from; None if it is not there."""
        try:
            attributes = json.loads(Path(self.root, f"{path}.zarr", "zarr.json").read_text())["attributes"]
            facts = json.loads(attributes[PROVENANCE])
        except (OSError, ValueError, KeyError):
            return None
        return identity(facts["stage"], facts["spec"])

    def yaml(self) -> str:
        """The whole configuration, defaults written out."""
        import yaml

        return str(yaml.safe_dump(self.config.model_dump(), sort_keys=False))


@dataclass(frozen=True)
class Drawing:
    """One job that draws figures: its chapter, name, figures and cells."""

    chapter: Chapter
    job: str
    figures: list[Figure]
    cells: list[dict[str, str]] = field(default_factory=list)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that the figures depend on."""
        return self.figures[0].axes

    @property
    def reads(self) -> dict[str, str | Every]:
        """All that the figures read, by role."""
        return {role: read for figure in self.figures for role, read in figure.reads.items()}

    @property
    def code(self) -> str:
        """Digests of the code behind the figures."""
        from rgflow.store.code import code_digest

        return " ".join(code_digest(figure.draw) for figure in self.figures)

    def as_figure(self) -> Figure:
        """All figures of the job as one, for what it reads and where it is."""
        return Figure(self.job, "", self.reads, self.axes)


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else value


def load_study(raw: Mapping[str, Any], notes: Path = Path(".snakemake/metadata")) -> Study:
    """The study of a configuration, for the Snakefile: what is wrong ends Snakemake with that line and nothing around it.

    Where Snakemake's notes of how results were made are gone, the results are asked themselves.
    """
    try:
        study = Study(raw)
        if not _has_notes(notes) and (stale := study.stale()):
            raise RgflowError(
                f"{study.root}: {len(stale)} stores, the first {stale[0]}, were made from another configuration, and Snakemake's"
                f" notes of it are gone; `rgflow check {study.root} --study CONFIG --repair` removes them"
            )
    except RgflowError as error:
        raise SystemExit(marked(error)) from None
    return study


def _has_notes(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
