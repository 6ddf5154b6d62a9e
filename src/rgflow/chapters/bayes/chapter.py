"""The chapter ``bayes``: what networks believe after seeing data, at infinite width, to order 1/n and exactly."""

from __future__ import annotations

from rgflow.chapters.bayes import cost
from rgflow.chapters.bayes.axes import AXES, BLOCK_POSTERIOR, DATA, POSTERIOR, WIDE_POSTERIOR
from rgflow.chapters.bayes.section import Bayes
from rgflow.chapters.networks.architecture import require_plain
from rgflow.chapters.networks.axes import CELL
from rgflow.errors import RgflowError
from rgflow.study.stage import Cell, Chapter, Config, Figure, Stage
from rgflow.variables.posterior import VARIABLES

HOME = "rgflow.chapters.bayes"
MOST_MAPPED = 12  # train samples of a map of the evidence: each of its points takes the vertex of all of them
_NETWORK = {"inputs": "inputs", "hyperparameters": "theory/hyperparameters"}
_SIDES = {"theory": "theory/bayes", "posterior": "bayes/combine"}
_DRAWS = tuple(f"bayes.{key}" for key in ("test", "particles", "seed", "dtype"))


def _in_blocks(config: Config, _cell: Cell) -> bool:
    """One block finds its stages of tempering itself; several must share them."""
    return bool(config.bayes and config.bayes.block and config.bayes.block < config.bayes.islands)


def _mapped(config: Config, cell: Cell) -> bool:
    return config.bayes.evidence is not None and cell["train"] <= MOST_MAPPED


def _several_outputs(config: Config, _cell: Cell) -> bool:
    return len(config.inputs.classes) > 2


def require(config: Config) -> None:
    """Stop before any job if the data are too few, or the posterior does not exist."""
    bayes, inputs = config.bayes, config.inputs
    for name, most in (("train", max(bayes.train)), ("test", bayes.test)):
        if most > getattr(inputs, name):
            raise RgflowError(
                f"config: bayes.{name} = {most}: inputs.{name} has {getattr(inputs, name)}; the first of these are taken"
            )
    require_plain(config, "bayes")
    if 0.0 in bayes.noise and min(config.networks.width) < max(bayes.train):
        raise RgflowError(
            f"config: bayes.noise = 0 with bayes.train = {max(bayes.train)} needs networks.width of at least as many;"
            f" it has {min(config.networks.width)}"
        )


STAGES = (
    Stage(
        "theory/bayes",
        run=f"{HOME}.theory",
        summary="posterior and evidence to order 1/n",
        axes=POSTERIOR,
        section="bayes",
        reads=_NETWORK,
        config=("bayes.test", "bayes.nodes"),
        cost=cost.THEORY,
    ),
    Stage(
        "theory/evidence",
        run=f"{HOME}.evidence",
        summary="evidence over initializations and depths",
        axes=DATA,
        section="bayes",
        reads={"inputs": "inputs"},
        config=("bayes.evidence", "bayes.depth", "networks.depth"),
        when=_mapped,
        cost=cost.EVIDENCE,
    ),
    Stage(
        "bayes/pilot",
        run=f"{HOME}.pilot",
        summary="find the stages of tempering of a posterior",
        axes=WIDE_POSTERIOR,
        section="bayes",
        reads=_NETWORK,
        config=_DRAWS,
        when=_in_blocks,
        wanted=False,
        cost=cost.PILOT,
    ),
    Stage(
        "bayes/block",
        run=f"{HOME}.block",
        summary="draw one block of islands of a posterior",
        axes=BLOCK_POSTERIOR,
        section="bayes",
        reads={**_NETWORK, "pilot": "bayes/pilot"},
        config=_DRAWS,
        folder="bayes",
        cost=cost.BLOCK,
    ),
    Stage(
        "bayes/combine",
        run=f"{HOME}.combine",
        summary="combine the islands of a posterior",
        axes=POSTERIOR,
        section="bayes",
        reads={"blocks": "bayes/block"},
        config=("bayes.islands",),
        folder="bayes",
        cost=cost.COMBINE,
    ),
    Stage(
        "comparison/bayes",
        run=f"{HOME}.comparison",
        summary="z-scores and 1/n trends of the posterior",
        axes=POSTERIOR,
        section="bayes",
        reads={"theory": "theory/bayes", "experiment": "bayes/combine"},
        scores=True,
    ),
)

_WITH_INPUTS = {**_SIDES, "inputs": "inputs"}

FIGURES = (
    Figure("bayes_prediction", f"{HOME}.figures.prediction", _WITH_INPUTS, POSTERIOR),
    Figure("bayes_kernel", f"{HOME}.figures.kernel", _WITH_INPUTS, POSTERIOR),
    Figure("bayes_covariance", f"{HOME}.figures.covariance", _SIDES, POSTERIOR, when=_several_outputs),
    Figure(
        "bayes_sample_size",
        f"{HOME}.figures.sample_size",
        {"theories": "theory/bayes", "posteriors": "bayes/combine"},
        (*CELL, "noise"),
        job="bayes_sample_size",
    ),
    Figure(
        "bayes_evidence",
        f"{HOME}.figures.evidence",
        {"evidence": "theory/evidence", "theories": "theory/bayes", "posteriors": "bayes/combine"},
        DATA,
        job="bayes_evidence",
    ),
)

CHAPTER = Chapter(
    name="bayes",
    title="Bayesian learning (chapter 6)",
    place=50,
    section=Bayes,
    default="off",
    axes=AXES,
    stages=STAGES,
    figures=FIGURES,
    variables=VARIABLES,
    require=require,
)
