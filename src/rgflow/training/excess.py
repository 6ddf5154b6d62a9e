"""What trained networks have beyond infinite width, n (estimate - infinite width), from control variates.

The residuals that :mod:`rgflow.training.records` sums have O(1/n) means and fluctuations. To their means come those of what
was subtracted: with tensors of the output layer, at order 1/n,

    n E[z1]        =  g_xp Theta1_xp y_p,
    n E[c0 c0']    =  n J K J^T + J G1 J^T,
    n E[c0_x z1_y] = -u_x^t g_yp (Theta1_yp K_px + <dH_yp z_p z_x>),    <dH_01 z_2 z_3> = D + F + n_L F of the slots below,

in the rows of :mod:`rgflow.training.frozen`. Where a tensor is not given, the mean is that of the members themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.errors import RgflowError
from rgflow.training.frozen import Frozen
from rgflow.training.jackknife import Means, unbiased_square

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """Means of the controls that follow from tensors, times n; None where a tensor is missing.

    Attributes
    ----------
    linear_mean
        n E[z1] (step, sample, output).
    start
        n (E[z(0) z(0)'] - K) = G1 (sample, sample).
    linear_product
        n E[c0 z1' + z1 c0'] of one component (step, sample, sample).
    ntk
        n (E[H(0)] - Theta) = Theta1 (sample, sample).
    """

    linear_mean: Array | None = None
    start: Array | None = None
    linear_product: Array | None = None
    ntk: Array | None = None

    @classmethod
    def of(cls, frozen: Frozen, tensors: xr.Dataset | None, steps: NDArray[np.int_], outputs: int) -> Known:
        """Means from the tensors of the output layer, the last one of a dataset with ``layer``."""
        given = _output_layer(frozen, tensors)
        Theta1 = given.get("Theta1")
        mean = product = None
        if Theta1 is not None:
            one = np.einsum("ab,ij->ijab", Theta1, np.eye(outputs))[None]
            sources = frozen.sources(one, np.zeros((1, outputs, len(Theta1))))
            mean = np.stack([frozen.first_order(sources, int(step))[0].T for step in steps])
        if Theta1 is not None and "D" in given and "F" in given:
            source = _start_source(frozen, Theta1, given["D"], given["F"], outputs)
            product = np.stack([_start_response(frozen, source, int(step)) for step in steps])
        return cls(mean, given.get("G1"), product, Theta1)


@dataclass(frozen=True)
class Excess:
    """The estimator: a function of means over groups and their number."""

    frozen: Frozen
    known: Known
    steps: tuple[int, ...]
    targets: Array
    n: int
    ntk_samples: NDArray[np.int_]

    def __call__(self, means: Means, groups: int) -> dict[str, Array]:
        """Return the excesses from means over groups, ``deviation_square`` from :meth:`squares` among them."""
        mean, second = self._mean(means), self._second_moment(means)
        squared_mean = unbiased_square(_outer(self._deviation(means)), means["deviation_square"], groups)
        result = {
            "prediction_mean_excess": mean,
            "prediction_covariance_excess": second - self.n * squared_mean,
            **self._losses(mean, second),
        }
        return result | ({"NTK_excess": self._ntk(means)} if "residual_NTK" in means else {})

    def squares(self, means: Means) -> Array:
        """E[z] E[z]' of the excess alone, (..., step, output, output, sample, sample), of means over each group."""
        return _outer(self._deviation(means))

    @cached_property
    def _propagators(self) -> Array:
        return np.stack([self.frozen.propagator(step) for step in self.steps])

    @cached_property
    def _bias(self) -> Array:
        return np.stack([self.frozen.mean(step) for step in self.steps]) - self.targets

    def _deviation(self, means: Means) -> Array:
        """E[z] - m (step, sample, output)."""
        return self._mean(means) / self.n

    def _mean(self, means: Means) -> Array:
        known = self.known.linear_mean
        return self.n * means["residual_mean"] + (self.n * means["linear_mean"] if known is None else known)

    def _second_moment(self, means: Means) -> Array:
        """n (E[c c'] - J K J^T)."""
        known = self.known.linear_product
        linear = self.n * means["linear_product"] if known is None else self._same_component(known)
        start = self.n * (means["start_product"] - self.frozen.K) if self.known.start is None else self.known.start
        left = self._same_component(self._propagators @ start @ self._propagators.swapaxes(1, 2))
        return np.asarray(self.n * means["residual_product"] + linear + left)

    def _losses(self, mean: Array, second: Array) -> dict[str, Array]:
        """Excess of E[1/2 sum (z - y)^2] = 1/2 sum E[c c] + sum (m - y) E[c] + ..."""
        each = 0.5 * np.einsum("tiiaa->ta", second) + (self._bias * mean).sum(axis=2)
        train, test = np.split(each, [self.frozen.modes], axis=1)
        losses = {"train_loss_excess": train.sum(axis=1)}
        if np.isfinite(self.targets).all():
            losses["test_loss_excess"] = test.sum(axis=1)
        return losses

    def _ntk(self, means: Means) -> Array:
        at = np.ix_(self.ntk_samples, self.ntk_samples)
        start = self.n * (means["start_NTK"] - self.frozen.Theta[at]) if self.known.ntk is None else self.known.ntk[at]
        return np.asarray(self.n * means["residual_NTK"] + self._same_component(start))

    def _same_component(self, values: Array) -> Array:
        """Values (..., sample, sample) for pairs of equal components, zero for others."""
        return np.asarray(values[..., None, None, :, :] * np.eye(self.targets.shape[1])[:, :, None, None])


def excess(groups: xr.Dataset, frozen: Frozen, known: Known) -> Excess:
    """Return the estimator for the joined groups of an ensemble."""
    ntk_samples = groups["ntk_sample_1"].values if "ntk_sample_1" in groups.coords else np.arange(0)
    steps = tuple(int(step) for step in groups["step"].values)
    return Excess(frozen, known, steps, groups["target"].values, int(groups["last_width"]), ntk_samples)


def _outer(x: Array) -> Array:
    """x_{i;a} x_{j;b} of values (..., sample, output): (..., output, output, sample, sample)."""
    return np.asarray(np.einsum("...ai,...bj->...ijab", x, x))


def _start_source(frozen: Frozen, Theta1: Array, D: Array, F: Array, outputs: int) -> Array:
    """n E[z_x dH_yp z_p] for rows x, y and modes p: (row, row, mode)."""
    rows, modes = frozen.spectrum[1], frozen.spectrum[1][: frozen.modes, : frozen.modes]
    train = slice(None, frozen.modes)
    # D[a, b, c, d] and F[a, c, b, d] go with z_a z_b H_cd; H_01 z_2 z_3 has the slots 0 = y, 1 = 2 = p, 3 = x
    joint = np.einsum("qxyp->yqpx", D) + np.einsum("qyxp->yqpx", F) + outputs * np.einsum("xyqp->yqpx", F)
    joint = np.einsum("yqpx,kq,kp->yxk", joint[:, train, train], modes, modes, optimize=True)
    mean = np.einsum("yp,kp,xq,kq->yxk", Theta1[:, train], modes, frozen.K[:, train], modes, optimize=True)
    return np.asarray(np.einsum("sx,ry,yxk->srk", rows, rows, mean + joint, optimize=True))


def _start_response(frozen: Frozen, source: Array, step: int) -> Array:
    """n E[c0_x z1_y] + its transpose (sample, sample), from :func:`_start_source`."""
    theta, _, back = frozen.spectrum
    decay = (1.0 - frozen.learning_rate * theta) ** step
    one = back @ (-decay[:, None] * (source * frozen.response(step)).sum(axis=2)) @ back.T
    return np.asarray(one + one.T)


def _output_layer(frozen: Frozen, tensors: xr.Dataset | None) -> dict[str, Array]:
    """The tensors G1, Theta1, D, F that are given, of the last layer, checked for the number of samples."""
    if tensors is None:
        return {}
    last = tensors.isel(layer=-1) if "layer" in tensors.dims else tensors
    given = {name: last[name].values for name in ("G1", "Theta1", "D", "F") if name in last}
    for name, value in given.items():
        if value.shape[0] != len(frozen.K):
            raise RgflowError(f"tensors: {name} is between {value.shape[0]} samples; the ensemble has {len(frozen.K)}")
    return given
