"""What is stored of critical points, phases and power laws."""

from __future__ import annotations

from rgflow.store.variables import Variable

_PLANE, _LAW = ("C_b", "C_W"), ("quantity", "source")

VARIABLES = (
    Variable("K_star", _PLANE, "f", "kernel that the flow from K = 1 tends to", "K* = C_b + C_W <s^2>_K*", True),
    Variable("chi_parallel", _PLANE, "f", "parallel susceptibility at K*", "C_W <s'^2 + s s''>", True),
    Variable("chi_perp", _PLANE, "f", "perpendicular susceptibility at K*", "C_W <s'^2>", True),
    Variable("xi_parallel", _PLANE, "f", "correlation depth of the norm", "-1/ln chi_parallel", True),
    Variable("xi_perp", _PLANE, "f", "correlation depth of two inputs", "-1/ln chi_perp", True),
    Variable("critical_C_b", (), "f", "critical bias variance", "NaN: none", True),
    Variable("critical_C_W", (), "f", "critical weight variance", "NaN: none", True),
    Variable("critical_K", (), "f", "critical kernel", "NaN: any (scale-invariant) or none", True),
    Variable("chi_parallel_slope", (), "f", "d chi_parallel / dK at the critical kernel", "", True),
    Variable("chi_perp_slope", (), "f", "d chi_perp / dK at the critical kernel", "", True),
    Variable("coefficient", _LAW, "f", "coefficient a of the law a l^p in depth l", "predicted, and fitted", True),
    Variable("exponent", _LAW, "f", "exponent p of the law a l^p in depth l", "predicted, and fitted", True),
    Variable("flow", ("quantity", "layer"), "f", "one critical input in depth", "recursion, at large widths"),
    Variable("flow_predicted", ("quantity", "layer"), "f", "predicted law of the flow", "a l^-p (1 + b ln(l)/l)"),
    Variable("optimal_aspect_ratio", (), "f", "L/n where the expansion in it turns", "4/((20 + 3 n_L) nu)", True),
)
