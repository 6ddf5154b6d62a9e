"""The section ``bayes`` of the configuration: the settings of the library's sampling of posteriors, and what is swept."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from rgflow.chapters.networks.section import MOST_BLOCKS, Depths, Ensembles
from rgflow.posterior.spec import MOST_ISLANDS, Inference
from rgflow.settings.model import Settings, as_list, distinct
from rgflow.study.section import section_of

Counts = Annotated[list[PositiveInt], BeforeValidator(as_list), Field(min_length=1)]
Variances = Annotated[list[NonNegativeFloat], BeforeValidator(as_list), Field(min_length=1)]
PositiveVariances = Annotated[list[PositiveFloat], BeforeValidator(as_list), Field(min_length=1)]
Islands = Annotated[int, Field(ge=4, le=MOST_ISLANDS)]  # four: for error bars that have an error themselves


class Evidence(Settings):
    """The log evidence over initializations and depths, in theory; of train counts up to 12."""

    C_b: Variances = Field([0.0, 0.2, 0.5], description="bias variances, absolute")
    C_W: PositiveVariances = Field([0.5, 1.0, 1.5, 2.0, 2.5, 3.0], description="weight variances, absolute")
    depth: Depths | None = Field(None, description="depths, if other than those of the section")

    @model_validator(mode="after")
    def _each_once(self) -> Evidence:
        for values in (self.C_b, self.C_W, self.depth or []):
            distinct(list(values))
        return self


class Posteriors(Ensembles):
    """What is swept in Bayesian inference beside the networks, in what blocks it is drawn, and what theory adds."""

    train: Counts = Field([8], description="numbers of train samples: the first of inputs.train; a sweep")
    test: PositiveInt = Field(4, description="number of test samples: the first of inputs.test")
    noise: Variances = Field([0.1], description="variances of the observation noise; a sweep")
    islands: Islands = Field(32, description="independent runs, whose spread gives the errors")
    block: PositiveInt | None = Field(None, description="islands per job; null: all; does not change the result")
    nodes: PositiveInt | None = Field(
        None, description="nodes of the theory, a power of two; null: quadrature up to 12 samples, 2^17 nodes beyond"
    )
    evidence: Evidence | None = Field(None, description="map of the evidence over C_b, C_W and depth; null: none")

    @model_validator(mode="after")
    def _whole(self) -> Posteriors:
        distinct(list(self.train))
        distinct(list(self.noise))
        size = self.block or self.islands
        if self.islands % size:
            raise ValueError(f"islands = {self.islands} is not a multiple of block = {size}")
        if self.islands // size > MOST_BLOCKS:
            raise ValueError(f"islands / block = {self.islands // size}; at most {MOST_BLOCKS} blocks")
        if self.nodes and self.nodes & (self.nodes - 1):
            raise ValueError(f"nodes = {self.nodes} is not a power of two")
        return self


Bayes = section_of(Inference, base=Posteriors, without={"noise": 1.0})
