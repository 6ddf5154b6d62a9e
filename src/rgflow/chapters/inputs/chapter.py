"""The chapter ``inputs``: the data of a study and their picture."""

from __future__ import annotations

from pathlib import Path

from rgflow.chapters.inputs.axes import AXES
from rgflow.chapters.inputs.section import Inputs
from rgflow.chapters.inputs.variables import VARIABLES
from rgflow.data.sources import labels_file
from rgflow.study.stage import Chapter, Config, Figure, Stage

HOME = "rgflow.chapters.inputs"


def _files(config: Config) -> list[str]:
    """The files whose content the inputs are: of IDX data, images and labels."""
    path = config.inputs.path
    if path is None:
        return []
    return [path, str(labels_file(Path(path)))] if config.inputs.source == "idx" else [path]


CHAPTER = Chapter(
    name="inputs",
    title="Inputs",
    place=0,
    section=Inputs,
    axes=AXES,
    stages=(
        Stage(
            "inputs",
            run=f"{HOME}.stage",
            summary="select and normalize the input data",
            config=("inputs",),
            files=_files,
        ),
    ),
    figures=(Figure("images", f"{HOME}.figures.images", {"inputs": "inputs"}),),
    variables=VARIABLES,
)
