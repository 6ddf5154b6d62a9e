"""The chapter ``overview``: what all other chapters found, in one picture each."""

from __future__ import annotations

from rgflow.study.stage import Chapter, Every, Figure
from rgflow.variables.comparison import VARIABLES

HOME = "rgflow.chapters.overview"

CHAPTER = Chapter(
    name="overview",
    title="Overview",
    place=100,
    figures=(
        Figure("z_overview", f"{HOME}.figures.z_overview", {"comparisons": Every("scores")}, job="z_overview"),
        Figure("exponents", f"{HOME}.figures.exponents", {"exponents": "comparison/exponents"}, job="exponents"),
    ),
    variables=VARIABLES,
)
