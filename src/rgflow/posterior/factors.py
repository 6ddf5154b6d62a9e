"""Factors of the covariance of a layer's preactivations, z = F u with white u, and the derivative through them.

Given the activations sigma (members, N, n) of the layer below, the preactivations of a neuron are N(0, G) with
G = C_b + C_W/n sigma sigma^T. Two factors F F^T = G serve: the lower triangular one, with a row of u per sample, and the
features [sqrt(C_b), sqrt(C_W/n) sigma] themselves, with a row of u per weight and one for the bias. Whichever has fewer
rows on the train samples is taken. Features need no inverse, and the metric may be singular.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rgflow.sampling.algebra import covariance_factor, generalized_inverse, inner, mix, tolerance


class Factor(Protocol):
    """How a layer above given activations is whitened."""

    def rows(self, samples: int) -> int:
        """Rows of u for so many samples."""

    def __call__(self, sigma: Tensor) -> Tensor:
        """F (members, N, rows) of the activations (members, N, n)."""

    def pull_back(self, F: Tensor, sigma: Tensor, u: Tensor, cotangents: tuple[Tensor, Tensor]) -> Tensor:
        """The cotangent of sigma, given those of z and u = F^T of that of z."""


@dataclass(frozen=True)
class Features:
    """F = [sqrt(C_b), sqrt(C_W/n) sigma]; without biases the first column is left out.

    Attributes
    ----------
    C_b, C_W
        Variances of a bias and of a weight (C_W/n).
    width
        n, of the layer below.
    """

    C_b: float
    C_W: float
    width: int

    def rows(self, samples: int) -> int:  # noqa: ARG002
        """Of u: the weights of a neuron and its bias."""
        return self.width + self.biases

    @property
    def biases(self) -> int:
        """How many columns are the bias's: one or none."""
        return int(self.C_b > 0.0)

    def __call__(self, sigma: Tensor) -> Tensor:
        """F, (members, N, rows)."""
        bias = sigma.new_full((*sigma.shape[:2], self.biases), math.sqrt(self.C_b))
        return torch.cat([bias, math.sqrt(self.C_W) * sigma], 2)

    def pull_back(self, F: Tensor, sigma: Tensor, u: Tensor, cotangents: tuple[Tensor, Tensor]) -> Tensor:  # noqa: ARG002
        """Cotangent of sigma: sqrt(C_W/n) zbar u^T without the bias's row."""
        return math.sqrt(self.C_W) * torch.bmm(cotangents[0], u[:, self.biases :].mT)


@dataclass(frozen=True)
class LowerTriangular:
    """F = L, lower triangular, L L^T = G. Columns of samples that the ones before determine are zero.

    Attributes
    ----------
    C_b, C_W
        Variances of a bias and of a weight (C_W/n).
    """

    C_b: float
    C_W: float

    def rows(self, samples: int) -> int:
        """Of u: one per sample."""
        return samples

    def metric(self, sigma: Tensor) -> Tensor:
        """G = C_b + C_W/n sigma . sigma, (members, N, N)."""
        return self.C_b + self.C_W * inner(sigma, sigma)

    def __call__(self, sigma: Tensor) -> Tensor:
        """L, (members, N, N) float64."""
        return covariance_factor(self.metric(sigma), tolerance(sigma.dtype))

    def pull_back(self, F: Tensor, sigma: Tensor, u: Tensor, cotangents: tuple[Tensor, Tensor]) -> Tensor:
        """Cotangent of sigma.

        From dL = L Phi(L^-1 dG L^-T), where Phi takes the lower triangle and half the diagonal, the cotangent of G is
        1/2 L^-T S L^-1 with S the symmetric matrix whose lower triangle is that of L^T Lbar = ubar u^T. Where samples
        depend on others L^- is the inverse on those that span them; that is exact if the dependence is the same for all
        members (repeated inputs), and any kick keeps a move exact.
        """
        lower = inner(cotangents[1], u).tril_()
        symmetric = lower + lower.tril(-1).mT
        inverse = generalized_inverse(F)
        return mix(self.C_W * (inverse.mT @ symmetric @ inverse), sigma)


def smaller_factor(C_b: float, C_W: float, width: int, samples: int) -> Features | LowerTriangular:
    """The factor with fewer rows of u, for a layer above ``width`` neurons: features if n + 1 <= N."""
    if width + 1 <= samples:
        return Features(C_b, C_W / width, width)
    return LowerTriangular(C_b, C_W / width)
