"""The chapter ``dntk``: the differentials of the NTK, predicted and sampled by automatic differentiation."""

from __future__ import annotations

from rgflow.chapters.initialization.chapter import has_trend
from rgflow.chapters.initialization.cost import OUTPUTS, by_layer, whole
from rgflow.chapters.networks.architecture import require_plain
from rgflow.chapters.networks.axes import AXES, CELL, WIDE_CELL
from rgflow.chapters.networks.section import Ensembles
from rgflow.errors import RgflowError
from rgflow.sampling.rng import GROUP
from rgflow.sampling.spec import DntkSpec
from rgflow.study.section import section_of
from rgflow.study.stage import Cell, Chapter, Config, Cost, Figure, Piece, Spec, Stage

HOME = "rgflow.chapters.dntk"
_MOST_PROBES = 2  # inputs that theory of the dNTK takes: they always span two dimensions at most
_NETWORK = {"inputs": "inputs", "hyperparameters": "theory/hyperparameters"}


Differentials = section_of(DntkSpec, base=Ensembles, members=20_000)


def require(config: Config) -> None:
    """Stop before any job if the dNTK is asked of what has none that we know."""
    from rgflow.activations.registry import activation

    for choice in AXES[0].values(config, "").values():
        chosen = activation(choice["name"], **choice["parameters"])
        if chosen.kinks:
            raise RgflowError(
                f"config: dntk: {chosen.label} has kinks; the dNTK needs a smooth activation, such as gelu"
            )
    require_plain(config, "dntk")
    if config.inputs.probes > _MOST_PROBES:
        raise RgflowError(
            f"config: inputs.probes = {config.inputs.probes}: theory of the dNTK takes up to {_MOST_PROBES}"
        )


def _differentials(config: Config, cell: Cell) -> float:
    """Members x triples of outputs and inputs x some ten operations on every weight, several times over."""
    outputs = OUTPUTS * config.inputs.probes
    return float(config.dntk.members * outputs**3 * 100 * (cell["depth"] * cell["width"] ** 2 + 1000))


def _two_groups(_config: Config, _cell: Cell, spec: Spec) -> Piece:
    settings = spec["dntk"]
    return Piece({**spec, "dntk": {**settings, "members": 2 * GROUP}}, settings["members"] / (2 * GROUP))


CHAPTER = Chapter(
    name="dntk",
    title="Representation learning (chapter 11)",
    place=40,
    section=Differentials,
    default="off",
    stages=(
        Stage(
            "theory/dntk",
            run=f"{HOME}.theory",
            summary="differentials of the NTK at initialization",
            axes=CELL,
            section="dntk",
            reads=_NETWORK,
            cost=Cost(work=by_layer, piece=whole),
        ),
        Stage(
            "dntk/sample",
            run=f"{HOME}.sample",
            summary="sample the differentials of the NTK",
            axes=WIDE_CELL,
            section="dntk",
            reads=_NETWORK,
            config=("dntk.members", "dntk.seed"),
            folder="dntk",
            cost=Cost(work=_differentials, piece=_two_groups),
        ),
        Stage(
            "comparison/dntk",
            run=f"{HOME}.comparison",
            summary="z-scores and 1/n trends of the differentials",
            axes=CELL,
            section="dntk",
            reads={"theory": "theory/dntk", "experiment": "dntk/sample"},
            scores=True,
        ),
    ),
    figures=(Figure("dntk", "rgflow.figures.extrapolation", {"comparison": "comparison/dntk"}, CELL, when=has_trend),),
    require=require,
)
