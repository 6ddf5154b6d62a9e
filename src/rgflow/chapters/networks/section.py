"""The section ``networks`` of the configuration: the sweep."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PositiveInt,
    model_validator,
)

from rgflow.settings.model import Settings, as_list, distinct

_LARGEST_SCALE = 1e12
_Scale = Annotated[float, Field(ge=0, le=_LARGEST_SCALE)]
_PositiveScale = Annotated[float, Field(gt=0, ge=1 / _LARGEST_SCALE, le=_LARGEST_SCALE)]


class Scales(Settings):
    """Explicit initialization scales of every layer."""

    C_b: _Scale
    C_W: _PositiveScale


class LearningRates(Settings):
    """Explicit entries of the learning-rate tensor, the same in every layer."""

    lambda_b: _Scale = 0.0
    lambda_W: _Scale = 1.0

    @model_validator(mode="after")
    def _something_learns(self) -> LearningRates:
        if self.lambda_b == self.lambda_W == 0.0:
            raise ValueError("lambda_b = lambda_W = 0: nothing would be learned")
        return self


class Strengths(Settings):
    """Strengths of the branch and of the skip connection, z' = xi_1 (b + W sigma(z)) + xi_2 z beyond the first layer."""

    xi_1: _PositiveScale = 1.0
    xi_2: Annotated[float, Field(ge=-_LARGEST_SCALE, le=_LARGEST_SCALE)]


class ActivationChoice(Settings):
    """An activation with parameters."""

    name: str
    parameters: dict[str, float] = Field({}, description="by name")


Activations = Annotated[list[str | ActivationChoice], BeforeValidator(as_list), Field(min_length=1)]
Initializations = Annotated[list[Literal["critical"] | Scales], BeforeValidator(as_list), Field(min_length=1)]
Depths = Annotated[list[Annotated[int, Field(ge=2, le=100_000)]], BeforeValidator(as_list), Field(min_length=1)]
Widths = Annotated[list[Annotated[int, Field(ge=2, le=10_000_000)]], BeforeValidator(as_list), Field(min_length=1)]
Members = Annotated[PositiveInt, Field(le=10**12)]


class Networks(Settings):
    """The sweep: a study is the product of these lists."""

    activation: Activations = Field(["relu", "tanh", "gelu"], description="names, or {name, parameters}")
    initialization: Initializations = Field(["critical"], description="critical, or {C_b, C_W}")
    depth: Depths = Field([4], description="number of layers L, output layer included")
    width: Widths = Field([32, 64, 128], description="hidden width n")
    learning_rates: Literal["equivalence"] | LearningRates = Field(
        LearningRates(),
        description="learning-rate tensor {lambda_b, lambda_W}, or equivalence: every layer contributes alike",
    )
    residual: Strengths | None = Field(
        None, description="{xi_1, xi_2}: residual networks z' = xi_1 (b + W sigma(z)) + xi_2 z; null: plain networks"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Networks:
        for values in (self.activation, self.initialization, self.depth, self.width):
            distinct(values)
        return self


class Ensembles(Settings):
    """What sections of ensembles share: the depths of their networks, if other than those of the study."""

    depth: Depths | None = Field(None, description="depths of these networks, if other than networks.depth")

    @model_validator(mode="after")
    def _depths_once(self) -> Ensembles:
        distinct(self.depth or [])
        return self


class Blocks(Ensembles):
    """An ensemble in blocks of members."""

    members: Members
    block: Members

    @model_validator(mode="after")
    def _whole_blocks(self) -> Blocks:
        if self.members % self.block:
            raise ValueError(f"members = {self.members} is not a multiple of block = {self.block}")
        if self.members // self.block > MOST_BLOCKS:
            raise ValueError(f"members / block = {self.members // self.block}; at most {MOST_BLOCKS} blocks")
        return self


MOST_BLOCKS = 10_000
