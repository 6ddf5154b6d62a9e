"""The activations known by name, and what the theory needs to know of each."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import Any

import numpy as np

from rgflow.activations import formulas, in_place
from rgflow.activations.arrays import Array, is_tensor
from rgflow.activations.in_place import InPlace
from rgflow.errors import RgflowError

MAX_ORDER = 5
_LARGEST_PARAMETER = 1e30  # its fourth power has room among the numbers
_LONGEST_NAME = 60  # of what is repeated in a message
Tower = Callable[[Array, int], list[Array]]


@dataclass(frozen=True)
class Activation:
    """One activation function sigma; compares and hashes by name, parameters and, of a user's own, the function itself.

    Registered ones are made by :func:`activation`; of one's own it needs at least the derivatives, ``tower``.

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

    Raises
    ------
    RgflowError
        No tower.
    """

    name: str
    items: tuple[tuple[str, float], ...] = ()
    tower: Tower = field(compare=False, repr=False, default=None)  # type: ignore[assignment]
    fast: Callable[[Array], tuple[Array, Array]] | None = field(compare=False, repr=False, default=None)
    kinks: tuple[float, ...] = field(compare=False, repr=False, default=())
    slopes: tuple[float, float] | None = field(compare=False, repr=False, default=None)
    analytic_radius: float = field(compare=False, repr=False, default=math.inf)
    quadrature_radius: float = field(compare=False, repr=False, default=math.inf)
    in_place: InPlace | None = field(compare=False, repr=False, default=None)
    function: Callable[..., Any] | None = field(repr=False, default=None)

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
        if self.name in _BUILDERS or _is_file(self.name):
            return _rebuild, (self.name, self.items)
        return type(self), tuple(getattr(self, attribute.name) for attribute in fields(self))


def first_jump(below: Sequence[float], above: Sequence[float]) -> float:
    """Lowest derivative order that is discontinuous at a kink, given its two sides; inf if none of those given."""
    jumps = (p for p, (b, a) in enumerate(zip(below, above, strict=True)) if not math.isclose(a, b, abs_tol=1e-14))
    return next(jumps, math.inf)


def _as_array(z: Array) -> Array:
    return z if is_tensor(z) else np.asarray(z, dtype=np.float64)


def _analytic(tower: Tower, radius: float, **properties: Any) -> dict[str, Any]:
    return {"tower": tower, "analytic_radius": radius, "quadrature_radius": radius, **properties}


def _entire(tower: Tower, length: float, **properties: Any) -> dict[str, Any]:
    return {"tower": tower, "quadrature_radius": length, **properties}


def _kinked(tower: Tower, *kinks: float, **properties: Any) -> dict[str, Any]:
    return {"tower": tower, "kinks": kinks, **properties}


def _leaky_relu(slope: float = 0.01) -> dict[str, Any]:
    kinks = () if slope == 1 else (0.0,)
    return _kinked(partial(formulas.leaky_relu, slope=slope), *kinks, slopes=(slope, 1.0))


def _monomial(power: float = 2) -> dict[str, Any]:
    if power != int(power) or power < 1:
        raise RgflowError(f"monomial: power = {power!r}; allowed: an integer >= 1")
    return _entire(partial(formulas.monomial, power=int(power)), math.inf, slopes=(1.0, 1.0) if power == 1 else None)


def _softplus(beta: float = 1.0) -> dict[str, Any]:
    _require_positive("softplus", "beta", beta)
    return _analytic(partial(formulas.softplus, beta=beta), math.pi / beta)


def _swish(beta: float = 1.0) -> dict[str, Any]:
    _require_positive("swish", "beta", beta)
    fast = partial(formulas.swish_fast, beta=beta)
    return _analytic(partial(formulas.swish, beta=beta), math.pi / beta, fast=fast)


def _elu(alpha: float = 1.0) -> dict[str, Any]:
    return _kinked(partial(formulas.elu, alpha=alpha), 0.0)


def _snake(frequency: float = 1.0) -> dict[str, Any]:
    _require_positive("snake", "frequency", frequency)
    return _entire(partial(formulas.snake, frequency=frequency), 2 / frequency)


def _require_positive(name: str, key: str, value: float) -> None:
    if not value > 0:
        raise RgflowError(f"{name}: {key} = {value!r}; allowed: > 0")


# what makes an activation of each name: keyword parameters in, attributes of Activation out
_BUILDERS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "perceptron": lambda: _kinked(formulas.perceptron, 0.0),
    "linear": lambda: _entire(formulas.linear, math.inf, slopes=(1.0, 1.0)),
    "relu": lambda: _kinked(formulas.relu, 0.0, slopes=(0.0, 1.0), in_place=in_place.RELU),
    "leaky_relu": _leaky_relu,
    "tanh": lambda: _analytic(formulas.tanh, math.pi / 2, fast=formulas.tanh_fast, in_place=in_place.TANH),
    "sin": lambda: _entire(formulas.sin, 4.0),
    "cos": lambda: _entire(formulas.cos, 4.0),
    "sigmoid": lambda: _analytic(formulas.sigmoid, math.pi, in_place=in_place.SIGMOID),
    "softplus": _softplus,
    "swish": _swish,
    "gelu": lambda: _entire(formulas.gelu, 2.6, fast=formulas.gelu_fast),
    "erf": lambda: _entire(formulas.erf, 1.85),
    "monomial": _monomial,
    "elu": _elu,
    "selu": lambda: _kinked(formulas.selu, 0.0),
    "mish": lambda: _analytic(formulas.mish, 0.75 * math.pi),
    "hard_tanh": lambda: _kinked(formulas.hard_tanh, -1.0, 1.0),
    "snake": _snake,
}


# parameters that came later than the activation: the default leaves its label, and so the draws of its networks, as it was
_UNNAMED = {"softplus": (("beta", 1.0),)}


def _rebuild(name: str, items: tuple[tuple[str, float], ...]) -> Activation:
    return activation(name, **dict(items))


def names() -> tuple[str, ...]:
    """Names of the registered activations, sorted."""
    return tuple(sorted(_BUILDERS))


# what torch and others call them; case and underscores do not matter
_ALIASES = {"silu": "swish", "identity": "linear", "heaviside": "perceptron"}


def activation(name: str | Activation | Callable[..., Any], **parameters: float) -> Activation:
    """The activation of a name, or made of a function (PDLT, chapter 2).

    Parameters
    ----------
    name
        A registered name (see `names`), or torch's for it, such as ``silu`` or ``LeakyReLU``; ``"path/to/file.py:function"``
        for a function of one tensor in a file; an elementwise function or ``torch.nn.Module``, see
        :func:`rgflow.activations.user.own_activation`; or an `Activation`, which is returned unchanged.
    **parameters
        Parameters of the activation, such as ``slope`` of ``leaky_relu``; defaults fill what is missing.

    Raises
    ------
    RgflowError
        Unknown name or parameter, a parameter value that is not allowed, or a function that is not elementwise or not
        differentiable.
    """
    if isinstance(name, Activation):
        if parameters:
            raise RgflowError(f"{name.label}: parameters are fixed already; give the name as a string to change them")
        return name
    if not isinstance(name, str):
        from rgflow.activations.user import own_activation

        return own_activation(name, parameters)
    if _is_file(name):
        from rgflow.activations.user import load_activation

        return load_activation(name, parameters)
    return _registered(name, parameters)


def _is_file(name: str) -> bool:
    return ".py:" in name


def _registered(name: str, parameters: Mapping[str, float]) -> Activation:
    found = name if name in _BUILDERS else _known_names().get(_plain(name))
    if found is None:
        raise RgflowError(f"unknown activation {_short(name)}{_near_miss(name)}; known: {', '.join(names())}")
    complete = _complete_parameters(found, parameters)
    named = tuple(item for item in complete.items() if item not in _UNNAMED.get(found, ()))
    return Activation(found, named, **_BUILDERS[found](**complete))


def _short(name: str) -> str:
    return repr(name) if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]!r}..."


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _known_names() -> dict[str, str]:
    """Registered names by every way to write them."""
    return {**{_plain(name): name for name in _BUILDERS}, **_ALIASES}


def _near_miss(name: str) -> str:
    close = difflib.get_close_matches(_plain(name), _known_names(), n=1)
    return f" (did you mean {_known_names()[close[0]]!r}?)" if close else ""


def _complete_parameters(name: str, parameters: Mapping[str, float]) -> dict[str, float]:
    defaults = {key: p.default for key, p in inspect.signature(_BUILDERS[name]).parameters.items()}
    for key, value in parameters.items():
        if key not in defaults:
            raise RgflowError(f"{name}: unknown parameter {key!r}; allowed: {', '.join(defaults) or 'none'}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST_PARAMETER:
            raise RgflowError(f"{name}: {key} = {value!r}; allowed: a number, at most {_LARGEST_PARAMETER:g} in size")
    return {**defaults, **parameters}
