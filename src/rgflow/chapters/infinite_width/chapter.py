"""The chapter ``infinite_width``: K and Theta of all inputs, for those who go on with them; made only when asked for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rgflow.chapters.networks.axes import CELL
from rgflow.settings.model import Settings
from rgflow.store.variables import OUTPUT_KERNELS
from rgflow.study.stage import Cell, Chapter, Config, Cost, Stage

_TILE = 768  # rows of a matrix of all inputs that are in memory at once, as in theory.infinite_width.kernels
_FEATURES = 1000  # of an input, before it is read
_BYTES = 8
_COPIES = 4  # of the rows: themselves, their encoded form, and intermediates


class InfiniteWidth(Settings):
    """K and Theta of all inputs at infinite width (target ``infinite_width``)."""

    precision: Literal["float32", "float64"] = Field("float64", description="of the calculation and of what is stored")


def _samples(config: Config) -> int:
    return int(config.inputs.train + config.inputs.test)


def _pairs(config: Config, cell: Cell) -> float:
    """Pairs of inputs times the products of their features and what every layer does to them."""
    return float(_samples(config) ** 2 * (2 * _FEATURES + 100 * cell["depth"]))


def _rows(config: Config, _cell: Cell) -> float:
    return float(_samples(config) * _TILE * _BYTES * _COPIES)


def _known(_config: Config, cell: Cell) -> bool:
    from rgflow.activations.registry import activation
    from rgflow.theory.infinite_width.dual import has_dual

    return has_dual(activation(cell["activation"]["name"], **cell["activation"]["parameters"]))


CHAPTER = Chapter(
    name="infinite_width",
    title="Infinite width (chapters 4, 8, 10)",
    place=20,
    section=InfiniteWidth,
    stages=(
        Stage(
            "theory/infinite_width",
            run="rgflow.chapters.infinite_width.theory",
            summary="infinite-width K and Theta of all inputs",
            axes=CELL,
            reads={"inputs": "inputs", "hyperparameters": "theory/hyperparameters"},
            config=("infinite_width.precision",),
            wanted=False,
            when=_known,
            cost=Cost(work=_pairs, drawn=_rows),
        ),
    ),
    variables=OUTPUT_KERNELS,
)
