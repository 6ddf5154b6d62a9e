"""The chapter ``criticality``: critical points, phases and power laws of each activation."""

from __future__ import annotations

from rgflow.chapters.networks.architecture import is_plain
from rgflow.study.stage import Cell, Chapter, Config, Figure, Stage
from rgflow.variables.criticality import VARIABLES

HOME = "rgflow.chapters.criticality"
_PHASES = {"phases": "theory/criticality"}


def _plain(config: Config, _cell: Cell) -> bool:
    """Phases are shown of plain networks."""
    return is_plain(config)


CHAPTER = Chapter(
    name="criticality",
    title="Criticality (chapters 5, 9)",
    place=10,
    stages=(
        Stage(
            "theory/criticality",
            run=f"{HOME}.theory",
            summary="critical point, phase diagram and power laws",
            axes=("activation",),
            when=_plain,
        ),
    ),
    figures=tuple(
        Figure(name, f"{HOME}.figures.{name}", _PHASES)
        for name in ("phase_diagram", "kernel_flow", "tensors", "exponent_table")
    ),
    variables=VARIABLES,
)
