"""Running stages of a study in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import xarray as xr
from matplotlib.figure import Figure as Picture

from rgflow.study.catalogue import find_stage, registry
from rgflow.study.draw import arrange
from rgflow.study.plan import Study
from rgflow.study.stage import Chapter, Figure, Labelled, Resources

Upstream = Mapping[str, list[Labelled]]


def run(study: Study, stage: str, labels: Mapping[str, str], upstream: Upstream | None = None) -> Labelled:
    """Run a stage for one cell and validate what it returns."""
    spec = json.loads(study.spec(stage, labels))
    result = find_stage(stage).load()(upstream or {}, spec, Resources(device="cpu"))
    registry().validate(result, stage)
    return Labelled(typed(labels), result)


def typed(labels: Mapping[str, str]) -> dict[str, Any]:
    """Labels as they are read from paths."""
    return {name: int(label) if label.isdigit() else label for name, label in labels.items()}


def network_inputs(study: Study, labels: Mapping[str, str]) -> dict[str, list[Labelled]]:
    """The inputs and hyperparameters that all stages of networks read."""
    return {
        "inputs": [run(study, "inputs", {})],
        "hyperparameters": [run(study, "theory/hyperparameters", labels)],
    }


def everything(study: Study, chapter: Chapter | None = None) -> dict[str, list[xr.Dataset]]:
    """Run every stage of a small study, or of one chapter and what it reads, in order."""
    return {name: [one.dataset for one in cells] for name, cells in all_cells(study, chapter).items()}


def all_cells(study: Study, chapter: Chapter | None = None) -> dict[str, list[Labelled]]:
    """The results of every stage of a small study; what a stage reads is found by its cells."""
    done: dict[str, list[Labelled]] = {}
    for stage in _in_order(study, chapter):
        done[stage.name] = []
        for labels in study.cells(stage.name):
            upstream = {role: _matching(done[read], labels) for role, read in stage.reads.items()}
            done[stage.name].append(run(study, stage.name, labels, upstream))
    return done


def read_by(figure: Figure, found: Mapping[str, list[xr.Dataset]], several: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a figure is drawn from, by role: the last dataset of a stage, or all of them by name."""
    return {
        role: {str(i): one for i, one in enumerate(found[str(stage)])} if role in several else found[str(stage)][-1]
        for role, stage in figure.reads.items()
    }


def pictures(study: Study, done: Mapping[str, list[Labelled]]) -> Iterator[tuple[str, Picture]]:
    """Every figure of a study, drawn from its results."""
    for drawing in study.drawings:
        for figure in drawing.figures:
            draw = import_module(figure.draw).draw
            for labels in drawing.cells:
                yield (
                    figure.name,
                    draw(**{role: _drawn_from(study, figure, role, labels, done) for role in figure.reads}),
                )


def _drawn_from(
    study: Study, figure: Figure, role: str, labels: Mapping[str, str], done: Mapping[str, list[Labelled]]
) -> Any:
    read = figure.reads[role]
    stages = [read] if isinstance(read, str) else [stage.name for stage in study.stages if getattr(stage, read.flag)]
    return arrange(figure, role, [(stage, one) for stage in stages for one in _matching(done[stage], labels)])


def _matching(cells: list[Labelled], labels: Mapping[str, str]) -> list[Labelled]:
    wanted = typed(labels)
    return [one for one in cells if all(one.labels[axis] == wanted[axis] for axis in one.labels.keys() & wanted.keys())]


def _in_order(study: Study, chapter: Chapter | None) -> list[Any]:
    """The stages of a study, each after those that it reads."""
    ordered: list[Any] = []

    def add(name: str) -> None:
        stage = find_stage(name)
        for read in stage.reads.values():
            add(read)
        if stage not in ordered:
            ordered.append(stage)

    for stage in study.stages:
        if chapter is None or stage in chapter.stages:
            add(stage.name)
    return ordered
