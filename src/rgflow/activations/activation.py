"""What the theory needs to know of an activation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from rgflow.activations.arrays import Array, is_tensor
from rgflow.activations.in_place import InPlace
from rgflow.errors import RgflowError

MAX_ORDER = 5
Tower = Callable[[Array, int], list[Array]]
Items = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Activation:
    """One activation function sigma; compares and hashes by name, parameters and, of a user's own, the function itself.

    Registered ones are made by :func:`rgflow.activation`; of one's own it needs at least the derivatives, ``tower``.

    Attributes
    ----------
    name, items
        Name and parameters.
    tower
        (z, order) -> [sigma(z), ..., sigma^(order)(z)].
    fast
        z -> (sigma(z), sigma'(z)), if that is cheaper than the tower.
    kinks
        Points where sigma is not analytic; the derivatives at such a point are those of one of its sides.
    slopes
        (a_minus, a_plus) if sigma(z) = a_plus z for z > 0 and a_minus z for z < 0, else None.
    analytic_radius
        Distance of the nearest complex singularity from the real axis; inf for entire functions and for
        piecewise entire ones.
    quadrature_radius
        The length that sets the step of quadrature rules: `analytic_radius`, or for entire functions the
        length over which they may grow as much in the complex plane as four factors near a pole would.
    in_place
        Torch kernels that overwrite, if sigma' is a function of sigma, else None.
    function
        A user's own function, from which the derivatives were made, else None.
    origin
        (name, items) -> the activation, which pickles hold in the place of its functions; else None.

    Raises
    ------
    RgflowError
        No tower.
    """

    name: str
    items: Items = ()
    tower: Tower = field(compare=False, repr=False, default=None)  # type: ignore[assignment]
    fast: Callable[[Array], tuple[Array, Array]] | None = field(compare=False, repr=False, default=None)
    kinks: tuple[float, ...] = field(compare=False, repr=False, default=())
    slopes: tuple[float, float] | None = field(compare=False, repr=False, default=None)
    analytic_radius: float = field(compare=False, repr=False, default=math.inf)
    quadrature_radius: float = field(compare=False, repr=False, default=math.inf)
    in_place: InPlace | None = field(compare=False, repr=False, default=None)
    function: Callable[..., Any] | None = field(repr=False, default=None)
    origin: Callable[[str, Items], Activation] | None = field(compare=False, repr=False, default=None)

    def __post_init__(self) -> None:
        if self.tower is None:
            raise RgflowError(
                f"Activation({self.name!r}) has no derivatives: rgflow.activation({self.name!r}) looks a name up, "
                "Activation(name, tower=...) makes one of your own"
            )

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters by name."""
        return dict(self.items)

    @property
    def label(self) -> str:
        """The name with its parameters, as in ``leaky_relu(slope=0.2)``."""
        inner = ", ".join(f"{key}={value!r}" for key, value in self.items)
        return f"{self.name}({inner})" if inner else self.name

    @property
    def draws_key(self) -> str:
        """The label without the folder of a user's file, so that draws are the same wherever the file lies."""
        return self.label.rpartition("/")[2]

    def __call__(self, z: Array) -> Array:
        """sigma(z), elementwise; numpy gives float64, torch keeps dtype and device."""
        return self.derivatives(z, 0)[0]

    def derivative(self, z: Array, order: int) -> Array:
        """sigma^(order)(z); the regular part (no delta functions) if sigma has kinks."""
        return self.derivatives(z, order)[order]

    def derivatives(self, z: Array, order: int) -> list[Array]:
        """[sigma(z), sigma'(z), ..., sigma^(order)(z)] with shared work; 0 <= order <= 5."""
        if not 0 <= order <= MAX_ORDER:
            raise RgflowError(f"derivative order of {self.label}: {order}; allowed: 0 to {MAX_ORDER}")
        return self.tower(_as_array(z), order)

    def value_and_derivative(self, z: Array) -> tuple[Array, Array]:
        """(sigma(z), sigma'(z)) in the cheapest way: accurate to rounding of the larger of the two."""
        if self.fast is not None:
            return self.fast(_as_array(z))
        value, slope = self.tower(_as_array(z), 1)
        return value, slope

    def sides(self, kink: float, order: int) -> tuple[list[float], list[float]]:
        """The tower of derivatives just below and just above a kink."""
        neighbours = (np.nextafter(kink, -math.inf), np.nextafter(kink, math.inf))
        below, above = ([float(part) for part in self.derivatives(z, order)] for z in neighbours)
        return below, above

    @cached_property
    def taylor(self) -> tuple[float, ...] | None:
        """sigma^(p)(0) for p = 0..5, or None if sigma is not smooth at 0."""
        if 0.0 in self.kinks:
            return None
        return tuple(float(part) for part in self.derivatives(0.0, MAX_ORDER))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.origin is not None:
            return self.origin, (self.name, self.items)
        return type(self), tuple(getattr(self, attribute.name) for attribute in fields(self))


def first_jump(below: Sequence[float], above: Sequence[float]) -> float:
    """Lowest derivative order that is discontinuous at a kink, given its two sides; inf if none of those given."""
    jumps = (p for p, (b, a) in enumerate(zip(below, above, strict=True)) if not math.isclose(a, b, abs_tol=1e-14))
    return next(jumps, math.inf)


def _as_array(z: Array) -> Array:
    return z if is_tensor(z) else np.asarray(z, dtype=np.float64)
