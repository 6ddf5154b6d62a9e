"""What an ensemble at initialization is: everything that determines its numbers besides network and inputs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import TYPE_CHECKING

from rgflow import tensors as records
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.sampling.estimators import ESTIMATORS

if TYPE_CHECKING:
    import torch

SAMPLED_TENSORS = tuple(name for name in records.TENSORS if any(name in table for table in ESTIMATORS.values()))
SAMPLERS = ("marginal", "weights")
DTYPES = ("auto", "float32", "float64")
LAWS = ("normal", "uniform", "truncated_normal", "discrete", "orthogonal")
_ANY_ROWS = tuple(name for name, one in ESTIMATORS["plain"].items() if not one.independent)


@dataclass(frozen=True)
class Ensemble:
    """Settings of an ensemble.

    Attributes
    ----------
    seed
        Selects the draws.
    tensors
        Tensors to estimate, of K, V, V6, Theta, D, F, A, B, or of K, T3, V, Theta for a residual network.
    sampler
        "marginal" never draws a weight; "weights" draws them all.
    law
        Law of the weights: "normal", or for the weight sampler "uniform", "truncated_normal", "discrete", "orthogonal".
    layers
        Layers to report, increasing; None means all.
    dtype
        "float32" or "float64", of preactivations and cotangents; algebra between inputs is always float64. "auto" is float32
        unless inputs come too close to each other for it, see :mod:`rgflow.sampling.precision`.
    kept
        The first members whose preactivations (and NTK, if it is drawn) are kept one by one.

    Raises
    ------
    RgflowError
        A value that is not allowed: one line naming it.
    """

    seed: int
    tensors: tuple[str, ...] = ("K", "V", "Theta")
    sampler: str = "marginal"
    law: str = "normal"
    layers: tuple[int, ...] | None = None
    dtype: str = "auto"
    kept: int = 0

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("sampler", self.sampler, SAMPLERS),
            ("law", self.law, LAWS),
            ("dtype", self.dtype, DTYPES),
            *(("tensors", tensor, SAMPLED_TENSORS) for tensor in self.tensors),
        ):
            if value not in allowed:
                raise RgflowError(f"{name}: {value!r}; allowed: {', '.join(allowed)}")
        if not self.tensors:
            raise RgflowError(f"tensors is empty; allowed: {', '.join(SAMPLED_TENSORS)}")
        for name in ("seed", "kept"):
            number = getattr(self, name)
            if not isinstance(number, Integral) or number < 0:
                raise RgflowError(f"{name} = {number!r}; allowed: an integer >= 0")
            object.__setattr__(self, name, int(number))  # numpy's integers have no JSON
        self._check_law()

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
        _check_known(self.tensors, network.architecture.name)
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


def check_tensors(tensors: Iterable[str], residual: bool) -> None:
    """Raise one line if a tensor is not known of residual networks, or of plain ones."""
    _check_known(tensors, "residual" if residual else "plain")


def _check_known(tensors: Iterable[str], architecture: str) -> None:
    known = ESTIMATORS[architecture]
    for name in tensors:
        if architecture in records.TENSORS[name].vanishes_in:
            raise RgflowError(f"tensors: {name!r} vanishes in a {architecture} network; allowed: {', '.join(known)}")
        if name not in known:
            raise RgflowError(f"tensors: {name!r} of a {architecture} network; allowed: {', '.join(known)}")
