"""Loops over neurons and small linear algebra of the marginal sampler, compiled for the CPU.

They take the members one by one, so that the rows of a member stay in the nearest cache from one formula to the next, and
the result of a member depends on its own arrays alone. Each has a twin in torch, which runs on other devices and for many
inputs; the tests compare the two.

All of it is in one file, because the compiler looks at the age of a function's own file to tell whether it has to compile
again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

Array = Any  # np.ndarray of float32 or float64
OfValue = tuple[float, float, float, float]  # coefficients of sigma' as a function of sigma
HiddenArrays = tuple[Array, Array, Array, OfValue]  # u, sigma, sigma' (empty, if it follows from sigma), how it follows
Loop = TypeVar("Loop", bound=Callable[..., Any])


def _compiled(function: Loop) -> Loop:
    """Compile when first called and keep the machine code on disk, if there is a place for it.

    Sums may be reordered, which makes vector code of them; infinities and NaNs stay what they are. Private functions are
    inlined.
    """
    options = {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy", "nogil": True}
    options["forceinline"] = function.__name__.startswith("_")
    compiler: Any = numba.njit
    try:
        return cast(Loop, compiler(cache=True, **options)(function))
    except RuntimeError:  # nowhere to write
        return cast(Loop, compiler(**options)(function))


@_compiled
def mix(coefficients: Array, rows: Array, add: bool, out: Array) -> None:
    """out_a = sum_b c_ab rows_b, or += if ``add``: arrays (members, A, B), (members, B, n) and (members, A, n)."""
    for k in range(len(rows)):
        _mix(coefficients, k, rows, k, add, out, k)


@_compiled
def inner(left: Array, right: Array, out: Array) -> None:
    """out_ab = left_a . right_b, arrays (members, A, n), (members, B, n) and (members, A, B)."""
    for k in range(len(left)):
        for a in range(left.shape[1]):
            _row_products(left, k, a, right, k, right.shape[1], out, k)


@_compiled
def law(
    sigma: Array, C_b: float, C_W: float, lambda_b: float, lambda_W: float, tol: float, out: tuple[Array, ...]
) -> None:
    """out = rate, metric and factor of the layer above activations sigma (members, N, n), see
    :class:`rgflow.sampling.forward.LayerLaw`; C_W and lambda_W come divided by n."""
    rate, metric, factor = out
    members, N, _ = sigma.shape
    for k in range(members):
        _gram(sigma, k, metric, k)
        for a in range(N):
            for b in range(N):
                rate[k, a, b] = lambda_b + lambda_W * metric[k, a, b]
                metric[k, a, b] = C_b + C_W * metric[k, a, b]
        _factor(metric, k, tol, factor, k)


@_compiled
def covariance_factor(matrix: Array, tol: float, out: Array) -> None:
    """out = L with L L^T = matrix (members, N, N); columns of conditional variance not above tol are zero."""
    for k in range(len(matrix)):
        _factor(matrix, k, tol, out, k)


@_compiled
def generalized_inverse(factor: Array, out: Array) -> None:
    """out = L^- (members, N, N): the inverse of L on the variables with a nonzero pivot, zero elsewhere."""
    members, N, _ = factor.shape
    for k in range(members):
        for b in range(N):
            for a in range(b):
                out[k, a, b] = 0.0
            for a in range(b, N):
                rest = 1.0 if a == b else 0.0
                for c in range(b, a):
                    rest -= factor[k, a, c] * out[k, c, b]
                spans = factor[k, a, a] != 0.0 and factor[k, b, b] != 0.0
                out[k, a, b] = rest / factor[k, a, a] if spans else 0.0


@_compiled
def cotangents_below(
    hidden: HiddenArrays,
    draws: tuple[Array, Array],
    cotangents: tuple[Array, Array],
    whitening: Array,
    variances: tuple[float, float],
    tol: float,
    out: tuple[Array, Array],
) -> None:
    """out = u . Delta and Delta . Delta of a hidden layer: see :func:`rgflow.sampling.backward.cotangents_below`.

    Parameters
    ----------
    hidden
        The layer.
    draws
        epsilon (members, M, n) and e (members, M).
    cotangents
        u . Delta (members, N, M) and Delta . Delta (members, M, M) of the layer above.
    whitening
        L^- (members, N, N) of the layer above.
    variances
        Of a bias and of a weight.
    tol
        Of the factor of Delta . Delta.
    """
    u, sigma, given_slope, of_value = hidden
    (noise, bias_noise), (overlap, squares), (overlap_out, squares_out) = draws, cotangents, out
    (members, N, n), M, rows = sigma.shape, noise.shape[1], squares_out.shape[1]
    scale, drawn, coefficients = np.empty((1, M, M)), np.empty((1, M, N)), np.empty((1, M, N))
    slope, v, delta = np.empty((1, N, n), u.dtype), np.empty((1, M, n), u.dtype), np.empty((1, rows, n), u.dtype)
    for k in range(members):
        _factor(squares, k, tol, scale, 0)
        for m in range(M):
            _row_products(noise, k, m, sigma, k, N, drawn, 0)
        _coefficients(k, scale, drawn, bias_noise, overlap, whitening, variances, coefficients)
        _mix(scale, 0, noise, k, False, v, 0)
        _mix(coefficients, 0, sigma, k, True, v, 0)
        _slopes(k, sigma, given_slope, of_value, slope)
        for row in range(rows):
            m, a = row * M // rows, row % N
            for i in range(n):
                delta[0, row, i] = v[0, m, i] * slope[0, a, i]
        for a in range(N):
            _row_products(u, k, a, delta, 0, rows, overlap_out, k)
        _gram(delta, 0, squares_out, k)


@_compiled
def _coefficients(
    k: int,
    scale: Array,
    drawn: Array,
    bias_noise: Array,
    overlap: Array,
    whitening: Array,
    variances: tuple[float, float],
    out: Array,
) -> None:
    """The factor c in ``scale`` becomes sqrt(C_W/n) c, epsilon . sigma in ``drawn`` the bracket of A, and out = C_W/n A L^-."""
    root_b, root_W = np.sqrt(variances[0]), np.sqrt(variances[1])
    _, M, N = out.shape
    for m in range(M - 1, -1, -1):  # downwards: row m takes the rows before it as they were drawn
        bias = 0.0
        for other in range(m + 1):
            bias += root_b * scale[0, m, other] * bias_noise[k, other]
            scale[0, m, other] *= root_W
        for b in range(N):
            out[0, m, b] = 0.0
            drawn[0, m, b] = scale[0, m, m] * drawn[0, m, b] + bias
            for other in range(m):
                drawn[0, m, b] += scale[0, m, other] * drawn[0, other, b]
        for a in range(N):
            seen = overlap[k, a, m]
            for b in range(a + 1):
                seen -= whitening[k, a, b] * drawn[0, m, b]
            for b in range(a + 1):
                out[0, m, b] += variances[1] * seen * whitening[k, a, b]


@_compiled
def neuron_sums(hidden: HiddenArrays, whitening: Array, slope_sums: Array, pair_sums: Array, X: Array) -> None:
    """Sums over the neurons of a hidden layer for its input pairs a <= b, members last.

    Parameters
    ----------
    hidden
        The layer.
    whitening
        L^- (members, N, N) of the layer above, which makes w of sigma.
    slope_sums
        (P, members): sigma'_a sigma'_b.
    pair_sums
        (P, 2 P, members): these times u_c u_d, then times w_c w_d, c <= d.
    X
        (N, N, N, members): sigma'_a u_c w_e.
    """
    u, sigma, given_slope, of_value = hidden
    members, N, n = u.shape
    P = N * (N + 1) // 2
    slope, whitened = np.empty((1, N, n), u.dtype), np.empty((1, N, n), u.dtype)
    slope_pairs, pairs = np.empty((1, P, n), u.dtype), np.ones((1, 2 * P + 1, n), u.dtype)  # the last row remains 1
    slope_u, sums = np.empty((1, N, n), u.dtype), np.empty((1, P, 2 * P + 1))
    for k in range(members):
        _slopes(k, sigma, given_slope, of_value, slope)
        _mix(whitening, k, sigma, k, False, whitened, 0)
        _pair_products(slope, 0, slope_pairs, 0)
        _pair_products(u, k, pairs, 0)
        _pair_products(whitened, 0, pairs, P)
        for p in range(P):
            _row_products(slope_pairs, 0, p, pairs, 0, 2 * P + 1, sums, 0)
            slope_sums[p, k] = sums[0, p, 2 * P]
            for q in range(2 * P):
                pair_sums[p, q, k] = sums[0, p, q]
        for a in range(N):
            _row_times(slope, a, u, k, slope_u)
            for c in range(N):
                _row_products(slope_u, 0, c, whitened, 0, N, sums, 0)
                for e in range(N):
                    X[a, c, e, k] = sums[0, c, e]


@_compiled
def next_form(
    sums: tuple[Array, Array, Array],
    rate: Array,
    C_W: float,
    form: tuple[Array, Array],
    out: tuple[Array, Array, Array],
) -> None:
    """The mean NTK and its form one layer on, members last.

    Parameters
    ----------
    sums
        Of :func:`neuron_sums`.
    rate
        (P, members), of the layer above.
    C_W
        Variance of a weight.
    form
        alpha (P, members) and beta (P, N, N, members) of the hidden layer.
    out
        Mean, alpha and beta of the layer above.
    """
    (slope_sums, pair_sums, X), (alpha, beta), (mean_out, alpha_out, beta_out) = sums, form, out
    N, members = len(X), X.shape[3]
    beta_X = np.empty((N, N, members))
    p = 0
    for a in range(N):
        for b in range(a, N):
            _matmul(beta[p], X[b], beta_X)
            for k in range(members):
                mean_out[p, k] = alpha[p, k] * slope_sums[p, k]
            _next_beta(alpha[p], beta[p], pair_sums[p], X[a], beta_X, mean_out[p], beta_out[p])
            for k in range(members):
                mean_out[p, k] = rate[p, k] + C_W * mean_out[p, k]
                alpha_out[p, k] = mean_out[p, k]
            for c in range(N):
                for d in range(N):
                    for k in range(members):
                        beta_out[p, c, d, k] *= C_W**2
                for k in range(members):
                    alpha_out[p, k] -= beta_out[p, c, c, k]
            p += 1


@_compiled
def _next_beta(alpha: Array, beta: Array, pair_sums: Array, X: Array, beta_X: Array, excess: Array, out: Array) -> None:
    """For one pair out = alpha sum sigma' sigma' w w^T + X^T beta X, and excess += beta . sum sigma' sigma' u u^T."""
    N, members = len(beta), len(alpha)
    P = N * (N + 1) // 2
    for c in range(N):
        for d in range(N):
            low, high = min(c, d), max(c, d)
            q = low * (2 * N - low - 1) // 2 + high
            for k in range(members):
                excess[k] += beta[c, d, k] * pair_sums[q, k]
                out[c, d, k] = alpha[k] * pair_sums[P + q, k]
            for e in range(N):
                for k in range(members):
                    out[c, d, k] += X[e, c, k] * beta_X[e, d, k]


@_compiled
def _matmul(left: Array, right: Array, out: Array) -> None:
    """Matrix products (N, N, members)."""
    N, _, members = out.shape
    for e in range(N):
        for d in range(N):
            for k in range(members):
                out[e, d, k] = left[e, 0, k] * right[0, d, k]
            for f in range(1, N):
                for k in range(members):
                    out[e, d, k] += left[e, f, k] * right[f, d, k]


# Parts of the above for one member. An index after an array says which of its members is meant.


@_compiled
def _mix(c: Array, i_c: int, rows: Array, i_rows: int, add: bool, out: Array, i_out: int) -> None:
    """out_a = sum_b c_ab rows_b, or += if ``add``, four rows at a time."""
    _, A, B = c.shape
    n, number = rows.shape[2], rows.dtype.type
    for a in range(A):
        b, keep = 0, add
        while b + 4 <= B:
            c_0, c_1 = number(c[i_c, a, b]), number(c[i_c, a, b + 1])
            c_2, c_3 = number(c[i_c, a, b + 2]), number(c[i_c, a, b + 3])
            for i in range(n):
                mixed = (
                    c_0 * rows[i_rows, b, i]
                    + c_1 * rows[i_rows, b + 1, i]
                    + c_2 * rows[i_rows, b + 2, i]
                    + c_3 * rows[i_rows, b + 3, i]
                )
                out[i_out, a, i] = out[i_out, a, i] + mixed if keep else mixed
            b, keep = b + 4, True
        while b < B:
            c_0 = number(c[i_c, a, b])
            for i in range(n):
                mixed = c_0 * rows[i_rows, b, i]
                out[i_out, a, i] = out[i_out, a, i] + mixed if keep else mixed
            b, keep = b + 1, True


@_compiled
def _gram(rows: Array, i_rows: int, out: Array, i_out: int) -> None:
    """out_ab = rows_a . rows_b."""
    for a in range(rows.shape[1]):
        _row_products(rows, i_rows, a, rows, i_rows, a + 1, out, i_out)
        for b in range(a):
            out[i_out, b, a] = out[i_out, a, b]


@_compiled
def _row_products(left: Array, i_left: int, a: int, right: Array, i_right: int, B: int, out: Array, i_out: int) -> None:
    """out_ab = left_a . right_b for b < B, four columns at a time."""
    n, zero = right.shape[2], left.dtype.type(0)
    b = 0
    while b + 4 <= B:
        sum_0 = sum_1 = sum_2 = sum_3 = zero
        for i in range(n):
            factor = left[i_left, a, i]
            sum_0 += factor * right[i_right, b, i]
            sum_1 += factor * right[i_right, b + 1, i]
            sum_2 += factor * right[i_right, b + 2, i]
            sum_3 += factor * right[i_right, b + 3, i]
        out[i_out, a, b], out[i_out, a, b + 1] = sum_0, sum_1
        out[i_out, a, b + 2], out[i_out, a, b + 3] = sum_2, sum_3
        b += 4
    while b < B:
        sum_0 = zero
        for i in range(n):
            sum_0 += left[i_left, a, i] * right[i_right, b, i]
        out[i_out, a, b] = sum_0
        b += 1


@_compiled
def _factor(matrix: Array, i_matrix: int, tol: float, out: Array, i_out: int) -> None:
    """:func:`covariance_factor` of one member."""
    N = matrix.shape[1]
    for a in range(N):
        for b in range(a + 1):
            rest = matrix[i_matrix, a, b]
            for c in range(b):
                rest -= out[i_out, a, c] * out[i_out, b, c]
            root = out[i_out, b, b]
            if b < a:
                out[i_out, a, b] = rest / root if root != 0.0 else rest * 0.0  # a NaN stays
            else:
                out[i_out, a, a] = np.sqrt(rest) if rest > tol * matrix[i_matrix, a, a] else rest * 0.0
        for b in range(a + 1, N):
            out[i_out, a, b] = 0.0


@_compiled
def _pair_products(rows: Array, i_rows: int, out: Array, first: int) -> None:
    """rows_c rows_d of the pairs c <= d, as the rows of member 0 from ``first`` on."""
    _, N, n = rows.shape
    p = first
    for c in range(N):
        for d in range(c, N):
            for i in range(n):
                out[0, p, i] = rows[i_rows, c, i] * rows[i_rows, d, i]
            p += 1


@_compiled
def _row_times(left: Array, a: int, right: Array, i_right: int, out: Array) -> None:
    """Row a of member 0 times each row on the right, as member 0."""
    _, N, n = right.shape
    for c in range(N):
        for i in range(n):
            out[0, c, i] = left[0, a, i] * right[i_right, c, i]


@_compiled
def _slopes(k: int, sigma: Array, slope: Array, of_value: OfValue, out: Array) -> None:
    """out = sigma' of member k, (1, N, n)."""
    _, N, n = out.shape
    number = sigma.dtype.type
    for a in range(N):
        if slope.size > 0:
            for i in range(n):
                out[0, a, i] = slope[k, a, i]
        else:
            step, rest = number(of_value[0]), number(of_value[1])
            first, second = number(of_value[2]), number(of_value[3])
            for i in range(n):
                value = sigma[k, a, i]
                out[0, a, i] = (step if value > 0.0 else number(0.0)) + rest + value * (first + second * value)
