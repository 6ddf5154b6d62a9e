"""Stage ``theory/criticality``: critical point, phase diagram and power laws in depth of one activation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.theory.criticality.critical import Criticality, critical
from rgflow.theory.criticality.phase_diagram import phase_diagram
from rgflow.theory.depth.exponents import exponent_table

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec

_GRID = 51  # values of C_b in the phase diagram
_DEPTH = 2000  # of the recursions that the exponents are fitted to


def run(_datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.criticality.phase_diagram.phase_diagram`, :func:`rgflow.theory.depth.exponents.exponent_table`."""
    import xarray as xr

    sigma = activation(spec["activation"]["name"], **spec["activation"]["parameters"])
    point = critical(sigma)
    parts = [phase_diagram(sigma, *_grid(point)), _point(point), *_laws(point)]
    attributes = {"universality_class": point.universality_class, "reason": point.reason}
    return xr.merge(parts, combine_attrs="drop").assign_attrs(attributes)


def _grid(point: Criticality) -> tuple[np.ndarray, np.ndarray]:
    """C_b to twice and C_W to three times its critical value (or that of 1 without one), which lies on the grid."""
    C_W = point.C_W if np.isfinite(point.C_W) else 1.0
    C_b = point.C_b if np.isfinite(point.C_b) and point.C_b > 0 else 0.25
    return np.linspace(0.0, 2.0 * C_b, _GRID), np.linspace(0.0, 3.0 * C_W, 3 * (_GRID // 2) + 1)[1:]


def _point(point: Criticality) -> xr.Dataset:
    import xarray as xr

    return xr.Dataset(
        {
            "critical_C_b": point.C_b,
            "critical_C_W": point.C_W,
            "critical_K": point.K_star,
            "chi_parallel_slope": point.chi_parallel_slope,
            "chi_perp_slope": point.chi_perp_slope,
        }
    )


def _laws(point: Criticality) -> list[xr.Dataset]:
    """Predicted and fitted power laws, for the activations that have them."""
    try:
        return [exponent_table(point, _DEPTH)]
    except RgflowError:
        return []
