"""The section ``ensemble`` of the configuration: the settings of the library's sampling, and in what blocks."""

from __future__ import annotations

from pydantic import Field, model_validator

from rgflow.chapters.networks.section import Blocks, Members
from rgflow.sampling.rng import GROUP
from rgflow.sampling.spec import SamplingSpec
from rgflow.study.section import section_of


class Groups(Blocks):
    """An ensemble in blocks of whole groups."""

    members: Members = Field(100_000, description="networks per cell, a multiple of block")
    block: Members = Field(50_000, description="networks per job, a multiple of 1000; does not change the result")

    @model_validator(mode="after")
    def _whole_groups(self) -> Groups:
        if self.block % GROUP:
            raise ValueError(f"block = {self.block} is not a multiple of {GROUP}, the members of one group")
        if self.members < 3 * GROUP:
            raise ValueError(f"members = {self.members}; errors need at least three groups of {GROUP}")
        return self


Sampling = section_of(SamplingSpec, base=Groups, without={"layers": None}, kept=2000)
