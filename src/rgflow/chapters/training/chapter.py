"""The chapter ``training``: what gradient descent does, predicted and measured."""

from __future__ import annotations

from rgflow.chapters.initialization.cost import by_layer, whole
from rgflow.chapters.networks.axes import BLOCK_CELL, CELL, WIDE_CELL
from rgflow.chapters.training import cost
from rgflow.chapters.training.section import NETWORK_KEYS, RECORD_KEYS, Training
from rgflow.errors import RgflowError
from rgflow.study.stage import Cell, Chapter, Config, Cost, Figure, Stage
from rgflow.variables.training import VARIABLES

HOME = "rgflow.chapters.training"
_NETWORK = {"inputs": "inputs", "hyperparameters": "theory/hyperparameters"}
_SIDES = {"theory": "theory/training", "trained": "training/combine"}


def _predicted(config: Config, _cell: Cell) -> bool:
    """Theory predicts gradient descent on all samples and the square loss."""
    training = config.training
    return training.loss == "mse" and training.optimizer == "gd" and not training.momentum and not training.batch_size


def require(config: Config) -> None:
    """Stop before any job if there are too few networks for errors."""
    training = config.training
    if training.members < LEAST_GROUPS * training.group:
        raise RgflowError(
            f"config: training.members = {training.members}: errors need at least {LEAST_GROUPS} groups of {training.group}"
        )


LEAST_GROUPS = 4

STAGES = (
    Stage(
        "theory/learning_rate",
        run=f"{HOME}.learning_rate",
        summary="step size of training from the NTK",
        axes=CELL,
        section="training",
        reads=_NETWORK,
        config=("training.step_fraction",),
        cost=Cost(work=by_layer, piece=whole),
    ),
    Stage(
        "theory/training",
        run=f"{HOME}.theory",
        summary="kernel prediction of training",
        axes=CELL,
        section="training",
        reads=_NETWORK,
        config=tuple(f"training.{key}" for key in RECORD_KEYS),
        when=_predicted,
        cost=Cost(work=by_layer, piece=whole),
    ),
    Stage(
        "training/block",
        run=f"{HOME}.block",
        summary="train one block of networks",
        axes=BLOCK_CELL,
        section="training",
        reads={**_NETWORK, "learning_rate": "theory/learning_rate"},
        config=tuple(f"training.{key}" for key in NETWORK_KEYS),
        folder="training",
        parallel=True,
        cost=cost.BLOCK,
    ),
    Stage(
        "training/combine",
        run=f"{HOME}.combine",
        summary="combine trained blocks to ensemble statistics",
        axes=WIDE_CELL,
        section="training",
        reads={"blocks": "training/block"},
        config=("training.members",),
        folder="training",
        cost=cost.COMBINE,
    ),
    Stage(
        "comparison/training",
        run=f"{HOME}.comparison",
        summary="z-scores and 1/n trends of training",
        axes=CELL,
        section="training",
        reads={"theory": "theory/training", "experiment": "training/combine"},
        scores=True,
    ),
)

CHAPTER = Chapter(
    name="training",
    title="Training (chapters 7, 10)",
    place=60,
    section=Training,
    default="on",
    stages=STAGES,
    figures=(
        Figure("training_curves", f"{HOME}.figures.training_curves", _SIDES, CELL),
        Figure("prediction_paths", f"{HOME}.figures.prediction_paths", _SIDES, CELL),
        Figure("final_predictions", f"{HOME}.figures.final_predictions", {**_SIDES, "inputs": "inputs"}, CELL),
    ),
    variables=VARIABLES,
    require=require,
)
