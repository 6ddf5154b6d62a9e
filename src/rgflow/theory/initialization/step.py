"""Everything one step of the recursions reads: hyperparameters of layer l+1 and Gaussian averages in layer l."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from rgflow.gaussian.averages import Averages
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array


class Step:
    """One step l -> l+1, its averages evaluated when first used.

    Attributes C_b, C_W, lambda_b, lambda_W belong to the branch of layer l+1;
    rho = n_l / n_{l-1}. The averages <...>_K are over one neuron of layer l with covariance K^(l); s stands for sigma and
    d for its first derivative.

    Parameters
    ----------
    network
        The network.
    layer
        l, from 1 to L-1.
    averages
        The Gaussian averages in layer l.
    """

    def __init__(self, network: Network, layer: int, averages: Averages) -> None:
        self.C_b, self.C_W, self.lambda_b, self.lambda_W = network.hyperparameters(layer + 1)
        self.rho = network.ratio(layer)
        self.averages = averages

    @cached_property
    def ss(self) -> Array:
        """<sigma_1 sigma_2>, (N, N)."""
        return self.averages.pair(0)

    @cached_property
    def dd(self) -> Array:
        """P_12 = <sigma'_1 sigma'_2>, (N, N)."""
        return self.averages.pair(1)

    @cached_property
    def J0(self) -> Array:
        """Jacobian of <sigma_1 sigma_2>, (N, N, 3)."""
        return self.averages.jacobian(0)

    @cached_property
    def J1(self) -> Array:
        """Jacobian of <sigma'_1 sigma'_2>, (N, N, 3)."""
        return self.averages.jacobian(1)

    @cached_property
    def H0(self) -> Array:
        """Hessian of <sigma_1 sigma_2>, (N, N, 3, 3)."""
        return self.averages.hessian(0)

    @cached_property
    def H1(self) -> Array:
        """Hessian of <sigma'_1 sigma'_2>, (N, N, 3, 3)."""
        return self.averages.hessian(1)

    @cached_property
    def ssss(self) -> Array:
        """<sigma_1 sigma_2 sigma_3 sigma_4>, (N, N, N, N)."""
        return self.averages.quartic((0, 0, 0, 0))

    @cached_property
    def ssdd(self) -> Array:
        """<sigma_1 sigma_2 sigma'_3 sigma'_4>, (N, N, N, N)."""
        return self.averages.quartic((0, 0, 1, 1))

    @cached_property
    def dddd(self) -> Array:
        """<sigma'_1 sigma'_2 sigma'_3 sigma'_4>, (N, N, N, N)."""
        return self.averages.quartic((1, 1, 1, 1))

    @cached_property
    def q_sd(self) -> Array:
        """<d_beta (sigma_1 sigma'_2)> for beta = 1, 2, (N, N, 2): P_12 and <sigma_1 sigma''_2> = 2 df_12/dK_22.

        For equal inputs the two add up to <sigma'^2 + sigma sigma''> = df_11/dK_11.
        """
        q = np.stack([self.dd, 2.0 * self.J0[..., 2]], axis=-1)
        same = np.arange(len(q))
        q[same, same, 1] = self.J0[same, same, 0] - q[same, same, 0]
        return q
