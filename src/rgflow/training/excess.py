"""What trained networks have beyond infinite width, n (estimate - infinite width), from control variates.

The residuals that :mod:`rgflow.training.records` sums have O(1/n) means and fluctuations. To their means come those of what
was subtracted, from :mod:`rgflow.training.controls` at order 1/n, or where they are not known those of the members themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.training.controls import CONTROLS
from rgflow.training.frozen import Frozen
from rgflow.training.jackknife import Means, unbiased_square

Array = NDArray[np.float64]


@dataclass(frozen=True)
class KnownMeans:
    """Means of the controls times n, of :func:`rgflow.training.controls.control_means`; None where one is not known.

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
    def of(cls, controls: xr.Dataset | None, steps: NDArray[np.int_]) -> KnownMeans:
        """From the means of controls at these steps and maybe more."""
        if controls is None:
            return cls()
        at = controls.sel(step=steps)
        return cls(*(at[name].values if name in at else None for name in CONTROLS))


@dataclass(frozen=True)
class Excess:
    """The estimator: a function of means over groups and their number."""

    frozen: Frozen
    known: KnownMeans
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
            **self._losses(mean, second - self.n * squared_mean, second),
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

    def _losses(self, mean: Array, covariance: Array, second: Array) -> dict[str, Array]:
        """Excess of E[1/2 sum (z - y)^2] = 1/2 sum E[c c] + sum (m - y) E[c] + ..., of its variance, and of what is left."""
        loss = _diagonal_sum(second) + (self._bias * mean).sum(axis=2)
        variance = _diagonal_sum(covariance)
        excesses: dict[str, Array] = {}
        for role, at in self._roles.items():
            one, part = loss[:, at].sum(axis=1), variance[:, at].sum(axis=1)
            excesses |= {f"{role}_loss_excess": one, f"{role}_variance_excess": part, f"{role}_bias_excess": one - part}
        return excesses

    @cached_property
    def _roles(self) -> dict[str, slice]:
        """Where the samples of a role with targets are."""
        roles = {"train": slice(None, self.frozen.modes), "test": slice(self.frozen.modes, None)}
        return {role: at for role, at in roles.items() if np.isfinite(self.targets[at]).all()}

    def _ntk(self, means: Means) -> Array:
        at = np.ix_(self.ntk_samples, self.ntk_samples)
        start = self.n * (means["start_NTK"] - self.frozen.Theta[at]) if self.known.ntk is None else self.known.ntk[at]
        return np.asarray(self.n * means["residual_NTK"] + self._same_component(start))

    def _same_component(self, values: Array) -> Array:
        """Values (..., sample, sample) for pairs of equal components, zero for others."""
        return np.asarray(values[..., None, None, :, :] * np.eye(self.targets.shape[1])[:, :, None, None])


def excess(groups: xr.Dataset, frozen: Frozen, known: KnownMeans) -> Excess:
    """Return the estimator for the joined groups of an ensemble."""
    ntk_samples = groups["ntk_sample_1"].values if "ntk_sample_1" in groups.coords else np.arange(0)
    steps = tuple(int(step) for step in groups["step"].values)
    return Excess(frozen, known, steps, groups["target"].values, int(groups["last_width"]), ntk_samples)


def _diagonal_sum(second: Array) -> Array:
    """1/2 sum over components i of x_{ii;aa}: (step, sample)."""
    return np.asarray(0.5 * np.einsum("tiiaa->ta", second))


def _outer(x: Array) -> Array:
    """x_{i;a} x_{j;b} of values (..., sample, output): (..., output, output, sample, sample)."""
    return np.asarray(np.einsum("...ai,...bj->...ijab", x, x))
