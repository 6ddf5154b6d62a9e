"""The chapter ``initialization``: theory of the tensors at initialization, sampled networks, and what they say of each other."""

from __future__ import annotations

from rgflow.chapters.initialization import cost
from rgflow.chapters.initialization.section import Sampling
from rgflow.chapters.networks.architecture import architecture, is_plain
from rgflow.chapters.networks.axes import BLOCK_CELL, CELL, WIDE_CELL
from rgflow.errors import RgflowError
from rgflow.study.stage import Cell, Chapter, Config, Figure, Stage
from rgflow.variables.initialization import VARIABLES

HOME = "rgflow.chapters.initialization"
_DEEP = 12  # layers from which on an exponent of depth can be measured
_NETWORK = {"inputs": "inputs", "hyperparameters": "theory/hyperparameters"}
_SIDES = {"theory": "theory/initialization", "experiment": "ensemble/combine"}


def _has_exact_law(config: Config, cell: Cell) -> bool:
    """Plain deep linear networks, or one input and a scale-invariant activation, have a law at every width."""
    from rgflow.activations.registry import activation

    slopes = activation(cell["activation"]["name"], **cell["activation"]["parameters"]).slopes
    known = slopes == (1.0, 1.0) or (slopes is not None and config.inputs.probes == 1)
    return known and is_plain(config) and config.ensemble.law == "normal"


def _has_exponents(config: Config, cell: Cell) -> bool:
    """Of networks that are deep, and sampled for V/K^2 or more."""
    return {"K", "V"} <= set(config.ensemble.tensors) and cell["depth"] >= _DEEP


def _samples_kernel_and_vertex(config: Config, _cell: Cell) -> bool:
    return {"K", "V"} <= set(config.ensemble.tensors)


def _keeps_members(config: Config, cell: Cell) -> bool:
    return config.ensemble.kept > 0 and _samples_kernel_and_vertex(config, cell)


def has_trend(config: Config, _cell: Cell) -> bool:
    """A trend in 1/n needs two widths."""
    return len(config.networks.width) > 1


def _has_pairs(config: Config, _cell: Cell) -> bool:
    return config.inputs.probes > 1 and "K" in config.ensemble.tensors


def require(config: Config) -> None:
    """Stop before any job if a tensor is asked of an architecture that is not known to have it."""
    from rgflow.sampling.spec import check_known

    try:
        check_known(config.ensemble.tensors, architecture(config).name)
    except RgflowError as error:
        raise RgflowError(f"config: ensemble.{error}") from None


STAGES = (
    Stage(
        "theory/initialization",
        run=f"{HOME}.theory",
        summary="tensors of the theory at initialization",
        axes=CELL,
        section="ensemble",
        alone=True,
        reads=_NETWORK,
        cost=cost.THEORY,
    ),
    Stage(
        "ensemble/block",
        run=f"{HOME}.block",
        summary="sample one block of networks at initialization",
        axes=BLOCK_CELL,
        section="ensemble",
        reads=_NETWORK,
        config=tuple(f"ensemble.{key}" for key in ("tensors", "sampler", "law", "dtype", "kept", "seed")),
        folder="ensemble",
        cost=cost.BLOCK,
    ),
    Stage(
        "ensemble/combine",
        run=f"{HOME}.combine",
        summary="combine the blocks of an ensemble to estimates",
        axes=WIDE_CELL,
        section="ensemble",
        reads={"blocks": "ensemble/block"},
        config=("ensemble.members",),
        folder="ensemble",
        cost=cost.COMBINE,
    ),
    Stage(
        "comparison/initialization",
        run=f"{HOME}.comparison",
        summary="z-scores and 1/n trends at initialization",
        axes=CELL,
        section="ensemble",
        reads=_SIDES,
        scores=True,
    ),
    Stage(
        "comparison/exact",
        run=f"{HOME}.exact",
        summary="z-scores against laws that hold at every width",
        axes=CELL,
        section="ensemble",
        reads={**_NETWORK, "experiment": "ensemble/combine"},
        when=_has_exact_law,
    ),
    Stage(
        "comparison/exponents",
        run=f"{HOME}.exponents",
        summary="measured exponents of depth",
        axes=CELL,
        section="ensemble",
        reads=_SIDES,
        when=_has_exponents,
    ),
)

_THEORY, _ENSEMBLES = {"theory": "theory/initialization"}, {"ensembles": "ensemble/combine"}
_COMPARISON = {"comparison": "comparison/initialization"}

FIGURES = (
    Figure("depth", f"{HOME}.figures.depth", {**_THEORY, **_ENSEMBLES, **_COMPARISON}, CELL),
    Figure("extrapolation", "rgflow.figures.extrapolation", _COMPARISON, CELL, when=has_trend),
    Figure(
        "gaussianity",
        f"{HOME}.figures.gaussianity",
        {**_THEORY, **_ENSEMBLES},
        CELL,
        when=_keeps_members,
    ),
    Figure("correlation", f"{HOME}.figures.correlation", {**_THEORY, **_ENSEMBLES}, CELL, when=_has_pairs),
    Figure("exact_law", f"{HOME}.figures.exact_law", {"exact": "comparison/exact"}, CELL, job="exact_law"),
)

CHAPTER = Chapter(
    name="initialization",
    title="Initialization (chapters 2-5, 8)",
    place=30,
    section=Sampling,
    section_name="ensemble",
    default="on",
    stages=STAGES,
    figures=FIGURES,
    variables=VARIABLES,
    require=require,
)
