"""What an ensemble at initialization is: everything that determines its numbers besides network and inputs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import Field, NonNegativeInt

from rgflow import tensors as records
from rgflow.errors import RgflowError
from rgflow.kinds import check_choice
from rgflow.network import Network
from rgflow.sampling.estimators import ESTIMATORS
from rgflow.sampling.groups import group_count
from rgflow.sampling.rng import GROUP

if TYPE_CHECKING:
    import torch

SAMPLED_TENSORS = tuple(name for name in records.TENSORS if any(name in table for table in ESTIMATORS.values()))
Sampler = Literal["marginal", "weights"]
Law = Literal["normal", "uniform", "truncated_normal", "discrete", "orthogonal"]
Dtype = Literal["auto", "float32", "float64"]
if TYPE_CHECKING:
    SampledTensor = str
else:
    SampledTensor = Literal[SAMPLED_TENSORS]
_ANY_ROWS = tuple(name for name, one in ESTIMATORS["plain"].items() if not one.independent)


@dataclass(frozen=True)
class SamplingSpec:
    """Settings of an ensemble; those of the section ``ensemble`` of a configuration.

    Every field is described where it stands; of a residual network the tensors K, T3, V and Theta are known.

    Raises
    ------
    RgflowError
        A value that is not allowed: one line naming it.
    """

    seed: Annotated[NonNegativeInt, Field(description="selects the draws")] = 1
    tensors: Annotated[
        tuple[SampledTensor, ...],
        Field(min_length=1, description="of residual networks K, T3, V, Theta; T3 of these only"),
    ] = ("K", "V", "Theta")
    sampler: Annotated[Sampler, Field(description="marginal never draws a weight, weights draws them all")] = "marginal"
    law: Annotated[
        Law,
        Field(
            description="of the weights, that of theory or, with sampler weights, others that share its infinite width"
        ),
    ] = "normal"
    layers: Annotated[tuple[int, ...] | None, Field(description="layers to report, increasing; null: all")] = None
    dtype: Annotated[
        Dtype,
        Field(
            description="of preactivations and cotangents (algebra between inputs is always float64); auto: float32 unless"
            " inputs come too close to each other for it"
        ),
    ] = "auto"
    kept: Annotated[
        NonNegativeInt, Field(description="first members whose preactivations and NTK are kept one by one")
    ] = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", tuple(self.tensors))
        for name, allowed in _CHOICES.items():
            check_choice(name, getattr(self, name), allowed)
        self._check_tensors()
        for name in ("seed", "kept"):
            object.__setattr__(self, name, _count(name, getattr(self, name)))
        self._check_law()

    def _check_tensors(self) -> None:
        if not self.tensors:
            raise RgflowError(f"tensors is empty; allowed: {', '.join(SAMPLED_TENSORS)}")
        for tensor in self.tensors:
            check_choice("tensors", tensor, SAMPLED_TENSORS)
            if self.tensors.count(tensor) > 1:
                raise RgflowError(f"tensors: {tensor!r} is listed twice")

    def _check_law(self) -> None:
        if self.sampler == "marginal" and self.law != "normal":
            raise RgflowError(
                f"law = {self.law!r} needs sampler = 'weights'; the marginal sampler is exact for 'normal' only"
            )
        if self.law == "orthogonal" and (other := [name for name in self.tensors if name not in _ANY_ROWS]):
            raise RgflowError(f"tensors: {other[0]!r} with law = 'orthogonal'; allowed: {', '.join(_ANY_ROWS)}")

    def reported_layers(self, network: Network) -> tuple[int, ...]:
        """The layers to report of a network.

        Raises
        ------
        RgflowError
            Unless they increase within 1..L, or if a tensor needs two neurons where a reported layer has one, or is not
            known of this kind of network.
        """
        estimators = network.architecture.choose(ESTIMATORS, "sampling")
        check_known(self.tensors, network.architecture.name)
        layers = tuple(range(1, network.depth + 1)) if self.layers is None else self.layers
        if not layers or list(layers) != sorted(set(layers) & set(range(1, network.depth + 1))):
            raise RgflowError(f"layers = {list(layers)}; they must increase within 1..{network.depth}")
        two = [tensor for tensor in self.tensors if estimators[tensor].neurons == 2]
        narrow = [layer for layer in layers if network.widths[layer] < 2]
        if two and narrow:
            raise RgflowError(f"tensors: {two[0]!r} needs 2 neurons; layer {narrow[0]} has {network.widths[narrow[0]]}")
        return layers

    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch's, once it is not "auto" any more."""
        import torch

        return {"float32": torch.float32, "float64": torch.float64}[self.dtype]

    def to_json(self) -> str:
        """Canonical text of the settings."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class DntkSpec:
    """Settings of an ensemble whose networks are differentiated; the section ``dntk`` of a configuration.

    Raises
    ------
    RgflowError
        A value that is not allowed: one line naming it.
    """

    members: Annotated[
        int,
        Field(
            ge=2 * GROUP,
            multiple_of=GROUP,
            le=10**12,
            description=f"networks, a multiple of {GROUP}; differentiated one by one, so keep them narrow",
        ),
    ]
    seed: Annotated[NonNegativeInt, Field(description="selects the draws, in float64")] = 1

    def __post_init__(self) -> None:
        group_count(self.members)
        object.__setattr__(self, "seed", _count("seed", self.seed))


def _count(name: str, value: object) -> int:
    """The value as an integer of Python: numpy's have no JSON."""
    if not isinstance(value, Integral) or value < 0:
        raise RgflowError(f"{name} = {value!r}; allowed: an integer >= 0")
    return int(value)


_CHOICES = {"sampler": get_args(Sampler), "law": get_args(Law), "dtype": get_args(Dtype)}


def check_known(tensors: Iterable[str], architecture: str) -> None:
    """Raise one line if a tensor is not known of an architecture."""
    known = ESTIMATORS[architecture]
    for name in tensors:
        if architecture in records.TENSORS[name].vanishes_in:
            raise RgflowError(f"tensors: {name!r} vanishes in a {architecture} network; allowed: {', '.join(known)}")
        if name not in known:
            raise RgflowError(f"tensors: {name!r} of a {architecture} network; allowed: {', '.join(known)}")
