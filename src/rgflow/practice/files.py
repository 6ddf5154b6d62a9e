"""Advice on a module that a function in a Python file makes, with inputs from a file: what the command line calls."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rgflow.errors import RgflowError
from rgflow.practice.advice import Advice
from rgflow.practice.advise import advise


def advise_file(
    model: str,
    inputs: str | Path | None = None,
    *,
    report: str | Path | None = None,
    loss: str = "mse",
    reduction: str = "mean",
    optimizer: str = "sgd",
    momentum: float = 0.0,
) -> Advice:
    """Advice on the module that a function without arguments returns.

    Parameters
    ----------
    model
        ``"path/to/file.py:function"``.
    inputs
        ``.npz`` with ``x`` (N, ...) and, if there are targets, ``y``; or ``.npy`` with the inputs alone.
    report
        Where to write the page, ``*.html``; no page if None.
    loss, reduction, optimizer, momentum
        As for :func:`rgflow.practice.advise.advise`.

    Raises
    ------
    RgflowError
        A file or function that does not exist or fails, a result that is no module, and all that `advise` raises.
    """
    made = _called(_function(model), model)
    x, y = (None, None) if inputs is None else _arrays(Path(inputs))
    advice = advise(made, x, y, loss=loss, reduction=reduction, optimizer=optimizer, momentum=momentum)
    if report is not None:
        advice.save_report(report)
    return advice


def _function(reference: str) -> Callable[[], Any]:
    path, _, name = reference.rpartition(":")
    if not (path.endswith(".py") and name):
        raise RgflowError(f"model = {reference!r}; path/to/file.py:function is needed")
    if not Path(path).is_file():
        raise RgflowError(f"model = {reference!r}: no file {path!r}")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None  # the suffix is .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RgflowError(f"model = {reference!r}: the file fails with {_one_line(error)}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise RgflowError(f"model = {reference!r}: no function {name!r} in {path!r}")
    return function  # type: ignore[no-any-return]


def _called(function: Callable[[], Any], reference: str) -> nn.Module:
    try:
        made = function()
    except Exception as error:
        raise RgflowError(f"model = {reference!r}: the function fails with {_one_line(error)}") from error
    if not isinstance(made, nn.Module):
        raise RgflowError(f"model = {reference!r}: returns a {type(made).__name__}; a torch.nn.Module is needed")
    return made


def _arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Inputs and targets of a file."""
    if path.suffix not in (".npy", ".npz") or not path.is_file():
        raise RgflowError(f"inputs = {str(path)!r}; an .npz file with x (and y), or an .npy file, is needed")
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if path.suffix == ".npy":
                return np.asarray(found), None
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError) as error:
        raise RgflowError(f"inputs = {str(path)!r}: cannot be read ({_one_line(error)})") from None
    if "x" not in arrays:
        raise RgflowError(
            f"inputs = {str(path)!r}: has no array 'x'; it holds {', '.join(sorted(arrays)) or 'nothing'}"
        )
    return arrays["x"], arrays.get("y")


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
