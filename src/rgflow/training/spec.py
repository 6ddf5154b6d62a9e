"""How an ensemble is trained and recorded: everything besides the network and the data that changes a result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

import numpy as np
from pydantic import ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from rgflow.errors import RgflowError
from rgflow.task import logarithmic_steps, recorded_steps

StepChoice = Literal["none", "ends", "all"] | tuple[NonNegativeInt, ...]
Fraction = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """Settings of the training of an ensemble; the section ``training`` of a configuration.

    Every field is described where it stands. Values are checked when a spec is made.

    Raises
    ------
    RgflowError
        A value that is not allowed, or values that exclude each other.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    members: Annotated[PositiveInt, Field(description="networks of an ensemble, a multiple of block")] = 128
    block: Annotated[
        PositiveInt | None, Field(description="networks per job, a multiple of group; null: all. Changes no result")
    ] = None
    group: Annotated[
        PositiveInt,
        Field(
            description="networks of a jackknife group, a power of 2; errors have members / group - 1 degrees of freedom"
        ),
    ] = 2
    keep: Annotated[NonNegativeInt, Field(description="first networks whose own outputs are kept")] = 128
    antithetic: Annotated[
        bool,
        Field(
            description="train networks in pairs, equal but for the sign of the last layer; errors are those of pairs"
        ),
    ] = False
    control_variates: Annotated[
        bool,
        Field(
            description="subtract from each network its own linearization in the infinite-width NTK, whose mean is known, "
            "and give n (estimate - infinite width); mse and plain gradient descent on all samples"
        ),
    ] = False
    loss: Annotated[
        Literal["mse", "cross_entropy"],
        Field(description="1/2 sum (z - y)^2, or cross-entropy of softmax(z); sums over samples, not means"),
    ] = "mse"
    optimizer: Annotated[
        Literal["gd", "adam"],
        Field(description="gradient descent, or Adam; steps are scaled by the learning-rate tensor lambda_b, lambda_W"),
    ] = "gd"
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="mu of heavy-ball gradient descent: v <- mu v + dL/dtheta; 0: none")
    ] = 0.0
    batch_size: Annotated[
        PositiveInt | None,
        Field(description="train samples per step, in a new order per network and epoch; null: all of them"),
    ] = None
    learning_rate: Annotated[
        PositiveFloat | None, Field(description="eta; null: step_fraction decides", allow_inf_nan=False)
    ] = None
    step_fraction: Annotated[
        Fraction, Field(description="eta as a fraction of the stability limit 2/theta_max of gradient descent")
    ] = 0.5
    steps: Annotated[
        PositiveInt | tuple[NonNegativeInt, ...],
        Field(description="number of steps, or the recorded steps themselves, increasing from 0"),
    ] = 500
    records: Annotated[
        int, Field(ge=2, description="recorded steps, spaced logarithmically, where steps is a number")
    ] = 30
    ntk_steps: Annotated[
        StepChoice, Field(description="recorded steps of the NTK: none, ends (first and last step), all, or a list")
    ] = "none"
    ntk_samples: Annotated[
        tuple[NonNegativeInt, ...] | None, Field(description="samples of the recorded NTK, train then test; null: all")
    ] = None
    kernel_steps: Annotated[
        StepChoice, Field(description="recorded steps of the kernels of hidden layers, chosen as ntk_steps")
    ] = "none"
    dtype: Annotated[
        Literal["float32", "float64"],
        Field(description="precision of training; float64 where 1/n effects are below 1e-5"),
    ] = "float32"
    seed: Annotated[NonNegativeInt, Field(description="key of all draws: initializations and mini-batch orders")] = 1

    def __post_init__(self) -> None:
        for name, adapter in _adapters().items():
            object.__setattr__(self, name, _checked(name, getattr(self, name), adapter))
        self._check_sizes()
        self._check_method()
        self._check_lists()
        recorded_steps(self.recorded)
        for name, chosen in {"ntk_steps": self.recorded_ntk, "kernel_steps": self.recorded_kernels}.items():
            if chosen and chosen[-1] > self.recorded[-1]:
                raise RgflowError(f"{name} = {list(chosen)}; they must lie within 0 and {self.recorded[-1]}")

    @property
    def recorded(self) -> tuple[int, ...]:
        """Recorded steps; step t is the network after t updates."""
        return logarithmic_steps(self.steps, self.records) if isinstance(self.steps, int) else self.steps

    @property
    def recorded_ntk(self) -> tuple[int, ...]:
        """Steps at which the NTK is recorded."""
        return _chosen(self.ntk_steps, self.recorded)

    @property
    def recorded_kernels(self) -> tuple[int, ...]:
        """Steps at which the kernels of hidden layers are recorded."""
        return _chosen(self.kernel_steps, self.recorded)

    @property
    def rate(self) -> float:
        """The learning rate, once it is known as a number."""
        if self.learning_rate is None:
            raise RgflowError("learning_rate is not set; it follows from step_fraction and the network")
        return self.learning_rate

    def _check_sizes(self) -> None:
        if self.group & (self.group - 1) or (self.antithetic and self.group < 2):
            allowed = "a power of 2, at least 2 with antithetic networks" if self.antithetic else "a power of 2"
            raise RgflowError(f"group = {self.group}; it must be {allowed}")
        block = self.members if self.block is None else self.block
        if block % self.group:
            name = "members" if self.block is None else "block"
            raise RgflowError(f"{name} = {block}; it must be a multiple of group = {self.group}")
        if self.members % block:
            raise RgflowError(f"members = {self.members}; it must be a multiple of block = {block}")

    def _check_lists(self) -> None:
        for name in ("ntk_steps", "ntk_samples", "kernel_steps"):
            chosen = getattr(self, name)
            if isinstance(chosen, tuple) and len(set(chosen)) < len(chosen):
                raise RgflowError(f"{name} = {list(chosen)}; each may be listed once")

    def _check_method(self) -> None:
        if self.momentum and self.optimizer != "gd":
            raise RgflowError(f"momentum = {self.momentum}; it goes with optimizer = 'gd', not {self.optimizer!r}")
        odd = [name for name, plain in _LINEARIZED.items() if getattr(self, name) != plain]
        if self.control_variates and odd:
            raise RgflowError(f"control_variates need {odd[0]} = {_LINEARIZED[odd[0]]}, not {getattr(self, odd[0])}")


def check_samples(training: Any, train: int, test: int) -> None:
    """Raise one line if a training asks for more samples than there are.

    Parameters
    ----------
    training
        With the fields ``batch_size`` and ``ntk_samples`` of a :class:`TrainingSpec`.
    train, test
        Numbers of samples.
    """
    if training.batch_size is not None and training.batch_size > train:
        raise RgflowError(f"batch_size = {training.batch_size}; there are {train} train samples")
    if max(training.ntk_samples or (), default=0) >= train + test:
        raise RgflowError(f"ntk_samples = {list(training.ntk_samples)}; they must lie within 0 and {train + test - 1}")


_LINEARIZED: dict[str, Any] = {"loss": "mse", "optimizer": "gd", "momentum": 0.0, "batch_size": None}
"""The training whose linearization is known."""


def _chosen(choice: Literal["none", "ends", "all"] | Sequence[int], recorded: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(choice, str):
        return {"none": (), "ends": tuple(sorted({recorded[0], recorded[-1]})), "all": recorded}[choice]
    return tuple(sorted(choice))


@cache
def _adapters() -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(TrainingSpec, include_extras=True)
    return {field.name: TypeAdapter(hints[field.name]) for field in fields(TrainingSpec)}


def _checked(name: str, value: Any, adapter: TypeAdapter[Any]) -> Any:
    if isinstance(value, bool) and name not in _SWITCHES:
        raise RgflowError(f"{name} = {value}; it must be a number or a name, not a truth value")
    try:
        return adapter.validate_python(_python(value))
    except ValidationError as error:
        raise RgflowError(f"{name} = {value!r}; {' or '.join(dict.fromkeys(_complaints(error)))}") from None


def _python(value: Any) -> Any:
    """Numbers and arrays of numpy as those of Python."""
    if isinstance(value, list | tuple):
        return tuple(_python(entry) for entry in value)
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


_SWITCHES = ("antithetic", "control_variates")


def _complaints(error: ValidationError) -> Iterator[str]:
    for detail in error.errors():
        yield detail["msg"].replace("Input should be", "it must be")
