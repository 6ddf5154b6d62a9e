"""The pictures of an advice: kernel and correlation by depth, parts of the NTK, the phase diagram, depth over width."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.chapters.criticality.figures.phase_diagram import draw as draw_phases
from rgflow.figures.style import CATEGORIES, FULL_WIDTH, THEORY, layer_axis, new_figure, styled
from rgflow.practice.check import Check
from rgflow.practice.predict import INITIALIZATIONS
from rgflow.practice.prediction import Prediction
from rgflow.theory.criticality.phase_diagram import phase_diagram

_COLORS = dict(zip(INITIALIZATIONS, (CATEGORIES[1], THEORY), strict=True))
_GRID = 25  # points along each axis of the phase diagram
_RATE_NAMES = {"torch": "one torch rate for all", "tensor": "parameter_groups"}


def pictures(advice: Prediction, check: Check | None = None) -> Iterator[tuple[str, Figure]]:
    """Captions and figures; those that need a prediction only where there is one.

    Parameters
    ----------
    advice
        What to show.
    check
        Measurements to show as points.
    """
    if advice.chain is None:
        return
    yield (
        "Kernel K and mean correlation of the batch by depth, now and critical; points: measured on re-initialized copies.",
        _by_depth(advice.dataset, check),
    )
    if "ntk_share" in advice.at("critical"):
        yield (
            "Part of every layer's parameters in the NTK of the outputs at the critical point.",
            _shares(advice.dataset),
        )
    if len(set(advice.chain.activations)) == 1:
        yield "chi_perp over (C_b, C_W); star: critical point, circles: the layers as they are now.", _phases(advice)
    if np.isfinite(advice.dataset["optimal_aspect_ratio"]):
        yield "Depth over width of the module, and r*, where the expansion turns.", _aspect(advice.dataset)


@styled
def _by_depth(dataset: xr.Dataset, check: Check | None) -> Figure:
    figure = new_figure(height=2.4)
    left, right = figure.subplots(1, 2)
    for name, color in _COLORS.items():
        data = dataset.sel(initialization=name)
        if "K" in data:
            left.plot(
                data["layer"], np.einsum("laa->l", data["K"].values) / data["K"].shape[-1], color=color, label=name
            )
            right.plot(data["layer"], data["correlation"], color=color, label=name)
    if check is not None:
        _measured(left, check, "K")
        _measured(right, check, "correlation")
    left.set(yscale="log", ylabel="$K$")
    right.set(ylim=(-0.05, 1.05), ylabel="correlation")
    left.legend()
    for axes in (left, right):
        layer_axis(axes)
    return figure


def _measured(axes: Axes, check: Check, name: str) -> None:
    rows = check.rows_of(name)
    axes.errorbar(
        [row.layer for row in rows], [row.measured for row in rows], [row.stderr for row in rows], fmt="o", color=THEORY
    )


@styled
def _shares(dataset: xr.Dataset) -> Figure:
    figure = new_figure(height=2.4)
    axes = figure.subplots()
    for color, (rates, label) in zip(CATEGORIES, _RATE_NAMES.items(), strict=False):
        share = dataset["ntk_share"].sel(initialization="critical", rates=rates)
        axes.plot(share["layer"], share, "o-", color=color, label=label)
    axes.axhline(1.0 / len(dataset["layer"]), color=THEORY, lw=0.6)
    axes.set(ylabel="part of the NTK", ylim=(0.0, None))
    axes.legend()
    layer_axis(axes)
    return figure


def _phases(advice: Prediction) -> Figure:
    assert advice.chain is not None
    (sigma,) = set(advice.chain.activations)
    now, best = (advice.dataset.sel(initialization=name) for name in INITIALIZATIONS)
    C_b, C_W = (
        np.linspace(low, 1.15 * max(float(now[name].max()), float(best[name].max()), 0.1), _GRID)
        for name, low in (("layer_C_b", 0.0), ("layer_C_W", 0.02))
    )
    phase = phase_diagram(sigma, C_b, C_W)
    stars = {f"critical_{name}": float(best[f"layer_{name}"][-1]) for name in ("C_b", "C_W")}
    figure = draw_phases({sigma.label: phase.assign(stars)})
    figure.axes[0].plot(now["layer_C_b"], now["layer_C_W"], "o", color=CATEGORIES[1], mec="white", mew=0.4)
    return figure


@styled
def _aspect(dataset: xr.Dataset) -> Figure:
    figure = new_figure(height=1.0, width=FULL_WIDTH)
    axes = figure.subplots()
    ratio, best = float(dataset["aspect_ratio"]), float(dataset["optimal_aspect_ratio"])
    axes.barh(["L/n"], [ratio], color=CATEGORIES[0], height=0.5)
    axes.axvline(best, color=THEORY, label=f"r* = {best:.3g}")
    axes.set_xlim(0.0, 1.3 * max(ratio, best))
    axes.legend(loc="upper right")
    return figure
