"""The recursions once more, as dense sums over ordered pairs of inputs on one grid: the oracle of the theory.

Nothing is shared with the package: derivatives of averages act on the Gaussian density (Stein), so every derivative of
sigma beyond the first and every special case of coinciding inputs is absent. For a few linearly independent inputs.
"""

from __future__ import annotations

from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from scipy.special import ndtr

PHI = 1.0 / np.sqrt(2.0 * np.pi)
FUNCTIONS = {
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "gelu": (lambda z: z * ndtr(z), lambda z: ndtr(z) + z * PHI * np.exp(-(z**2) / 2.0)),
}


class Grid:
    """Averages over N(0, K) on a tensor-product trapezoidal grid; u = K^-1 z is the score."""

    def __init__(self, name: str, K: Any, step: float = 0.28) -> None:
        line = np.arange(-8.5, 8.5 + step / 2, step)
        white = np.array(list(product(line, repeat=len(K)))).T
        self.weight = step ** len(K) * np.prod(PHI * np.exp(-(white**2) / 2.0), axis=0)
        root = np.linalg.cholesky(K)
        self.s, self.d = (function(root @ white) for function in FUNCTIONS[name])
        self.u = np.linalg.solve(root.T, white)
        self.Q = np.linalg.inv(K)

    def mean(self, *factors: Any) -> Any:
        """<f_a g_b ...> over all labels; each factor is (N, nodes)."""
        half = len(factors) // 2
        left, right = _products(self.weight, factors[:half]), _products(np.ones_like(self.weight), factors[half:])
        return np.tensordot(left, right, axes=(-1, -1))

    @cached_property
    def J(self) -> list[Any]:
        """J[p]_ab,ij = (1/2) <phi_a phi_b (u_i u_j - K^-1_ij)> for phi = sigma, sigma'."""
        return [
            0.5 * (self.mean(f, f, self.u, self.u) - np.multiply.outer(self.mean(f, f), self.Q))
            for f in (self.s, self.d)
        ]

    def fourth(self, f: Any, V: Any) -> Any:
        """sum <d^4 (f_a f_b)>_ijkl V_ijkl, the fourth Hermite polynomial of the score contracted with V per node."""
        u, Q = self.u, self.Q
        W = 2.0 * np.einsum("ijkl,ij->kl", V, Q) + 4.0 * np.einsum("ijkl,ik->jl", V, Q)
        constant = np.einsum("ijkl,ij,kl", V, Q, Q) + 2.0 * np.einsum("ijkl,ik,jl", V, Q, Q)
        quartic = np.einsum("ijkl,im,jm,km,lm->m", V, u, u, u, u, optimize=True)
        hermite = quartic - np.einsum("kl,km,lm->m", W, u, u) + constant
        return np.einsum("am,bm,m,m->ab", f, f, hermite, self.weight, optimize=True)

    def third(self, f: Any, T: Any) -> Any:
        """sum <d^3 (f_a f_b)>_ijk T_i(jk)."""
        u, Q = self.u, self.Q
        linear = np.einsum("ijk,jk->i", T, Q) + 2.0 * np.einsum("ijk,ij->k", T, Q)
        hermite = np.einsum("ijk,im,jm,km->m", T, u, u, u, optimize=True) - linear @ u
        return np.einsum("am,bm,m,m->ab", f, f, hermite, self.weight, optimize=True)


def _products(start: Any, factors: tuple[Any, ...]) -> Any:
    for factor in factors:
        start = start[..., None, :] * factor
    return start


def dense_theory(network: Any, inputs: Any) -> dict[str, Any]:
    """All tensors of the last layer of a plain network."""
    gram = inputs @ inputs.T / inputs.shape[1]
    zero2, zero4 = np.zeros(gram.shape), np.zeros(gram.shape * 2)
    t = dict.fromkeys(("G1", "Theta1"), zero2) | dict.fromkeys("VDFAB", zero4)
    t |= {"K": network.C_b[0] + network.C_W[0] * gram, "Theta": network.lambda_b[0] + network.lambda_W[0] * gram}
    for layer in range(1, network.depth):
        constants = (network.C_b[layer], network.C_W[layer], network.lambda_b[layer], network.lambda_W[layer])
        rho = network.widths[layer] / network.widths[layer - 1]
        t = _next(Grid(network.activation_of(layer).name, t["K"]), t, constants, rho)
    return t


def _next(g: Grid, t: dict[str, Any], constants: tuple[float, ...], rho: float) -> dict[str, Any]:
    Cb, CW, lb, lW = constants
    Theta, V, D, F, A, B = (t[name] for name in ("Theta", "V", "D", "F", "A", "B"))
    s, d = g.s, g.d
    ss, P = g.mean(s, s), g.mean(d, d)
    ssss, ssdd, dddd = g.mean(s, s, s, s), g.mean(s, s, d, d), g.mean(d, d, d, d)
    J0, J1 = g.J
    q = g.mean(s, d, g.u)
    JO = lW * J0 + CW * np.einsum("ab,abij->abij", Theta, J1)
    omega = lW * ss + CW * Theta * P
    ssO = lW * ssss + CW * np.einsum("abcd,cd->abcd", ssdd, Theta)
    OO = (
        lW**2 * ssss
        + lW * CW * (np.einsum("abcd,cd->abcd", ssdd, Theta) + np.einsum("cdab,ab->abcd", ssdd, Theta))
        + CW**2 * np.einsum("abcd,ab,cd->abcd", dddd, Theta, Theta)
    )
    S, S1 = (np.einsum("abij,ij->ab", J, t["G1"]) + g.fourth(f, V) / 8.0 for J, f in ((J0, s), (J1, d)))
    JD0, JDO = np.einsum("abij,ijcd,cd->abcd", J0, D, P), np.einsum("abij,ijcd,cd->abcd", JO, D, P)
    JDF = np.einsum("abij,ijab->ab", J1, D) + 2.0 * np.einsum("abij,iajb->ab", J1, F)
    return {
        "K": Cb + CW * ss,
        "Theta": lb + lW * ss + CW * P * Theta,
        "G1": rho * CW * S,
        "Theta1": rho * (lW * S + CW * (P * t["Theta1"] + Theta * S1 + JDF)),
        "V": CW**2 * (ssss - _outer(ss, ss) + rho * _sandwich(J0, V, J0)),
        "D": CW * (ssO - _outer(ss, omega) + rho * (_sandwich(J0, V, JO) + CW * JD0)),
        "A": OO
        - _outer(omega, omega)
        + rho * (_sandwich(JO, V, JO) + CW * (JDO + np.einsum("cdab->abcd", JDO)) + CW**2 * _outer(P, P) * A),
        "F": CW**2 * (np.einsum("abcd,cd->acbd", ssdd, Theta) + rho * np.einsum("aci,bdj,icjd->acbd", q, q, F)),
        "B": CW**2 * (np.einsum("abcd,ab,cd->acbd", dddd, Theta, Theta) + rho * np.einsum("ac,bd,acbd->acbd", P, P, B)),
    }


def dense_residual_theory(network: Any, inputs: Any, xi_1: float, xi_2: float) -> dict[str, Any]:
    """K, G1, T3, V of the last layer of a residual network."""
    gram = inputs @ inputs.T / inputs.shape[1]
    K, N = network.C_b[0] + network.C_W[0] * gram, len(gram)
    t = {"K": K, "G1": np.zeros((N,) * 2), "T3": np.zeros((N,) * 3), "V": np.zeros((N,) * 4)}
    for layer in range(1, network.depth):
        grid = Grid(network.activation_of(layer).name, t["K"])
        t = _next_residual(grid, t, xi_1**2 * network.C_b[layer], xi_1**2 * network.C_W[layer], xi_2)
    return t


def _next_residual(g: Grid, t: dict[str, Any], b: float, c: float, x: float) -> dict[str, Any]:
    K, T, V = t["K"], t["T3"], t["V"]
    ss, J0, q = g.mean(g.s, g.s), g.J[0], g.mean(g.s, g.s, g.u)
    qTJ = np.einsum("abi,ijk,cdjk->abcd", q, T, J0)
    mixed = (
        np.einsum("abij,ijcd->abcd", J0, V)
        + 2.0 * np.einsum("abij,ic,jd->abcd", J0, K, K)
        + np.einsum("abi,icd->abcd", q, T)
    )
    cov = g.mean(g.s, g.s, g.s, g.s) - _outer(ss, ss)
    S = np.einsum("abij,ij->ab", J0, t["G1"]) + g.fourth(g.s, V) / 8.0
    return {
        "K": b + c * ss + x**2 * K,
        "G1": c * (S + g.third(g.s, T) / 2.0) + x**2 * t["G1"],
        "T3": x**3 * T + c * x * (np.einsum("bci,ai->abc", q, K) + np.einsum("bcij,aij->abc", J0, T)),
        "V": c**2 * (cov + _sandwich(J0, V, J0) + qTJ + np.einsum("cdab->abcd", qTJ))
        + c * x**2 * (mixed + np.einsum("cdab->abcd", mixed))
        + x**4 * V,
    }


def _outer(f: Any, g: Any) -> Any:
    return np.einsum("ab,cd->abcd", f, g)


def _sandwich(left: Any, V: Any, right: Any) -> Any:
    return np.einsum("abij,ijkl,cdkl->abcd", left, V, right, optimize=True)
