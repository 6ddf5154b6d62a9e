"""Drawing figures from stored results: the input and output around the pure ``draw`` functions of ``rgflow.figures``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rgflow.errors import RgflowError
from rgflow.store.check import open_intact
from rgflow.store.labels import parse_path
from rgflow.workflow.code import code_digest

if TYPE_CHECKING:
    import xarray as xr

_OVER_WIDTHS = ("ensembles", "trained")
_OVER_CELLS = ("comparisons", "exponents", "phases")


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
    from rgflow.figures.registry import FIGURES
    from rgflow.figures.style import save_figure

    needed = {role for name in names for role in _roles(name, inputs)}
    if len(names) > 1 and (single := [output for output in outputs if "{name}" not in output]):
        raise RgflowError(f"--output {single[0]}: several figures need {{name}} in it")
    datasets = {role: _load(role, inputs[role]) for role in needed}
    for name in names:
        figure = FIGURES[name].draw(**{role: datasets[role] for role in FIGURES[name].inputs})
        for output in outputs:
            file = Path(output.replace("{name}", name))
            file.parent.mkdir(parents=True, exist_ok=True)
            save_figure(figure, file)


def _roles(name: str, inputs: Mapping[str, Sequence[Path]]) -> tuple[str, ...]:
    """Roles of the datasets that a figure is drawn from, all of them given."""
    from rgflow.figures.registry import FIGURES

    if name not in FIGURES:
        raise RgflowError(f"no figure {name!r}; the figures are {', '.join(FIGURES)}")
    roles = FIGURES[name].inputs
    missing = [role for role in roles if role not in inputs]
    if missing:
        raise RgflowError(f"figure {name!r} needs --input {missing[0]} MANIFEST ...; it is drawn from {roles}")
    return roles


def figure_code(*names: str) -> str:
    """Digests of the code behind figures."""
    return " ".join(code_digest(f"rgflow.figures.{name}") for name in names)


def cell_title(labels: Mapping[str, Any]) -> str:
    """Labels of a cell in words: ``tanh, critical, depth 4``."""
    plain = [str(labels[key]) for key in ("activation", "init") if key in labels]
    return ", ".join(
        [*plain, *(f"{key} {value}" for key, value in labels.items() if key not in ("activation", "init"))]
    )


def cell_name(stage: str, labels: Mapping[str, Any]) -> str:
    """Name of a cell among those of several stages: ``tanh, critical, depth 4 training``."""
    return f"{cell_title(labels)} {stage.rsplit('/', 1)[-1]}"


def _load(role: str, manifests: Sequence[Path]) -> Any:
    import xarray as xr

    datasets = [open_intact(path) for path in manifests]
    labels = [parse_path(path)[1] for path in manifests]
    if role in _OVER_WIDTHS:
        return xr.concat(
            [d.expand_dims(width=[label["width"]]) for d, label in zip(datasets, labels, strict=True)], "width"
        )
    if role in _OVER_CELLS:
        return _by_cell(manifests, datasets)
    if len(datasets) != 1:
        raise RgflowError(f"--input {role} takes one manifest, got {len(datasets)}")
    return datasets[0]


def _by_cell(manifests: Sequence[Path], datasets: Sequence[xr.Dataset]) -> dict[str, xr.Dataset]:
    """Datasets by the words of their cell; the stage's last word tells cells of different stages apart."""
    places = [parse_path(path) for path in manifests]
    several = len({stage for stage, _ in places}) > 1
    names = [cell_name(*place) if several else cell_title(place[1]) for place in places]
    return dict(zip(names, datasets, strict=True))
