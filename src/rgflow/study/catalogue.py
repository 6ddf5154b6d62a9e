"""The chapters that there are: every folder of :mod:`rgflow.chapters` with a ``chapter.py``, and tables of what they hold."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from rgflow.errors import RgflowError
from rgflow.store.variables import Registry
from rgflow.study.stage import Axis, Chapter, Figure, Stage

_HOME = "rgflow.chapters"


@cache
def chapters() -> tuple[Chapter, ...]:
    """All chapters in the order of their places.

    Raises
    ------
    RgflowError
        If two chapters have a stage, a figure or an axis of one name.
    """
    found = sorted((_chapter(name) for name in _folders()), key=lambda chapter: (chapter.place, chapter.name))
    for kind in ("axes", "stages", "figures"):
        names = [item.name for chapter in found for item in getattr(chapter, kind)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise RgflowError(f"chapters: {kind} named twice: {', '.join(sorted(twice))}")
    return tuple(found)


def _folders() -> list[str]:
    home = import_module(_HOME)
    names = [module.name for module in pkgutil.iter_modules(home.__path__) if module.ispkg]
    return [name for name in names if find_spec(f"{_HOME}.{name}.chapter") is not None]


def _chapter(name: str) -> Chapter:
    chapter: Chapter = import_module(f"{_HOME}.{name}.chapter").CHAPTER
    if chapter.name != name:
        raise RgflowError(f"chapters: the folder {name!r} holds the chapter {chapter.name!r}; they must have one name")
    return chapter


@cache
def stages() -> dict[str, Stage]:
    """All stages by name."""
    return {stage.name: stage for chapter in chapters() for stage in chapter.stages}


@cache
def axes() -> dict[str, Axis]:
    """All axes by name."""
    return {axis.name: axis for chapter in chapters() for axis in chapter.axes}


@cache
def figures() -> dict[str, Figure]:
    """All figures by name."""
    return {figure.name: figure for chapter in chapters() for figure in chapter.figures}


@cache
def registry() -> Registry:
    """All variables that are stored."""
    return Registry({chapter.title: chapter.variables for chapter in chapters() if chapter.variables})


def find_stage(name: str) -> Stage:
    """Return the stage called ``name``; one line naming all if there is none."""
    if name not in stages():
        raise RgflowError(f"no stage {name!r}; the stages are {', '.join(stages())}")
    return stages()[name]


def find_figure(name: str) -> Figure:
    """Return the figure called ``name``; one line naming all if there is none."""
    if name not in figures():
        raise RgflowError(f"no figure {name!r}; the figures are {', '.join(figures())}")
    return figures()[name]


def caption(chapter: Chapter, figure: Figure) -> Path:
    """The file with a figure's caption, ``captions/<name>.rst`` in the folder of its chapter."""
    folder = Path(str(import_module(f"{_HOME}.{chapter.name}").__file__)).parent
    return folder / "captions" / f"{figure.name}.rst"
