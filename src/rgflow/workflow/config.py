"""The configuration of a study: its models, defaults and the messages for whatever is wrong in it.

The JSON schema beside this file is generated from these models (``rgflow schema``) and kept in step by a test.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from rgflow.errors import RgflowError
from rgflow.sampling.rng import GROUP

_MAX_EDIT = 0.6


_Blocked = TypeVar("_Blocked", "Ensemble", "Training")


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _distinct(values: list[Any]) -> list[Any]:
    if len({str(v) for v in values}) < len(values):
        raise ValueError("the same value is listed twice")
    return values


class Model(BaseModel):
    """Base of all sections: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Inputs(Model):
    """Which data the networks see."""

    source: Literal["digits", "npz", "idx", "gaussian", "circle"] = Field(
        "digits",
        description="digits: scikit-learn's 8x8 images; npz, idx: files below data/; gaussian, circle: synthetic sets",
    )
    path: str | None = Field(
        None, description="npz: a file with arrays x and y; idx: the images file, labels beside it"
    )
    classes: list[NonNegativeInt] = Field(
        [0, 1],
        min_length=2,
        description="labels to keep; two classes become the targets -1 and +1, more become one-hot",
    )
    train: PositiveInt = Field(24, description="number of training inputs, balanced over classes")
    test: PositiveInt = Field(16, description="number of test inputs, balanced over classes")
    probes: PositiveInt = Field(3, description="how many of the inputs serve theory and ensembles at initialization")
    features: PositiveInt = Field(16, description="input dimension of the gaussian set (the circle has two)")
    normalization: Literal["none", "standardize", "sphere"] = Field(
        "sphere", description="none; standardize every feature; centre and scale each input to |x|^2 = n_0"
    )
    seed: NonNegativeInt = Field(1, description="selects the images and draws the synthetic sets")

    @model_validator(mode="after")
    def _complete(self) -> Inputs:
        if (self.path is None) == (self.source in ("npz", "idx")):
            raise ValueError("path goes with source npz or idx, and only with these")
        if self.probes > self.train + self.test:
            raise ValueError(f"probes = {self.probes} exceeds train + test = {self.train + self.test}")
        _distinct(self.classes)
        return self


class Scales(Model):
    """Explicit initialization scales of every layer."""

    C_b: NonNegativeFloat
    C_W: PositiveFloat


class LearningRates(Model):
    """Explicit entries of the learning-rate tensor, the same in every layer."""

    lambda_b: NonNegativeFloat = 0.0
    lambda_W: NonNegativeFloat = 1.0


class Residual(Model):
    """Strengths of the branch and of the skip connection, z' = xi_1 (b + W sigma(z)) + xi_2 z beyond the first layer."""

    xi_1: PositiveFloat = 1.0
    xi_2: FiniteFloat


class ActivationChoice(Model):
    """An activation with parameters."""

    name: str
    parameters: dict[str, float] = {}


Activations = Annotated[list[str | ActivationChoice], BeforeValidator(_as_list), Field(min_length=1)]
Initializations = Annotated[list[Literal["critical"] | Scales], BeforeValidator(_as_list), Field(min_length=1)]
Depths = Annotated[list[Annotated[int, Field(ge=2, le=100_000)]], BeforeValidator(_as_list), Field(min_length=1)]
Widths = Annotated[list[PositiveInt], BeforeValidator(_as_list), Field(min_length=1)]


class Networks(Model):
    """The sweep: a study is the product of these lists."""

    activation: Activations = Field(["relu", "tanh", "gelu"], description="names, or {name, parameters}")
    initialization: Initializations = Field(["critical"], description="critical, or {C_b, C_W}")
    depth: Depths = Field([4], description="number of layers L, output layer included")
    width: Widths = Field([32, 64, 128], description="hidden width n")
    learning_rates: Literal["equivalence"] | LearningRates = Field(
        LearningRates(),
        description="learning-rate tensor {lambda_b, lambda_W}, or equivalence: every layer contributes alike",
    )

    residual: Residual | None = Field(
        None, description="{xi_1, xi_2}: residual networks z' = xi_1 (b + W sigma(z)) + xi_2 z; null: plain networks"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Networks:
        for values in (self.activation, self.initialization, self.depth, self.width):
            _distinct(values)
        return self


class Ensemble(Model):
    """Sampling at initialization."""

    depth: Depths | None = Field(None, description="depths of the sampled networks, if other than networks.depth")
    members: PositiveInt = Field(100_000, description="networks per cell, a multiple of block")
    block: PositiveInt = Field(50_000, description="networks per job, a multiple of 1000; does not change the result")
    tensors: list[Literal["K", "T3", "V", "V6", "Theta", "D", "F", "A", "B"]] = Field(
        ["K", "V", "Theta"], min_length=1, description="of residual networks K, T3, V, Theta; T3 of these only"
    )
    sampler: Literal["marginal", "weights"] = "marginal"
    dtype: Literal["float32", "float64"] = "float32"
    kept: NonNegativeInt = Field(2000, description="first members whose preactivations and NTK are kept one by one")
    seed: NonNegativeInt = 1

    @model_validator(mode="after")
    def _whole_blocks(self) -> Ensemble:
        if self.block % GROUP:
            raise ValueError(f"block = {self.block} is not a multiple of {GROUP}, the members of one group")
        return _check_blocks(self)


class DNTK(Model):
    """Sampling the differentials of the NTK: smooth activations, up to two probe inputs, plain networks."""

    depth: Depths | None = Field(None, description="depths of the sampled networks, if other than networks.depth")
    members: Annotated[int, Field(ge=2 * GROUP, multiple_of=GROUP)] = Field(
        20_000, description="networks per cell, a multiple of 1000; differentiated one by one, so keep them narrow"
    )
    seed: NonNegativeInt = 1


class Training(Model):
    """Trained ensembles: gradient descent on the sum of squared errors."""

    depth: Depths | None = Field(None, description="depths of the trained networks, if other than networks.depth")
    members: PositiveInt = Field(128, description="networks per cell, a multiple of block")
    block: PositiveInt = Field(128, description="networks per job; does not change the result")
    step_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="step size as a fraction of the stability limit 2/theta_max"
    )
    steps: PositiveInt = Field(500, description="number of gradient-descent steps")
    records: Annotated[int, Field(ge=2)] = Field(30, description="number of recorded steps, spaced logarithmically")
    dtype: Literal["float32", "float64"] = "float32"
    seed: NonNegativeInt = 1

    @model_validator(mode="after")
    def _whole_blocks(self) -> Training:
        return _check_blocks(self)


class InfiniteWidth(Model):
    """K and Theta of all inputs at infinite width (target ``infinite_width``)."""

    precision: Literal["float32", "float64"] = Field("float64", description="of the calculation and of what is stored")


def _check_blocks(section: _Blocked) -> _Blocked:
    if section.members % section.block:
        raise ValueError(f"members = {section.members} is not a multiple of block = {section.block}")
    return section


class Config(Model):
    """A whole study."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        description="name of the study: results go to results/<study>"
    )
    inputs: Inputs = Inputs()
    networks: Networks = Networks()
    ensemble: Ensemble | None = Field(Ensemble(), description="null: no networks at initialization")
    dntk: DNTK | None = Field(None, description="null: no differentials of the NTK")
    training: Training | None = Field(Training(), description="null: no trained networks")
    infinite_width: InfiniteWidth = InfiniteWidth()


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration file; one line if it is missing or not a mapping."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise RgflowError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise RgflowError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise RgflowError(f"{path}: must be a mapping with the key 'study'")
    return content


def load_config(raw: Mapping[str, Any]) -> Config:
    """Validate a raw configuration.

    Raises
    ------
    RgflowError
        One line per wrong key: the key, its value, what is allowed.
    """
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        lines = dict.fromkeys(_explain(dict(problem)) for problem in _deepest(error.errors()))
        raise RgflowError("\n".join(f"config: {line}" for line in lines)) from None


def _deepest(problems: Sequence[Any]) -> list[Any]:
    """Without those of a union's other branches, which fail where the branch that was meant fails further down."""
    places = [tuple(part for part in problem["loc"] if _in_config(part)) for problem in problems]
    return [
        problem
        for problem, place in zip(problems, places, strict=True)
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    ]


def _explain(problem: dict[str, Any]) -> str:
    location = [part for part in problem["loc"] if _in_config(part)]
    key = ".".join(map(str, location))
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{_suggestion(location)}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{key}: {message}" if isinstance(problem["input"], Mapping) else f"{key} = {problem['input']!r}: {message}"


def _in_config(part: str | int) -> bool:
    """Whether a part of pydantic's location is a key or index (and not the name of a union's branch)."""
    return isinstance(part, int) or part in _all_keys() or not _is_branch(part)


def _is_branch(part: str) -> bool:
    return part in {"str", "ActivationChoice", "Scales", "LearningRates"} or part.startswith(
        ("literal", "list", "function")
    )


def _all_keys() -> set[str]:
    sections: list[type[Model]] = [
        Config,
        Inputs,
        Networks,
        Ensemble,
        DNTK,
        Training,
        InfiniteWidth,
        Scales,
        LearningRates,
        Residual,
        ActivationChoice,
    ]
    return {key for section in sections for key in section.model_fields}


def _suggestion(location: list[str | int]) -> str:
    section = Config if len(location) == 1 else type(getattr(_DEFAULTS, str(location[0]), None))
    known = list(getattr(section, "model_fields", {}))
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=_MAX_EDIT)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; allowed: {', '.join(known)}" if known else ""


_DEFAULTS = Config(study="defaults", dntk=DNTK())  # every section, for the names of its keys
