"""The axes of a sweep over trainings: learning-rate tensor, step size, and the number of train samples (of inputs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rgflow.chapters.networks.axes import BLOCK_CELL, CELL, WIDE_CELL, short
from rgflow.study.stage import Axis, Config

SWEEPS = ("rates", "step_fraction", "train")
TRAINING_CELL = (*CELL, *SWEEPS)
WIDE_TRAINING_CELL = (*CELL, *SWEEPS, WIDE_CELL[-1])
OVER_DEPTH = tuple(axis for axis in TRAINING_CELL if axis != "depth")
OVER_SAMPLES = ("activation", "init", *SWEEPS[:2], "depth")  # numbers with a point are not the last in a path
BLOCK_TRAINING_CELL = (*WIDE_TRAINING_CELL, BLOCK_CELL[-1])


def _rates(config: Config, _section: str) -> Mapping[str, Any]:
    choices = config.training.learning_rates if config.training else None
    every = choices or [config.networks.learning_rates]
    return {_rates_label(choice): choice if isinstance(choice, str) else choice.model_dump() for choice in every}


def _rates_label(choice: Any) -> str:
    """Different tensors have different labels, since different numbers have different texts."""
    return choice if isinstance(choice, str) else f"b={short(choice.lambda_b)}-W={short(choice.lambda_W)}"


def _step_fractions(config: Config, _section: str) -> Mapping[str, float]:
    fractions = config.training.step_fraction if config.training else []
    return {repr(fraction): fraction for fraction in fractions}


AXES = (
    Axis("rates", r"[^/~]+", _rates),
    Axis("step_fraction", r"[^/~]+", _step_fractions),
)
