"""The section ``training`` of the configuration: networks trained by gradient descent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, model_validator

from rgflow.chapters.networks.section import Blocks, Members
from rgflow.task import logarithmic_steps


class Training(Blocks):
    """Trained ensembles: gradient descent on the sum of squared errors."""

    members: Members = Field(128, description="networks per cell, a multiple of block")
    block: Members = Field(128, description="networks per job; does not change the result")
    step_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="step size as a fraction of the stability limit 2/theta_max"
    )
    steps: Annotated[int, Field(ge=1, le=10**9)] = Field(500, description="number of gradient-descent steps")
    records: Annotated[int, Field(ge=2, le=100_000)] = Field(
        30, description="number of recorded steps, spaced logarithmically"
    )
    dtype: Literal["float32", "float64"] = "float32"
    seed: NonNegativeInt = 1

    @model_validator(mode="after")
    def _enough_members(self) -> Training:
        if self.members < LEAST_MEMBERS:
            raise ValueError(f"members = {self.members}; statistics over members need at least {LEAST_MEMBERS}")
        return self

    @property
    def recorded(self) -> tuple[int, ...]:
        """The recorded steps."""
        return logarithmic_steps(self.steps, self.records)


LEAST_MEMBERS = 8
