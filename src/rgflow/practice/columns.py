"""The table of an advice: a row per layer; of two numbers the first is now, the second critical."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import xarray as xr

from rgflow.practice.predict import INITIALIZATIONS

KEY = "now -> critical; a number alone is that of the critical point"


def rows(dataset: xr.Dataset) -> Iterator[tuple[str, ...]]:
    """The header, and a row per layer."""
    yield tuple(_COLUMNS)
    yield from zip(*(column(dataset) for column in _COLUMNS.values()), strict=True)


def text(lines: Iterable[Sequence[str]]) -> str:
    """Rows as text in columns: the first to the left, others to the right."""
    lines = list(lines)
    size = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(_cells(line, size)).rstrip() for line in lines)


def _cells(line: Sequence[str], size: Sequence[int]) -> Iterator[str]:
    yield line[0].ljust(size[0])
    yield from (cell.rjust(width) for cell, width in zip(line[1:], size[1:], strict=True))


def _number(value: float) -> str:
    """Four digits; a dash for what is not known."""
    return "-" if math.isnan(value) else f"{value:.4g}"


Column = Callable[[xr.Dataset], list[str]]


def _words(name: str, missing: str) -> Column:
    return lambda dataset: [str(value) or missing for value in dataset[name].values]


def _now_and_best(name: str) -> Column:
    def column(dataset: xr.Dataset) -> list[str]:
        both = (_per_layer(dataset, name, initialization=which) for which in INITIALIZATIONS)
        return [f"{_number(now)} -> {_number(best)}" for now, best in zip(*both, strict=True)]

    return column


def _best(name: str, **selection: str) -> Column:
    return lambda dataset: list(map(_number, _per_layer(dataset, name, initialization="critical", **selection)))


def _per_layer(dataset: xr.Dataset, name: str, **selection: str) -> list[float]:
    """A number per layer; of a matrix the mean of its diagonal; nan if it could not be had."""
    if name not in dataset:
        return [math.nan] * len(dataset["layer"])
    values = dataset[name].sel(selection).values
    return list(map(float, values if values.ndim == 1 else np.einsum("laa->l", values) / values.shape[-1]))


_COLUMNS: dict[str, Column] = {
    "module": _words("path", "model"),
    "n_in": _words("n_in", ""),
    "n_out": _words("n_out", ""),
    "behind it": _words("activation", "-"),
    "C_b": _now_and_best("layer_C_b"),
    "C_W": _now_and_best("layer_C_W"),
    "chi_par": _now_and_best("layer_chi_parallel"),
    "chi_perp": _now_and_best("layer_chi_perp"),
    "K": _now_and_best("K"),
    "correlation": _now_and_best("correlation"),
    "V/nK^2": _now_and_best("kappa"),
    "Theta": _best("Theta"),
    "share": _best("ntk_share", rates="tensor"),
    "A/nTheta^2": _best("ntk_variance"),
    "lambda_b": _best("layer_lambda_b"),
    "lambda_W": _best("layer_lambda_W"),
}
