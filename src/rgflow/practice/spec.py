"""Settings of the contest of initializations; those of the section ``practice`` of a configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from rgflow.settings.model import Settings, distinct


class Contest(Settings):
    """How the initializations are compared."""

    seeds: Annotated[int, Field(ge=2, le=10_000)] = Field(16, description="networks of every kind")
    steps: PositiveInt = Field(100, description="full-batch steps")
    factors: Annotated[list[PositiveFloat], Field(min_length=1)] = Field(
        [0.5, 1.0, 2.0, 4.0], description="learning rates of plain descent, in units of the largest safe one"
    )
    adam_rates: Annotated[list[PositiveFloat], Field(min_length=1)] = Field(
        [3e-4, 1e-3, 3e-3, 1e-2], description="learning rates of Adam, as many"
    )
    seed: NonNegativeInt = 1

    @model_validator(mode="after")
    def _same_chances(self) -> Contest:
        distinct(self.factors)
        distinct(self.adam_rates)
        if len(self.factors) != len(self.adam_rates):
            raise ValueError(f"{len(self.factors)} factors and {len(self.adam_rates)} adam_rates; give as many of each")
        return self
