"""The chapter ``training``: what gradient descent does, predicted and measured."""

from __future__ import annotations

from rgflow.chapters.networks.architecture import is_plain
from rgflow.chapters.networks.axes import AXES as NETWORK_AXES
from rgflow.chapters.training import cost
from rgflow.chapters.training.axes import (
    AXES,
    BLOCK_TRAINING_CELL,
    OVER_DEPTH,
    OVER_SAMPLES,
    TRAINING_CELL,
    WIDE_TRAINING_CELL,
)
from rgflow.chapters.training.section import METHOD_KEYS, NETWORK_KEYS, RECORD_KEYS, Learning
from rgflow.errors import RgflowError
from rgflow.study.stage import Cell, Chapter, Config, Figure, Stage
from rgflow.training.spec import check_samples
from rgflow.variables.training import VARIABLES

HOME = "rgflow.chapters.training"
_NETWORK = {"inputs": "inputs", "hyperparameters": "theory/hyperparameters"}
_TRAINED_NETWORK = {**_NETWORK, "learning_rate": "theory/learning_rate"}
_SIDES = {"theory": "theory/training", "experiment": "training/combine"}
LEAST_GROUPS = 4
LEAST_KEPT = 4
ACTIVATIONS = NETWORK_AXES[0]
_MOST_BYTES = 2.0**33  # of tensors


def _predicted(config: Config, _cell: Cell) -> bool:
    """Theory predicts gradient descent on all samples and the square loss."""
    training = config.training
    return training.loss == "mse" and training.optimizer == "gd" and not training.momentum and not training.batch_size


def _predicted_to_next(config: Config, cell: Cell) -> bool:
    return _predicted(config, cell) and cost.reaches_next_order(config, cell)


def _has_ntk(config: Config, _cell: Cell) -> bool:
    return bool(config.training.ntk_steps != "none")


def _has_curve(config: Config, cell: Cell) -> bool:
    """Several numbers of train samples."""
    return _predicted(config, cell) and len(config.training.train or []) > 1


def require(config: Config) -> None:
    """Stop before any job if there are too few networks for errors, too few samples, or too many for order 1/n."""
    training = config.training
    if not is_plain(config):  # they have as many outputs as hidden neurons
        raise RgflowError("config: training: residual networks are sampled, not trained; give training: null")
    if training.members < LEAST_GROUPS * training.group:
        raise RgflowError(
            f"config: training.members = {training.members}: errors need at least {LEAST_GROUPS} groups of {training.group}"
        )
    if training.keep < LEAST_KEPT:
        raise RgflowError(
            f"config: training.keep = {training.keep}: figures show at least {LEAST_KEPT} networks one by one"
        )
    if max(training.train or [0]) > config.inputs.train:
        raise RgflowError(
            f"config: training.train = {max(training.train)}: more than inputs.train = {config.inputs.train}"
        )
    _require_samples(config)
    if training.learning_rate is not None and len(training.step_fraction) > 1:
        raise RgflowError("config: training.learning_rate and several training.step_fraction exclude each other")
    _require_room(config)


def _require_samples(config: Config) -> None:
    fewest = min(config.training.train or [config.inputs.train])
    try:
        check_samples(config.training, fewest, config.inputs.test)
    except RgflowError as error:
        raise RgflowError(f"config: training.{error}") from None


def _require_room(config: Config) -> None:
    """Tensors of all samples grow as the fourth power of their number."""
    largest = max(config.training.train or [config.inputs.train])
    for cell in ({"activation": name, "train": largest} for name in ACTIVATIONS.values(config, "").values()):
        if (taken := cost.theory_bytes(config, cell)) > _MOST_BYTES:
            raise RgflowError(
                f"config: training.order = 'next': tensors of {largest + config.inputs.test} samples take "
                f"{taken / 2**30:.0f} GiB; give fewer samples or order: leading"
            )


STAGES = (
    Stage(
        "theory/learning_rate",
        run=f"{HOME}.learning_rate",
        summary="learning-rate tensor and step size of training",
        axes=TRAINING_CELL,
        section="training",
        reads=_NETWORK,
        config=("training.learning_rate",),
        cost=cost.RATE,
    ),
    Stage(
        "theory/training",
        run=f"{HOME}.theory",
        summary="prediction of training, to order 1/n where it is known",
        axes=TRAINING_CELL,
        section="training",
        reads=_TRAINED_NETWORK,
        config=tuple(f"training.{key}" for key in (*RECORD_KEYS, *METHOD_KEYS, "order", "nodes")),
        cost=cost.THEORY,
    ),
    Stage(
        "theory/generalization",
        run=f"{HOME}.generalization",
        summary="expected test loss against width and depth",
        axes=OVER_DEPTH,
        section="training",
        reads={"theory": "theory/training"},
        config=("networks.width",),
        when=_predicted_to_next,
    ),
    Stage(
        "training/block",
        run=f"{HOME}.block",
        summary="train one block of networks",
        axes=BLOCK_TRAINING_CELL,
        section="training",
        reads=_TRAINED_NETWORK,
        config=tuple(f"training.{key}" for key in NETWORK_KEYS),
        folder="training",
        cost=cost.BLOCK,
    ),
    Stage(
        "training/combine",
        run=f"{HOME}.combine",
        summary="combine trained blocks to ensemble statistics",
        axes=WIDE_TRAINING_CELL,
        section="training",
        reads={"blocks": "training/block", "theory": "theory/training"},
        config=("training.members",),
        folder="training",
        cost=cost.COMBINE,
    ),
    Stage(
        "comparison/training",
        run=f"{HOME}.comparison",
        summary="z-scores and 1/n trends of training",
        axes=TRAINING_CELL,
        section="training",
        reads=_SIDES,
        when=_predicted,
        scores=True,
    ),
    Stage(
        "comparison/learning_curve",
        run=f"{HOME}.learning_curve",
        summary="test loss against the number of train samples",
        axes=OVER_SAMPLES,
        section="training",
        reads=_SIDES,
        when=_has_curve,
    ),
)

_DRAWN = {"theory": "theory/training", "trained": "training/combine"}
_EACH = "training"
FIGURES = (
    Figure("training_curves", f"{HOME}.figures.training_curves", _DRAWN, TRAINING_CELL, _EACH),
    Figure("prediction_paths", f"{HOME}.figures.prediction_paths", _DRAWN, TRAINING_CELL, _EACH, _predicted),
    Figure(
        "final_predictions",
        f"{HOME}.figures.final_predictions",
        {**_DRAWN, "inputs": "inputs"},
        TRAINING_CELL,
        _EACH,
        _predicted,
    ),
    Figure("prediction_covariance", f"{HOME}.figures.prediction_covariance", _DRAWN, TRAINING_CELL, _EACH, _predicted),
    Figure("ntk_change", f"{HOME}.figures.ntk_change", _DRAWN, TRAINING_CELL, _EACH, _has_ntk),
    Figure(
        "nearly_kernel", f"{HOME}.figures.nearly_kernel", _DRAWN, TRAINING_CELL, "nearly_kernel", _predicted_to_next
    ),
    Figure(
        "learning_curves",
        f"{HOME}.figures.learning_curves",
        {"curve": "comparison/learning_curve"},
        OVER_SAMPLES,
        "learning_curves",
    ),
    Figure(
        "generalization",
        f"{HOME}.figures.generalization",
        {"generalization": "theory/generalization"},
        OVER_DEPTH,
        "generalization",
    ),
)

CHAPTER = Chapter(
    name="training",
    title="Training (chapters 7, 10, 11 and infinity)",
    place=60,
    section=Learning,
    default="on",
    axes=AXES,
    stages=STAGES,
    figures=FIGURES,
    variables=VARIABLES,
    require=require,
)
