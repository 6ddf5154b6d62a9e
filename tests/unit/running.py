"""Running stages of a study in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import xarray as xr

from rgflow.study.catalogue import find_stage, registry
from rgflow.study.plan import Study
from rgflow.study.stage import Chapter, Labelled, Resources

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
    """Run every stage of a small study, or of one chapter and what it reads; what a stage reads is found by its cells."""
    done: dict[str, list[tuple[dict[str, str], Labelled]]] = {}
    for stage in _in_order(study, chapter):
        done[stage.name] = []
        for labels in study.cells(stage.name):
            upstream = {role: _matching(done[read], labels) for role, read in stage.reads.items()}
            done[stage.name].append((labels, run(study, stage.name, labels, upstream)))
    return {name: [one.dataset for _, one in cells] for name, cells in done.items()}


def _matching(cells: list[tuple[dict[str, str], Labelled]], labels: Mapping[str, str]) -> list[Labelled]:
    return [one for own, one in cells if all(own[axis] == labels[axis] for axis in own.keys() & labels.keys())]


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
