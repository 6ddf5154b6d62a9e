"""The chapter ``inputs``: the data of a study and their picture."""

from __future__ import annotations

from rgflow.chapters.inputs.axes import AXES
from rgflow.chapters.inputs.section import DataChoice
from rgflow.chapters.inputs.variables import VARIABLES
from rgflow.data.sources import sources
from rgflow.errors import RgflowError
from rgflow.store.manifest import local_path
from rgflow.study.stage import Chapter, Config, Figure, Stage

HOME = "rgflow.chapters.inputs"


def _files(config: Config) -> list[str]:
    """The files whose content the inputs are."""
    files = sources()[config.inputs.source].files
    return files(config.inputs.path) if files else []


def require(config: Config) -> None:
    """Stop before any job if the data have not the classes or samples asked for; of missing files the spec tells."""
    from rgflow.data.select import check_selection
    from rgflow.data.source import Selection

    try:
        if not all(local_path(file).is_file() for file in _files(config)):
            return
        check_selection(Selection(**config.inputs.model_dump()))
    except RgflowError as error:
        raise RgflowError(f"config: {error}") from None


CHAPTER = Chapter(
    name="inputs",
    title="Inputs",
    place=0,
    section=DataChoice,
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
    require=require,
)
