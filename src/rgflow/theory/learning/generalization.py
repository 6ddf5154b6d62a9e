"""Generalization at finite width: bias and variance against width, depth or number of samples, and where 1/n ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr

from rgflow.calls import checked
from rgflow.errors import RgflowError

LOSS_PARTS = ("bias", "variance", "loss")


@checked
def generalization(
    theories: Mapping[int, xr.Dataset], widths: Sequence[int], *, dim: str = "depth", step: int | None = None
) -> xr.Dataset:
    """Expected test loss q + q1/n of networks of given widths, squared bias and variance apart (PDLT, chapters 10 and infinity).

    Parameters
    ----------
    theories
        Results of ``training_theory`` of order "next" with test targets, labelled by the depth L, the number of train
        samples, or whatever was varied.
    widths
        Widths n of the last hidden layer; the other widths keep their ratios to it.
    dim
        What the labels are.
    step
        A recorded step; by default the end of training.

    Returns
    -------
    xr.Dataset
        ``bias``, ``variance`` and ``loss`` (dim, width), and with ``_infinite`` (dim) at infinite width and ``_next``
        (dim) the coefficients of 1/n; ``loss_error`` (dim, width) where the coefficients have errors; ``equal_order_width``
        (dim), the width |q1|/q of the loss at which both orders are equal, below which the expansion says nothing; by
        depth also ``equal_order_ratio`` (dim), the depth-to-width ratio L/n there.

    Raises
    ------
    RgflowError
        A theory without test losses of order 1/n or without the step, or a width below 1.
    """
    if not widths or min(widths) < 1:
        raise RgflowError(f"widths = {list(widths)}; they must be positive")
    labels = xr.DataArray(list(theories), dims=dim, name=dim)
    found = xr.concat([_losses(theory, step) for theory in theories.values()], dim=labels)
    inverse = 1.0 / xr.DataArray(list(widths), dims="width", coords={"width": list(widths)})
    for part in LOSS_PARTS:
        found[part] = found[f"{part}_infinite"] + found[f"{part}_next"] * inverse
    if "loss_next_error" in found:
        found["loss_error"] = found["loss_next_error"] * inverse
    found["equal_order_width"] = abs(found["loss_next"]) / found["loss_infinite"]
    if dim == "depth":
        found["equal_order_ratio"] = found["depth"] / found["equal_order_width"]
    return found


def _losses(theory: xr.Dataset, step: int | None) -> xr.Dataset:
    """The test loss and its parts at one time, leading and next order."""
    time = "_limit" if step is None else ""
    names = {f"test_{part}{time}": f"{part}_infinite" for part in LOSS_PARTS}
    names |= {f"test_{part}1{time}": f"{part}_next" for part in LOSS_PARTS}
    if missing := [name for name in names if name not in theory]:
        raise RgflowError(f"the theory lacks {missing[0]}: give training_theory test_targets and order='next'")
    if step is not None and step not in theory["step"]:
        raise RgflowError(f"step = {step}; recorded are {theory['step'].values.tolist()}")
    error = f"test_loss1{time}_error"
    names |= {error: "loss_next_error"} if error in theory else {}
    at = theory if step is None else theory.sel(step=step)
    return at[list(names)].rename(names).reset_coords(drop=True)
