"""The chapter ``overview``: what all other chapters found, in one picture each."""

from __future__ import annotations

from rgflow.chapters.overview.variables import VARIABLES
from rgflow.study.stage import Chapter, Every, Figure

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
