"""The section ``ensemble`` of the configuration: networks sampled at initialization."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, model_validator

from rgflow.chapters.networks.section import Blocks, Members
from rgflow.sampling.rng import GROUP
from rgflow.settings import distinct


class Ensemble(Blocks):
    """Sampling at initialization."""

    members: Members = Field(100_000, description="networks per cell, a multiple of block")
    block: Members = Field(50_000, description="networks per job, a multiple of 1000; does not change the result")
    tensors: list[Literal["K", "T3", "V", "V6", "Theta", "D", "F", "A", "B"]] = Field(
        ["K", "V", "Theta"], min_length=1, description="of residual networks K, T3, V, Theta; T3 of these only"
    )
    sampler: Literal["marginal", "weights"] = "marginal"
    dtype: Literal["auto", "float32", "float64"] = Field(
        "auto", description="precision of sampling; auto: float32 unless inputs come too close to each other for it"
    )
    kept: NonNegativeInt = Field(2000, description="first members whose preactivations and NTK are kept one by one")
    seed: NonNegativeInt = 1

    @model_validator(mode="after")
    def _whole_groups(self) -> Ensemble:
        if self.block % GROUP:
            raise ValueError(f"block = {self.block} is not a multiple of {GROUP}, the members of one group")
        if self.members < 3 * GROUP:
            raise ValueError(f"members = {self.members}; errors need at least three groups of {GROUP}")
        distinct(self.tensors)
        return self
