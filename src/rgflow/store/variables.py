"""The variable registry: every stored array is named, shaped and explained, once, by the chapter that stores it.

A :class:`Variable` validates a dataset before it is published, documents it (``long_name``, ``equation``) and fixes how it
is encoded. Estimates of a registered variable may be accompanied by ``<name>_stderr``, its standard error, and
``<name>_covariance``, the covariance between layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rgflow.errors import RgflowError

if TYPE_CHECKING:
    import xarray as xr

STDERR = "_stderr"
ERROR = "_error"
COVARIANCE = "_covariance"


@dataclass(frozen=True)
class Variable:
    """One named array.

    Attributes
    ----------
    name : str
        Name in code, store and figures.
    dims : tuple of str
        Trailing dimensions; a dataset may add sweep dimensions (``width``, ``group``, ...) in front.
    kind : str
        numpy kind of the values: ``"f"``, ``"i"``, ``"b"`` or ``"U"``.
    long_name : str
        What it is, in a few words.
    equation : str
        The defining equation, normalization included.
    may_be_missing : bool
        Whether NaN is allowed, as "does not exist here", and infinity, as "diverged"; everywhere else they stop the stage.
    """

    name: str
    dims: tuple[str, ...]
    kind: str
    long_name: str
    equation: str
    may_be_missing: bool = False

    def check(self, array: xr.DataArray, where: str) -> None:
        """Raise one line if ``array`` does not have the registered trailing dims and kind."""
        tail = tuple(str(d) for d in array.dims[array.ndim - len(self.dims) :])
        if tail != self.dims:
            raise RgflowError(f"{where}: variable {array.name!r} has dims {array.dims}, must end with {self.dims}")
        kind = {"O": "U", "T": "U", "u": "i"}.get(array.dtype.kind, array.dtype.kind)
        if kind != self.kind:
            raise RgflowError(
                f"{where}: variable {array.name!r} has dtype {array.dtype}, must be of kind {self.kind!r}"
            )

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes written with the array."""
        return {"long_name": self.long_name, "equation": self.equation}


class Registry:
    """All variables that may be stored, in groups.

    Parameters
    ----------
    groups : mapping of str to sequence of Variable
        Variables under the heading of each group.

    Raises
    ------
    RgflowError
        If two variables share a name.
    """

    def __init__(self, groups: Mapping[str, Sequence[Variable]]) -> None:
        self.groups = groups
        self._variables: dict[str, Variable] = {}
        for variable in (variable for group in groups.values() for variable in group):
            if variable.name in self._variables:
                raise RgflowError(f"variable {variable.name!r} is registered twice")
            self._variables[variable.name] = variable

    def lookup(self, name: str) -> Variable:
        """Return the registered variable behind ``name``.

        ``<name>_stderr`` stands for the standard error of ``name``, ``<name>_error`` for its numerical one,
        ``<name>_covariance`` for the covariance between layers of its components of a single input.

        Raises
        ------
        RgflowError
            If nothing of that name is registered.
        """
        if name in self._variables:
            return self._variables[name]
        for suffix, derived in ((STDERR, _stderr_of), (ERROR, _error_of), (COVARIANCE, _covariance_of)):
            base = self._variables.get(name.removesuffix(suffix))
            if name.endswith(suffix) and base is not None:
                return derived(base)
        raise RgflowError(f"variable {name!r} is not registered; the chapter that stores it names its variables")

    def validate(self, dataset: xr.Dataset, where: str) -> None:
        """Raise one line naming ``where`` unless every variable of ``dataset`` is registered and shaped as registered."""
        if not dataset.data_vars:
            raise RgflowError(f"{where}: the dataset holds no variables")
        for name, array in dataset.data_vars.items():
            self.lookup(str(name)).check(array, where)

    def document(self, dataset: xr.Dataset) -> xr.Dataset:
        """Return ``dataset`` with the registry's attributes on every variable."""
        documented = dataset.copy(deep=False)
        for name in documented.data_vars:
            documented[name].attrs = self.lookup(str(name)).attrs
        return documented


def _stderr_of(of: Variable) -> Variable:
    """NaN where it cannot be known."""
    equation = f"standard error of the estimate {of.name}"
    return Variable(of.name + STDERR, of.dims, "f", f"standard error of {of.long_name}", equation, may_be_missing=True)


def _error_of(of: Variable) -> Variable:
    """Of theory: what quadrature or randomized nodes leave uncertain."""
    return Variable(of.name + ERROR, of.dims, "f", f"numerical error of {of.long_name}", "", of.may_be_missing)


def _covariance_of(of: Variable) -> Variable:
    legs = "1" * (len(of.dims) - 1)
    return Variable(
        of.name + COVARIANCE,
        ("sample_1", "layer", "layer_2"),
        "f",
        f"covariance between layers of the estimate {of.name}",
        f"Cov({of.name}_{legs} in layer, {of.name}_{legs} in layer_2)",
        may_be_missing=True,
    )


OUTPUT_KERNELS = (
    Variable("K_output", ("sample_1", "sample_2"), "f", "infinite-width kernel of the outputs", "K^(L)"),
    Variable("Theta_output", ("sample_1", "sample_2"), "f", "infinite-width NTK of the outputs", "Theta^(L)"),
)
"""Kernels of all inputs at infinite width, in studies and in stores that a user streams to."""
