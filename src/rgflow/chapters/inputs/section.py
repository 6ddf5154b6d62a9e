"""The section ``inputs`` of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from rgflow.data.sources import sources
from rgflow.settings.model import Settings, distinct

IN_FILES = tuple(name for name, source in sources().items() if source.files)
if TYPE_CHECKING:
    SourceName = str
else:
    SourceName = Literal[tuple(sources())]
MOST_SAMPLES, MOST_FEATURES = 10_000_000, 1_000_000


class DataChoice(Settings):
    """Which data the networks see."""

    source: SourceName = Field(
        "digits", description="; ".join(f"{name}: {source.summary}" for name, source in sources().items())
    )
    path: str | None = Field(None, description=f"of {' and '.join(IN_FILES)}: the file, as data/mine.npz")
    classes: list[NonNegativeInt] = Field(
        [0, 1],
        min_length=2,
        description="labels to keep; two classes become the targets -1 and +1, more become one-hot",
    )
    targets: Literal["auto", "classes", "values"] = Field(
        "auto",
        description="classes: -1 and +1 or one-hot, by label; values: real numbers as they are; auto: what is there",
    )
    train: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = Field(
        24, description="number of training inputs, balanced over classes"
    )
    test: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = Field(
        16, description="number of test inputs, balanced over classes"
    )
    probes: PositiveInt = Field(3, description="how many of the inputs serve theory and ensembles at initialization")
    features: Annotated[int, Field(ge=1, le=MOST_FEATURES)] = Field(
        16, description="input dimension of the gaussian set (the circle has two)"
    )
    normalization: Literal["none", "standardize", "sphere"] = Field(
        "sphere", description="none; standardize every feature; centre and scale each input to |x|^2 = n_0"
    )
    seed: NonNegativeInt = Field(1, description="selects the images and draws the synthetic sets")

    @model_validator(mode="after")
    def _complete(self) -> DataChoice:
        if (self.path is None) == (self.source in IN_FILES):
            raise ValueError(f"path goes with source {' or '.join(IN_FILES)}, and only with these")
        if self.probes > self.train + self.test:
            raise ValueError(f"probes = {self.probes} exceeds train + test = {self.train + self.test}")
        distinct(self.classes)
        return self
