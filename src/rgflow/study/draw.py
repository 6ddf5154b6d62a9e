"""Drawing figures from stored results: the input and output around the pure ``draw`` functions of the chapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rgflow.errors import RgflowError
from rgflow.store.labels import parse_path
from rgflow.study.catalogue import find_figure, find_stage
from rgflow.study.gather import along, single
from rgflow.study.runner import load_inputs
from rgflow.study.stage import Every, Figure, Labelled


def draw_figures(names: Sequence[str], inputs: Mapping[str, Sequence[Path]], outputs: Sequence[str]) -> None:
    """Draw figures that share their inputs, and write each once per entry of ``outputs``.

    Parameters
    ----------
    names
        Names of the figures.
    inputs
        Manifests of the datasets they are drawn from, by role.
    outputs
        Picture files, by suffix; ``{name}`` stands for the name of the figure.

    Raises
    ------
    RgflowError
        If there is no such figure, a dataset it is drawn from is not given, or several figures have one file.
    """
    from rgflow.figures.style import save_figure

    figures = [find_figure(name) for name in names]
    if len(names) > 1 and (one := [output for output in outputs if "{name}" not in output]):
        raise RgflowError(f"--output {one[0]}: several figures need {{name}} in it")
    read = {role: _read(figure, role, inputs) for figure in figures for role in figure.reads}
    for figure in figures:
        picture = import_module(figure.draw).draw(**{role: read[role] for role in figure.reads})
        for output in outputs:
            file = Path(output.replace("{name}", figure.name))
            file.parent.mkdir(parents=True, exist_ok=True)
            save_figure(picture, file)


def _read(figure: Figure, role: str, inputs: Mapping[str, Sequence[Path]]) -> Any:
    """What a figure is drawn from in a role: a dataset, one along the width, or all cells by name."""
    if role not in inputs:
        raise RgflowError(
            f"figure {figure.name!r} needs --input {role} MANIFEST ...; it reads {', '.join(figure.reads)}"
        )
    stages = [parse_path(path)[0] for path in inputs[role]]
    return arrange(figure, role, list(zip(stages, load_inputs({role: inputs[role]})[role], strict=True)))


def arrange(figure: Figure, role: str, cells: Sequence[tuple[str, Labelled]]) -> Any:
    """What a figure is drawn from in a role, from the stage and the dataset of each cell."""
    further, datasets = _further_axes(figure, role), {role: [one for _, one in cells]}
    if not further:
        return single(datasets, role)
    if further == {"width"}:
        return along(datasets, role, "width")
    if len({stage for stage, _ in cells}) == 1:
        return {cell_title(one.labels): one.dataset for _, one in cells}
    names = cell_names([(stage, one.labels) for stage, one in cells])
    return {name: one.dataset for name, (_, one) in zip(names, cells, strict=True)}


def _further_axes(figure: Figure, role: str) -> set[str]:
    """Axes of what is read that the figure does not have."""
    read = figure.reads[role]
    return {"cell"} if isinstance(read, Every) else set(find_stage(read).axes) - set(figure.axes)


def cell_title(labels: Mapping[str, Any]) -> str:
    """Labels of a cell in words: ``tanh, critical, depth 4``."""
    plain = [str(labels[key]) for key in ("activation", "init") if key in labels]
    return ", ".join(
        [*plain, *(f"{key} {value}" for key, value in labels.items() if key not in ("activation", "init"))]
    )


def cell_names(cells: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Names of cells of several stages: what tells them apart and the stage, ``tanh training``; the activation always."""
    seen: dict[str, dict[str, set[str]]] = {}
    for stage, labels in cells:
        for axis, value in labels.items():
            seen.setdefault(stage, {}).setdefault(axis, set()).add(str(value))
    names = []
    for stage, labels in cells:
        telling = {axis: value for axis, value in labels.items() if axis == "activation" or len(seen[stage][axis]) > 1}
        names.append(" ".join(filter(None, (cell_title(telling), stage.rsplit("/", 1)[-1]))))
    return names
