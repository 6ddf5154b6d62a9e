"""What the particles of an island say of all samples: moments of the outputs and of the kernel of the last hidden layer.

Given u the outputs are Gaussian, f = M y with M = Ghat_.A (Ghat_AA + s^2)^-1 in the mean, with covariance
C = Ghat - M Ghat_A. in each component: these are averaged, outputs are never sampled. The likelihood depends on the train rows
of u alone, so that under the posterior the test rows are still white; they are drawn here, once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rgflow.posterior.draws import TEST_ROWS
from rgflow.posterior.factors import LowerTriangular
from rgflow.posterior.layers import Rows
from rgflow.posterior.problem import Problem, kernel_numbers


@dataclass(frozen=True, eq=False)
class Outputs:
    """Moments over particles, float64, on samples train then test.

    Attributes
    ----------
    mean
        E f (N, n_L).
    second
        E f f (n_L, n_L, N, N).
    kernel
        E Ghat (N, N).
    """

    mean: Tensor
    second: Tensor
    kernel: Tensor


def output_moments(problem: Problem, u: Rows, weights: Tensor, label: int | str) -> Outputs:
    """Weighted moments of particles; the test rows are those of the island ``label``."""
    N, n_L = len(problem.task.inputs), problem.targets.shape[1]
    zeros = problem.targets.new_zeros
    mean, second, kernel, spread = zeros(N * n_L), zeros(N * n_L, N * n_L), zeros(N, N), zeros(N, N)
    counted = weights > 0.0
    arrays = [array[counted] for array in (*with_test_rows(problem, u, label), weights)]
    for *part, W in problem.parts(arrays, kernel_numbers(problem.network, N)):
        Ghat = hidden_kernels(problem, part)
        m, V = given_kernel(problem, Ghat)
        mean += W @ m
        second += m.T @ (W[:, None] * m)
        kernel += torch.einsum("p,pab->ab", W, Ghat)
        rows = (W.sqrt()[:, None, None] * V).flatten(0, 1)
        spread += rows.T @ rows
    pairs = second.view(n_L, N, n_L, N).transpose(1, 2)
    pairs.diagonal().add_((kernel - spread)[..., None])  # covariance given u, the same in every component
    return Outputs(mean.view(n_L, N).T, pairs, kernel)


def mean_kernel(problem: Problem, u: Rows, label: int | str) -> Tensor:
    """E Ghat (N, N) of particles with equal weights."""
    N = len(problem.task.inputs)
    parts = problem.parts(with_test_rows(problem, u, label), kernel_numbers(problem.network, N))
    total = sum((hidden_kernels(problem, part).sum(0) for part in parts), problem.targets.new_zeros(N, N))
    return total / len(u[0])


def with_test_rows(problem: Problem, u: Rows, label: int | str) -> Rows:
    """u on all samples: white noise below the train rows, in layers with a row per sample."""
    stream = problem.draws.stream(label, TEST_ROWS)
    full = []
    for layer, (rows, width) in zip(u, problem.all.shapes(), strict=True):
        test = stream.normals((len(layer), rows - layer.shape[1], width), layer.dtype)
        full.append(torch.cat([layer, test], 1))
    return full


def hidden_kernels(problem: Problem, u: Rows) -> Tensor:
    """Ghat (particles, N, N) of particles with all their rows."""
    C_b, C_W, *_ = problem.network.hyperparameters(problem.network.depth)
    return LowerTriangular(C_b, C_W / problem.network.widths[-2]).metric(problem.all.last(u))


def given_kernel(problem: Problem, Ghat: Tensor) -> tuple[Tensor, Tensor]:
    """M y (particles, n_L N) and V (particles, N_A, N) with V^T V = M Ghat_A., given the kernels."""
    train = Ghat[:, : problem.task.train_count]
    A = train[:, :, : problem.task.train_count].clone()
    A.diagonal(dim1=1, dim2=2).add_(problem.inference.noise)
    L, _ = torch.linalg.cholesky_ex(A)  # where w > 0 there is one
    V = torch.linalg.solve_triangular(L, train, upper=False)
    whitened = torch.linalg.solve_triangular(L, problem.targets.expand(len(A), -1, -1), upper=False)
    return (whitened.mT @ V).flatten(1), V
