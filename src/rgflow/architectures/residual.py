"""Residual networks, z' = xi_1 (b + W sigma(z)) + xi_2 z beyond the first layer."""

from __future__ import annotations

from dataclasses import dataclass

from rgflow.architectures.architecture import Architecture
from rgflow.architectures.plain import Plain
from rgflow.errors import RgflowError
from rgflow.kinds import check_kind


@dataclass(frozen=True)
class Residual(Architecture):
    """Skip connections from every layer to the next.

    Attributes
    ----------
    xi_1, xi_2
        Strengths of the branch and of the skip connection.

    Raises
    ------
    RgflowError
        xi_1 <= 0, or a strength that is not a finite number.
    """

    xi_1: float
    xi_2: float

    def __post_init__(self) -> None:
        for name, strength in self.strengths.items():
            object.__setattr__(self, name, _finite(name, strength))
        if self.xi_1 <= 0.0:
            raise RgflowError(f"xi_1 = {self.xi_1}; it must be positive")

    @property
    def name(self) -> str:
        return "residual"

    @property
    def scale(self) -> float:
        return self.xi_1

    @property
    def skip(self) -> float:
        return self.xi_2

    @property
    def alike(self) -> bool:
        return False  # neuron i has the mean xi_2 z_i

    @property
    def strengths(self) -> dict[str, float]:
        return {"xi_1": self.xi_1, "xi_2": self.xi_2}

    @property
    def equal_widths(self) -> bool:
        return True


def architecture_of(xi_1: float, xi_2: float) -> Architecture:
    """The architecture with these strengths: plain with (1, 0), residual otherwise."""
    residual = Residual(xi_1, xi_2)
    return Plain() if (residual.xi_1, residual.xi_2) == (1.0, 0.0) else residual


def _finite(name: str, value: float) -> float:
    check_kind(name, value, "float")
    return float(value)
