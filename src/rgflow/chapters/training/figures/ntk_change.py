"""The NTK moves in training, by O(1/n): mean change against 1/n with theory's line, and component by component."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.chapters.training.figures.deviation import has_next_order
from rgflow.figures.style import (
    CATEGORIES,
    MARKERS,
    THEORY,
    mark_panel,
    new_figure,
    outer_legend,
    styled,
    width_colors,
)


@styled
def draw(theory: xr.Dataset, trained: xr.Dataset) -> Figure:
    """Draw (a) E[H]/Theta - 1 at the last recorded step against 1/n for three pairs of samples, with theory's line and error;
    (b) where order 1/n is known, n (E[H] - Theta) of all pairs against theory.

    Parameters
    ----------
    theory, trained : xr.Dataset
        As for :func:`rgflow.chapters.training.figures.training_curves.draw`, the ensembles with the NTK.
    """
    both = has_next_order(theory)
    figure = new_figure(height=2.8, width=7.0 if both else 3.6)
    panels = figure.subplots(1, 1 + both, squeeze=False)[0]
    _draw_trend(panels[0], theory, trained)
    if both:
        _draw_pairs(panels[1], theory, trained)
        outer_legend(figure, panels[1], columns=trained.sizes["width"] + 1)
        for axes, letter in zip(panels, "ab", strict=True):
            mark_panel(axes, letter)
    return figure


def _expected(theory: xr.Dataset, trained: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Theta, its coefficient of 1/n at the last step of the recorded NTK, and the error of that, on pairs of its samples."""
    legs = {f"sample_{leg}": trained[f"ntk_sample_{leg}"] for leg in (1, 2)}
    at = {"step": trained["ntk_step"].values[-1], "output_1": 0, "output_2": 0}
    Theta = theory["Theta_output"]
    if not has_next_order(theory):
        return Theta.isel(legs), xr.zeros_like(Theta).isel(legs), xr.zeros_like(Theta).isel(legs)
    indexed = theory.assign_coords(output_1=[*range(theory.sizes["output"])], output_2=[*range(theory.sizes["output"])])
    first = indexed["NTK1"].sel(at)
    error = indexed["NTK1_error"].sel(at) if "NTK1_error" in theory else xr.zeros_like(first)
    return Theta.isel(legs), first.isel(legs), error.isel(legs)


def _measured(trained: xr.Dataset, theory: xr.Dataset, width: int) -> tuple[xr.DataArray, xr.DataArray]:
    """n (E[H] - Theta) of one output at the last step, and its error."""
    of_width = trained.sel(width=width).isel(ntk_step=-1)
    if "NTK_excess" in trained and has_next_order(theory):
        return tuple(of_width[f"NTK_excess{suffix}"].isel(output_1=0, output_2=0) for suffix in ("", "_stderr"))  # type: ignore[return-value]
    Theta = _expected(theory, trained)[0]
    return width * (of_width["NTK"] - Theta), width * of_width["NTK_stderr"]


def _draw_trend(axes: Axes, theory: xr.Dataset, trained: xr.Dataset) -> None:
    Theta, first, error = _expected(theory, trained)
    roles = theory["role"].values[trained["ntk_sample_1"].values]
    widths = trained["width"].values
    fine = np.linspace(0, 1.05 / widths.min(), 50)
    for (label, pair), color, marker in zip(_pairs(roles).items(), CATEGORIES, MARKERS, strict=False):
        unit, slope, spread = (float(part.values[pair]) for part in (Theta, first, error))
        values = np.array([[part.values[pair] / n for part in _measured(trained, theory, n)] for n in widths]) / unit
        axes.errorbar(1 / widths, values[:, 0], abs(values[:, 1]), fmt=marker, color=color, label=label)
        if has_next_order(theory):
            axes.plot(fine, slope * fine / unit, "--", color=color, lw=0.8)
            axes.fill_between(
                fine, (slope - spread) * fine / unit, (slope + spread) * fine / unit, color=color, alpha=0.2, lw=0
            )
    axes.axhline(0, color=THEORY, lw=0.6)
    axes.set(xlim=(0, fine[-1]), xlabel="$1/n$", ylabel=r"$\mathrm{E}\,\hat{H}/\Theta - 1$ after training")
    axes.set_xticks([0, *(1 / widths)], ["0", *(f"1/{n}" for n in widths)])
    axes.legend()


def _pairs(roles: np.ndarray) -> dict[str, tuple[int, int]]:
    """A diagonal entry of each role that is there, and one between two samples."""
    first = {f"{role} input, diagonal": int(np.flatnonzero(roles == role)[0]) for role in dict.fromkeys(roles)}
    between = {"two inputs": (0, 1)} if len(roles) > 1 else {}
    return {label: (sample, sample) for label, sample in first.items()} | between


def _draw_pairs(axes: Axes, theory: xr.Dataset, trained: xr.Dataset) -> None:
    first = _expected(theory, trained)[1].values
    above = np.triu_indices(len(first))
    for n, color in width_colors(trained["width"].values).items():
        value, stderr = (part.values[above] for part in _measured(trained, theory, n))
        axes.errorbar(
            first[above], value, stderr, fmt="o", color=color, ms=1.5, elinewidth=0.4, alpha=0.7, label=f"$n={n}$"
        )
    ends = [first.min(), first.max()]
    axes.plot(ends, ends, color=THEORY, lw=0.8, label="theory")
    beyond = r"$n\,(\mathrm{E}\,\hat{H} - \Theta)$"
    axes.set(xlabel=f"theory at order $1/n$: {beyond}", ylabel=f"ensemble: {beyond}")
