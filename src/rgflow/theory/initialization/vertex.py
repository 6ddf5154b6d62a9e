"""The four-point vertex V."""

from __future__ import annotations

from rgflow.theory.initialization.contraction import Array, outer, sandwich
from rgflow.theory.initialization.step import Step


def next_vertex(step: Step, V: Array) -> Array:
    """V'_(12)(34) = C_W^2 {<s1 s2 s3 s4> - <s1 s2><s3 s4> + rho J0_12 V J0_34}; slots (12)(34)."""
    covariance = step.ssss - outer(step.ss, step.ss)
    return step.C_W**2 * (covariance + step.rho * sandwich(step.J0, V, step.J0))
