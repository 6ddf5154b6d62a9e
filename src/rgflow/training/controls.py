"""Means of the control variates at order 1/n, from tensors of the output layer.

With the pieces that :mod:`rgflow.training.records` subtracts from every trained network,

    n E[z1]        =  g_xp Theta1_xp y_p,
    n E[c0 c0']    =  n J K J^T + J G1 J^T,
    n E[c0_x z1_y] = -u_x^t g_yp (Theta1_yp K_px + <dH_yp z_p z_x>),    <dH_01 z_2 z_3> = D + F + n_L F of the slots below,

in the rows of :mod:`rgflow.training.frozen`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.errors import RgflowError
from rgflow.training.frozen import Frozen

Array = NDArray[np.float64]

CONTROLS = ("linear_mean1", "start_product1", "linear_product1", "start_NTK1")
_PAIR = ("sample_1", "sample_2")
_TENSORS = ("G1", "Theta1", "D", "F")


def control_means(frozen: Frozen, tensors: xr.Dataset, steps: Sequence[int]) -> xr.Dataset:
    """What the means of the controls have beyond infinite width, times n.

    Parameters
    ----------
    frozen
        The infinitely wide networks beside the ensemble.
    tensors
        Tensors of the output layer, the last one of a dataset with ``layer``; any of G1, Theta1, D, F between all samples.
    steps
        Recorded steps.

    Returns
    -------
    xr.Dataset
        ``start_product1`` = G1 and ``start_NTK1`` = Theta1 (sample_1, sample_2), ``linear_mean1`` (step, sample, output) and
        ``linear_product1`` (step, sample_1, sample_2) of one component, as far as the tensors tell.

    Raises
    ------
    RgflowError
        Tensors between another number of samples.
    """
    given = _output_layer(frozen, tensors)
    data: dict[str, Any] = {"start_product1": (_PAIR, given["G1"])} if "G1" in given else {}
    if "Theta1" in given:
        data["start_NTK1"] = (_PAIR, given["Theta1"])
        data["linear_mean1"] = (("step", "sample", "output"), _linear_mean(frozen, given["Theta1"], steps))
    if {"Theta1", "D", "F"} <= given.keys():
        source = _start_source(frozen, given["Theta1"], given["D"], given["F"])
        data["linear_product1"] = (("step", *_PAIR), np.stack([_start_response(frozen, source, t) for t in steps]))
    return xr.Dataset(data, {"step": list(steps)})


def _linear_mean(frozen: Frozen, Theta1: Array, steps: Sequence[int]) -> Array:
    """n E[z1] (step, sample, output)."""
    outputs = frozen.targets.shape[1]
    one = np.einsum("ab,ij->ijab", Theta1, np.eye(outputs))[None]
    sources = frozen.sources(one, np.zeros((1, outputs, len(Theta1))))
    return np.stack([frozen.first_order(sources, step)[0].T for step in steps])


def _start_source(frozen: Frozen, Theta1: Array, D: Array, F: Array) -> Array:
    """n E[z_x dH_yp z_p] for rows x, y and modes p: (row, row, mode)."""
    rows, modes = frozen.spectrum[1], frozen.spectrum[1][: frozen.modes, : frozen.modes]
    train = slice(None, frozen.modes)
    # D[a, b, c, d] and F[a, c, b, d] go with z_a z_b H_cd; H_01 z_2 z_3 has the slots 0 = y, 1 = 2 = p, 3 = x
    joint = (
        np.einsum("qxyp->yqpx", D) + np.einsum("qyxp->yqpx", F) + frozen.targets.shape[1] * np.einsum("xyqp->yqpx", F)
    )
    joint = np.einsum("yqpx,kq,kp->yxk", joint[:, train, train], modes, modes, optimize=True)
    mean = np.einsum("yp,kp,xq,kq->yxk", Theta1[:, train], modes, frozen.K[:, train], modes, optimize=True)
    return np.asarray(np.einsum("sx,ry,yxk->srk", rows, rows, mean + joint, optimize=True))


def _start_response(frozen: Frozen, source: Array, step: int) -> Array:
    """n E[c0_x z1_y] + its transpose (sample, sample), from :func:`_start_source`."""
    theta, _, back = frozen.spectrum
    decay = (1.0 - frozen.learning_rate * theta) ** step
    one = back @ (-decay[:, None] * (source * frozen.response(step)).sum(axis=2)) @ back.T
    return np.asarray(one + one.T)


def _output_layer(frozen: Frozen, tensors: xr.Dataset) -> dict[str, Array]:
    """The tensors that are given, of the last layer, checked for the number of samples."""
    last = tensors.isel(layer=-1) if "layer" in tensors.dims else tensors
    given = {name: last[name].values for name in _TENSORS if name in last}
    for name, value in given.items():
        if value.shape[0] != len(frozen.K):
            raise RgflowError(f"tensors: {name} is between {value.shape[0]} samples; the ensemble has {len(frozen.K)}")
    return given
