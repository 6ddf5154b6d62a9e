"""The section ``training`` of the configuration: the settings of the library's training, theory, and what is swept."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from rgflow.chapters.networks.section import Ensembles, LearningRates
from rgflow.settings.model import as_list, distinct
from rgflow.study.section import section_of
from rgflow.training.spec import Fraction, TrainingSpec

TrainCounts = Annotated[list[PositiveInt], BeforeValidator(as_list), Field(min_length=1)]
StepFractions = Annotated[list[Fraction], BeforeValidator(as_list), Field(min_length=1)]
RateChoice = Literal["equivalence"] | LearningRates
Rates = Annotated[list[RateChoice], BeforeValidator(as_list), Field(min_length=1)]


class Sweeps(Ensembles):
    """What is swept in training beside the networks, and how far theory goes."""

    train: TrainCounts | None = Field(
        None, description="numbers of train samples, the first of inputs.train each; null: all of these"
    )
    step_fraction: StepFractions = Field(
        [0.5], description="step sizes as fractions of the stability limit 2/theta_max of gradient descent"
    )
    learning_rates: Rates | None = Field(
        None, description="learning-rate tensors of training, as in networks; null: that of networks"
    )
    order: Literal["leading", "next"] = Field(
        "next", description="order of theory in 1/n; next only of gradient descent in smooth plain networks"
    )
    nodes: Annotated[PositiveInt, Field(ge=128)] | None = Field(
        None, description="nodes of Gaussian averages at order 1/n, a power of 2; null: 2^15, exact up to 6 samples"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Sweeps:
        for values in (self.train or [], self.step_fraction, self.learning_rates or []):
            distinct(values)
        if self.nodes is not None and self.nodes & (self.nodes - 1):
            raise ValueError(f"nodes = {self.nodes}; it must be a power of 2")
        return self


Learning = section_of(TrainingSpec, base=Sweeps, without={"step_fraction": 0.5})
_BLOCK_KEYS = ("members", "block", "step_fraction", "learning_rate")  # what no single network depends on, and axes
NETWORK_KEYS = tuple(field.name for field in fields(TrainingSpec) if field.name not in _BLOCK_KEYS)
METHOD_KEYS = ("loss", "optimizer", "momentum", "batch_size")
RECORD_KEYS = ("steps", "records", "ntk_steps")
