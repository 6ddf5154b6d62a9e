"""The multilayer perceptron, z' = b + W sigma(z)."""

from __future__ import annotations

from dataclasses import dataclass

from rgflow.architectures.architecture import Architecture


@dataclass(frozen=True)
class Plain(Architecture):
    """No skip connections; any widths."""

    @property
    def name(self) -> str:
        return "plain"

    @property
    def scale(self) -> float:
        return 1.0

    @property
    def skip(self) -> float:
        return 0.0

    @property
    def alike(self) -> bool:
        return True

    @property
    def strengths(self) -> dict[str, float]:
        return {}

    @property
    def equal_widths(self) -> bool:
        return False
