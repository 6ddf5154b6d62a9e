"""What a sampled posterior is: everything that determines its numbers besides network and data. Needs no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, get_args

import numpy as np
import xarray as xr
from pydantic import Field, NonNegativeFloat

from rgflow.errors import RgflowError
from rgflow.kinds import check_choice
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.learning.conditioning import check_noise

if TYPE_CHECKING:
    import torch

Dtype = Literal["float64", "float32"]
FEWEST_PARTICLES = 8
MOST_PARTICLES = 2**20
FEWEST_ISLANDS = 2
MOST_ISLANDS = 2**20
MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Inference:
    """Settings of a sampled posterior; but for the noise those of the section ``bayes`` of a configuration.

    Every field is described where it stands.

    Raises
    ------
    RgflowError
        A value that is not allowed: one line naming it.
    """

    noise: Annotated[NonNegativeFloat, Field(description="variance s^2 of the observation noise")]
    particles: Annotated[int, Field(ge=FEWEST_PARTICLES, le=MOST_PARTICLES, description="networks of an island")] = 256
    seed: Annotated[int, Field(ge=0, le=MOST_SEED, description="selects the draws")] = 1
    dtype: Annotated[
        Dtype,
        Field(description="of the whitened variables and activations; algebra between samples is always float64"),
    ] = "float64"

    def __post_init__(self) -> None:
        check_noise(self.noise)
        valid = {
            "noise": float(self.noise),
            "particles": check_count("particles", self.particles, FEWEST_PARTICLES, MOST_PARTICLES),
            "seed": check_count("seed", self.seed, 0, MOST_SEED),
        }
        for name, value in valid.items():
            object.__setattr__(self, name, value)  # plain numbers: numpy's have no JSON
        check_choice("dtype", self.dtype, get_args(Dtype))

    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch's."""
        import torch

        return {"float32": torch.float32, "float64": torch.float64}[self.dtype]

    def to_json(self) -> str:
        """Canonical text of the settings."""
        return json.dumps(asdict(self), sort_keys=True)


def check_count(name: str, value: object, fewest: int, most: int) -> int:
    """The value as an integer, if it is one within the bounds."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not fewest <= int(value) <= most:
        raise RgflowError(f"{name} = {value!r}; allowed: an integer from {fewest} to {most}")
    return int(value)


def check_problem(network: Network, task: Task, noise: float) -> None:
    """Raise one line unless the posterior of this network on these data exists and is known how to draw.

    Without noise the likelihood of the targets is unbounded where the kernel of the last hidden layer becomes singular.
    """
    network.require_plain("the posterior")
    task.check_fits(network)
    if network.depth < 2:
        raise RgflowError(
            f"widths = {network.widths}; without a hidden layer bayes_theory is exact, nothing is sampled"
        )
    if noise > 0.0:
        return
    narrow = [layer for layer in range(1, network.depth) if network.widths[layer] < task.train_count]
    if narrow:
        raise RgflowError(
            f"noise = 0 with {task.train_count} train samples needs hidden widths of at least as many; "
            f"n_{narrow[0]} = {network.widths[narrow[0]]}"
        )
    if len(np.unique(task.train_inputs, axis=0)) < task.train_count:
        raise RgflowError("train_inputs are repeated; drop the repeated ones or give noise > 0")


class TemperingStage(NamedTuple):
    """Where a stage raises the inverse temperature to, and the step of the move there."""

    beta: float
    step: float


@dataclass(frozen=True)
class TemperingSchedule:
    """Stages of tempering, frozen; the last one has beta = 1, stays weighted and moves nothing."""

    stages: tuple[TemperingStage, ...]

    @classmethod
    def of(cls, pilot: xr.Dataset) -> TemperingSchedule:
        """The schedule that a pilot found."""
        pairs = zip(pilot["beta"].values.tolist(), pilot["step"].values.tolist(), strict=True)
        return cls(tuple(TemperingStage(*pair) for pair in pairs))

    def to_json(self) -> str:
        """Canonical text; numbers come back to the bit."""
        return json.dumps(self.stages)
