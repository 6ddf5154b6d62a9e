"""The likelihood of the train targets given the activations of the last hidden layer, with the last layer integrated out.

Given Ghat = C_b + C_W/n sigma sigma^T the targets are N(0, A), A = Ghat + s^2, independent over the n_L components:

    log w = -1/2 sum_i y_i^T A^-1 y_i - n_L/2 log det 2 pi A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rgflow.posterior.factors import Features, LowerTriangular
from rgflow.sampling.algebra import mix, tolerance


class Likelihood(Protocol):
    """log w as a function of sigma."""

    def __call__(self, sigma: Tensor) -> Tensor:
        """log w (members,) of the activations (members, N, n); -inf where A is singular."""

    def with_cotangent(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """log w and its derivative with respect to sigma."""


@dataclass(frozen=True, eq=False)
class KernelLikelihood:
    """By the factor of A (N, N).

    Attributes
    ----------
    metric
        Gives Ghat.
    noise
        s^2.
    targets
        y (N, n_L) float64.
    """

    metric: LowerTriangular
    noise: float
    targets: Tensor

    def __call__(self, sigma: Tensor) -> Tensor:
        """log w."""
        return self._solved(sigma)[0]

    def with_cotangent(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """log w; with alpha = A^-1 y the cotangent of sigma is C_W/n (alpha alpha^T - n_L A^-1) sigma."""
        log_weight, L, whitened = self._solved(sigma)
        alpha = torch.linalg.solve_triangular(L.mT, whitened, upper=True)
        cotangent = alpha @ alpha.mT - self.targets.shape[1] * torch.cholesky_inverse(L)
        return log_weight, mix(self.metric.C_W * cotangent, sigma)

    def _solved(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        A = self.metric.metric(sigma)
        A.diagonal(dim1=1, dim2=2).add_(self.noise)
        L, regular = _factor(A)
        whitened = torch.linalg.solve_triangular(L, self.targets.expand(len(sigma), -1, -1), upper=False)
        squares = whitened.square().sum((1, 2))
        return _log_density(squares, _log_det(L), self.targets, regular), L, whitened


@dataclass(frozen=True, eq=False)
class FeatureLikelihood:
    """The same by B = s^2 + phi^T phi (rows, rows), with features phi phi^T = Ghat; cheaper where there are fewer of them.

    Attributes
    ----------
    features
        Give phi.
    noise
        s^2, positive.
    targets
        y (N, n_L) float64.
    """

    features: Features
    noise: float
    targets: Tensor

    def __call__(self, sigma: Tensor) -> Tensor:
        """log w."""
        return self._solved(sigma)[0]

    def with_cotangent(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """log w; the cotangent of phi is alpha alpha^T phi - n_L phi B^-1, as A^-1 phi = phi B^-1."""
        log_weight, phi, L, projected = self._solved(sigma)
        alpha = (self.targets - phi @ torch.linalg.solve_triangular(L.mT, projected, upper=True)) / self.noise
        cotangent = alpha @ (alpha.mT @ phi) - self.targets.shape[1] * phi @ torch.cholesky_inverse(L)
        scale = math.sqrt(self.features.C_W)
        return log_weight, (scale * cotangent[..., self.features.biases :]).to(sigma.dtype)

    def _solved(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """y^T A^-1 y = (y^T y - y^T phi B^-1 phi^T y)/s^2 and det A = s^(2 (N - rows)) det B."""
        phi = self.features(sigma.double())
        B = phi.mT @ phi
        B.diagonal(dim1=1, dim2=2).add_(self.noise)
        L, regular = _factor(B)
        projected = torch.linalg.solve_triangular(L, phi.mT @ self.targets, upper=False)
        squares = (self.targets.square().sum() - projected.square().sum((1, 2))) / self.noise
        rest = (len(self.targets) - phi.shape[2]) * math.log(self.noise)
        return _log_density(squares, _log_det(L) + rest, self.targets, regular), phi, L, projected


def _factor(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The triangular factor, and which matrices are positive within rounding; the identity stands for the factor of others."""
    L, info = torch.linalg.cholesky_ex(matrix)
    pivots, diagonal = L.diagonal(dim1=1, dim2=2).square(), matrix.diagonal(dim1=1, dim2=2)
    regular = (info == 0) & (pivots > tolerance(matrix.dtype) * diagonal).all(1)
    if not bool(regular.all()):
        L = torch.where(regular[:, None, None], L, torch.eye(L.shape[1], dtype=L.dtype, device=L.device))
    return L, regular


def _log_det(L: Tensor) -> Tensor:
    return 2.0 * L.diagonal(dim1=1, dim2=2).log().sum(1)


def _log_density(squares: Tensor, log_det: Tensor, targets: Tensor, regular: Tensor) -> Tensor:
    N, outputs = targets.shape
    log_density = -0.5 * (squares + outputs * (log_det + N * math.log(2.0 * math.pi)))
    return torch.where(regular & log_density.isfinite(), log_density, -math.inf)
