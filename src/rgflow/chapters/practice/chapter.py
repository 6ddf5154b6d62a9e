"""The chapter ``practice``: ways to initialize a network, their signals by theory and their losses after training."""

from __future__ import annotations

from rgflow.chapters.networks.axes import AXES
from rgflow.chapters.networks.section import Ensembles
from rgflow.errors import RgflowError
from rgflow.practice.spec import Contest
from rgflow.study.stage import Cell, Chapter, Config, Cost, Figure, Piece, Spec, Stage
from rgflow.variables.practice import VARIABLES

HOME = "rgflow.chapters.practice"
_CELL = ("activation", "depth", "width")
_OVER_ACTIVATIONS = _CELL[1:]
_RECIPES, _OPTIMIZERS = 6, 2


class Practice(Contest, Ensembles):
    """Comparing initializations: torch's, of gains, Xavier's, AnyInit's rule and the critical one with and without groups."""


def require(config: Config) -> None:
    """Stop before any job if a recipe does not exist for an activation, or networks are not plain."""
    from rgflow.activations.registry import activation
    from rgflow.practice.choice import choose
    from rgflow.practice.recipes import kept_variance

    if config.networks.residual is not None:
        raise RgflowError("config: practice: compares plain networks; give networks.residual: null")
    for choice in AXES[0].values(config, "").values():
        sigma = activation(choice["name"], **choice["parameters"])
        try:
            choose(sigma)
            kept_variance(sigma)
        except RgflowError as error:
            raise RgflowError(f"config: practice: {error}") from None


def _training(config: Config, cell: Cell) -> float:
    """Forward and backward through every weight, of all networks, rates and steps."""
    settings = config.practice
    steps = settings.steps * settings.seeds * len(settings.factors) * _OPTIMIZERS * _RECIPES
    return float(6 * steps * config.inputs.train * cell["depth"] * cell["width"] ** 2)


def _two_steps(_config: Config, _cell: Cell, spec: Spec) -> Piece:
    settings = spec["practice"]
    return Piece({**spec, "practice": {**settings, "steps": 2}}, settings["steps"] / 2)


CHAPTER = Chapter(
    name="practice",
    title="Practice",
    place=45,
    section=Practice,
    default="off",
    stages=(
        Stage(
            "theory/practice",
            run=f"{HOME}.theory",
            summary="signals of initializations in use",
            axes=_CELL,
            section="practice",
            reads={"inputs": "inputs"},
        ),
        Stage(
            "practice/training",
            run=f"{HOME}.training",
            summary="train networks of initializations in use",
            axes=_CELL,
            section="practice",
            reads={"inputs": "inputs", "theory": "theory/practice"},
            config=tuple(f"practice.{name}" for name in Contest.model_fields),
            cost=Cost(work=_training, piece=_two_steps),
        ),
    ),
    figures=(
        Figure("signals", f"{HOME}.figures.signals", {"theories": "theory/practice"}, _OVER_ACTIVATIONS),
        Figure("losses", f"{HOME}.figures.losses", {"trainings": "practice/training"}, _OVER_ACTIVATIONS),
        Figure("rates", f"{HOME}.figures.rates", {"trainings": "practice/training"}, _OVER_ACTIVATIONS),
    ),
    variables=VARIABLES,
    require=require,
)
