"""The section ``inputs`` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from rgflow.settings import Settings, distinct

MOST_SAMPLES, MOST_FEATURES = 10_000_000, 1_000_000


class DataChoice(Settings):
    """Which data the networks see."""

    source: Literal["digits", "breast_cancer", "diabetes", "npz", "idx", "gaussian", "circle"] = Field(
        "digits",
        description="digits (8x8 images), breast_cancer, diabetes (regression): of scikit-learn; npz, idx: files below data/; "
        "gaussian, circle: synthetic sets",
    )
    path: str | None = Field(
        None, description="npz: a file with arrays x and y; idx: the images file, labels beside it"
    )
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
        if (self.path is None) == (self.source in ("npz", "idx")):
            raise ValueError("path goes with source npz or idx, and only with these")
        if self.probes > self.train + self.test:
            raise ValueError(f"probes = {self.probes} exceeds train + test = {self.train + self.test}")
        distinct(self.classes)
        return self
