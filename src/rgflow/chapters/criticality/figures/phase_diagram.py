"""Phases of each activation in the plane of initializations, with its critical point."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from rgflow.figures.style import FULL_WIDTH, THEORY, mark_panel, new_figure, styled

_SCALE = TwoSlopeNorm(1.0, 0.0, 2.0)


@styled
def draw(phases: Mapping[str, xr.Dataset]) -> Figure:
    """Draw chi_perp over (C_b, C_W): ordered below 1, chaotic above; lines where chi_perp = 1 and chi_parallel = 1.

    Parameters
    ----------
    phases : mapping
        Activation label to the stored criticality of an activation: the result of
        :func:`rgflow.theory.criticality.phase_diagram.phase_diagram` with the critical point ``critical_C_b``,
        ``critical_C_W`` (starred; NaN where there is none). Hatched: K diverges.
    """
    figure = new_figure(height=2.5, width=FULL_WIDTH * max(1.0, len(phases) / 3))
    panels = figure.subplots(1, len(phases), squeeze=False)[0]
    for axes, (label, phase), letter in zip(panels, phases.items(), "abcdefgh", strict=False):
        _draw_phase(axes, phase)
        if np.isfinite(phase["critical_C_W"]):
            axes.plot(
                phase["critical_C_b"],
                phase["critical_C_W"],
                "*",
                color=THEORY,
                mec="white",
                mew=0.5,
                ms=9,
                clip_on=False,
                zorder=5,
            )
        axes.set(title=label, xlabel="$C_b$")
        mark_panel(axes, letter)
    panels[0].set_ylabel("$C_W$")
    bar = figure.colorbar(ScalarMappable(_SCALE, "RdBu_r"), ax=panels, ticks=[0, 0.5, 1, 1.5, 2], extend="max")
    bar.set_label(r"$\chi_\perp$ (ordered < 1 < chaotic)")
    return figure


def _draw_phase(axes: Axes, phase: xr.Dataset) -> None:
    x, y = phase["C_b"].values, phase["C_W"].values
    chi_perp, chi_parallel = (phase[name].transpose("C_W", "C_b").values for name in ("chi_perp", "chi_parallel"))
    axes.pcolormesh(x, y, chi_perp, norm=_SCALE, cmap="RdBu_r", shading="nearest", rasterized=True)
    for chi, style in ((chi_perp, "solid"), (chi_parallel, "dashed")):
        if np.nanmin(chi) < 1.0 < np.nanmax(chi):
            axes.contour(x, y, chi, levels=[1.0], colors=THEORY, linestyles=style, linewidths=1.0)
    diverges = ~np.isfinite(phase["K_star"].transpose("C_W", "C_b").values)
    if diverges.any():
        axes.contourf(x, y, diverges, levels=[0.5, 1.5], colors="none", hatches=["////"])
    axes.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()))
