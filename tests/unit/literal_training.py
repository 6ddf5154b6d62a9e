"""Order 1/n of training the slow way: explicit Kronecker deltas and one literal step after the other.

Output component and sample are one index, tensors have (n_L N)^4 entries, and the Taylor expansion of a step,

    z_x(t+1) = z_x - H_xa phi_a + 1/2 dH_xab phi_a phi_b - 1/6 ddI_xabc phi_a phi_b phi_c,
    H_xy(t+1) = H_xy - (dH_xyc + dH_yxc) phi_c + 1/2 (ddI_xycd + ddI_yxcd + 2 ddII_xycd) phi_c phi_d,
    dH_xab(t+1) = dH_xab - (ddI_xabc + ddII_xabc + ddII_axb..) phi_c,   phi = step kappa (z - y) on the train samples,

is iterated for the coefficients of z(t) in powers of what is random at initialization; averages come last. No eigenbasis,
no kernel in closed form, no sorting of components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rgflow.theory.learning.statistics import OutputTensors

Array = np.ndarray


def _combined(terms: dict[str, Array], n_L: int) -> Array:
    """Sum of arrays times two deltas; keys name the components of slots 0123, a comma, and the slots of the array."""
    delta, total = np.eye(n_L), 0.0
    for key, X in terms.items():
        deltas, slots = key.split(",")
        total = total + np.einsum(f"{deltas[:2]},{deltas[2:]},{slots}->iajbkcld", delta, delta, X)
    size = n_L * len(X)
    return np.asarray(total).reshape((size,) * 4)


def _pair(X: Array, n_L: int) -> Array:
    return np.kron(np.eye(n_L), X)


@dataclass
class Combined:
    """Statistics over the combined index, component first; ``train`` selects train samples."""

    tensors: OutputTensors
    n_L: int
    train_count: int

    def __post_init__(self) -> None:
        T, n = self.tensors, self.n_L
        self.K, self.G1, self.Theta, self.H1 = (_pair(X, n) for X in (T.K, T.G1, T.Theta, T.Theta1))
        self.HH = _combined({"ijkl,abcd": T.A, "ikjl,acbd": T.B, "iljk,adbc": T.B}, n)
        zzH = _combined({"ijkl,abcd": T.D, "ikjl,acbd": T.F, "iljk,adbc": T.F}, n)
        self.Hzz = zzH.transpose(2, 3, 0, 1)
        self.dHz = _combined({"iljk,abcd": T.P, "ijkl,abcd": T.Q, "ikjl,acbd": T.Q}, n)
        self.ddI = _combined({"ijkl,abcd": T.R, "ikjl,acdb": T.R, "iljk,adbc": T.R}, n)
        self.ddII = _combined({"ijkl,abcd": T.S, "ikjl,acbd": T.T, "iljk,adbc": T.U}, n)
        self.M = self.ddI + self.ddII + self.ddII.transpose(0, 2, 1, 3)
        N = len(T.K)
        self.train = np.concatenate([i * N + np.arange(self.train_count) for i in range(n)])


class Literal:
    """Coefficients of z(t) and H(t) after t steps, and their averages to order 1/n."""

    def __init__(self, at_start: Combined, targets: Array, step: Array) -> None:
        self.S, self.y, self.step = at_start, targets.T.ravel(), step  # step: (train, train), phi = step @ errors
        n, m = len(at_start.K), len(at_start.train)
        self.W, self.P = np.eye(n), np.eye(m)
        self.kicks = np.zeros((m, m))  # minus the sum of phi so far, as coefficients of the errors at the start
        self.H_linear = np.zeros((n, n, m, m))
        self.H_squared = np.zeros((n, m))
        self.by_dH_mean, self.by_dH_memory = np.zeros(n), np.zeros((n, n))
        self.H2 = np.zeros((n, n, m, m))
        self.by_ddH = np.zeros((n, m, m, m))
        self._averages_of_dH()

    def _averages_of_dH(self) -> None:
        S, A, y = self.S, self.S.train, self.y
        K_A, D = S.K[A], S.dHz[..., A]
        K_yy = S.K[np.ix_(A, A)] + np.outer(y, y)
        self.dH_ee = -np.einsum("wabe,f->wabef", D, y) - np.einsum("wabf,e->wabef", D, y)
        self.dH_eez = np.einsum("wabx,ef->wabefx", S.dHz, K_yy)
        self.dH_eez += np.einsum("wabe,fx->wabefx", D, K_A) + np.einsum("wabf,ex->wabefx", D, K_A)

    def advance(self) -> None:
        """One step of the coefficients; everything on the right is at the old time."""
        S, A = self.S, self.S.train
        phi = self.step @ self.P
        drift = S.Theta[:, A] @ self.step
        source = -np.einsum("xw,be->xwbe", np.eye(len(S.K)), phi)
        H_squared = -np.einsum("xbwd,bc,cwde->xe", S.HH[:, A][..., A], self.step, self.H_linear[A], optimize=True)
        by_dH = [self._dH_source(average, phi) for average in (self.dH_ee, self.dH_eez)]
        by_ddH = self._ddH_source(phi)
        self._advance_ntk(phi)
        self.H_squared += H_squared - drift @ self.H_squared[A]
        self.H_linear += source - np.einsum("xc,cwbe->xwbe", drift, self.H_linear[A])
        self.by_dH_mean += by_dH[0] - drift @ self.by_dH_mean[A]
        self.by_dH_memory += by_dH[1] - drift @ self.by_dH_memory[A]
        self.by_ddH += by_ddH - np.einsum("xc,cefg->xefg", drift, self.by_ddH[A])
        self.W = self.W - drift @ self.W[A]
        self.kicks -= phi
        self.P = self.P - S.Theta[np.ix_(A, A)] @ phi

    def _dH_source(self, average: Array, phi: Array) -> Array:
        A = self.S.train
        moved = average[:, A][:, :, A], average[A][:, :, A]
        change = np.einsum("xabef...,be,af->x...", moved[0], self.kicks, phi, optimize=True)
        change = change + np.einsum("axbef...,be,af->x...", moved[1], self.kicks, phi, optimize=True)
        return -change + np.einsum("xabef...,ae,bf->x...", moved[0], phi, phi, optimize=True) / 2

    def _ddH_source(self, phi: Array) -> Array:
        S, A = self.S, self.S.train
        M, ddI = (X[:, A][:, :, A][..., A] for X in (S.M, S.ddI))
        moved = np.einsum("xabc,ce,af,bg->xefg", M, self.kicks, phi, phi, optimize=True) / 2
        curved = np.einsum("xabc,ae,bf,cg->xefg", ddI, phi, phi, phi, optimize=True) / 6
        return -np.einsum("xaef,ag->xefg", self.H2[:, A], phi) + moved - curved

    def _advance_ntk(self, phi: Array) -> None:
        S, A = self.S, self.S.train
        M, ddI, ddII = (X[:, :, A][..., A] for X in (S.M, S.ddI, S.ddII))
        self.H2 -= np.einsum("xybc,ce,bf->xyef", M + M.swapaxes(0, 1), self.kicks, phi, optimize=True)
        curvature = ddI + ddI.swapaxes(0, 1) + 2 * ddII
        self.H2 += np.einsum("xybc,be,cf->xyef", curvature, phi, phi, optimize=True) / 2

    def mean(self) -> Array:
        """Coefficient of 1/n of E[z]."""
        S, A, y = self.S, self.S.train, self.y
        K_A = S.K[np.ix_(A, A)]
        cubes = np.einsum("e,f,g->efg", y, y, y)
        cubes += sum(np.einsum("ef,g->efg", K_A, y).transpose(order) for order in ((0, 1, 2), (0, 2, 1), (2, 0, 1)))
        linear = -np.einsum("xwbe,wb,e->x", self.H_linear, S.H1[:, A], y)
        return linear - self.H_squared @ y + self.by_dH_mean - np.einsum("xefg,efg->x", self.by_ddH, cubes)

    def memory(self) -> Array:
        """n E[(z_y(t) - its infinite-width evolution) z_x(0)], (y, x)."""
        S, A, y = self.S, self.S.train, self.y
        K_A, K_yy = S.K[A], S.K[np.ix_(A, A)] + np.outer(y, y)
        H_ez = S.Hzz[:, A][:, :, A] + np.einsum("wb,ex->wbex", S.H1[:, A], K_A)
        fourth = sum(
            np.einsum("ex,fg->efgx", K_A, K_yy).transpose(*order, 3) for order in ((0, 1, 2), (1, 0, 2), (1, 2, 0))
        )
        memory = np.einsum("ywbe,wbex->yx", self.H_linear, H_ez) + self.H_squared @ K_A + self.by_dH_memory
        return memory + np.einsum("yefg,efgx->yx", self.by_ddH, fourth)

    def ntk(self) -> Array:
        """Coefficient of 1/n of E[H]."""
        S, A, y = self.S, self.S.train, self.y
        dH = S.dHz[:, :, A][..., A]
        moved = np.einsum("xybe,be->xy", dH + dH.swapaxes(0, 1), self.kicks)
        return S.H1 + moved + np.einsum("xyef,ef->xy", self.H2, S.K[np.ix_(A, A)] + np.outer(y, y))


def literal_covariance(first: Literal, second: Literal) -> Array:
    """Coefficient of 1/n of Cov(z_x(t), z_y(t')), (x, y)."""
    S, A, y = first.S, first.S.train, first.y
    HH = S.HH[:, A][..., A]
    K_yy = S.K[np.ix_(A, A)] + np.outer(y, y)
    both = np.einsum("xwbe,wbvd,yvdf,ef->xy", first.H_linear, HH, second.H_linear, K_yy, optimize=True)
    return first.W @ S.G1 @ second.W.T + first.W @ second.memory().T + first.memory() @ second.W.T + both


def random_tensors(N: int, seed: int) -> OutputTensors:
    """Tensors of generic numbers that have the symmetries of the statistics and a well-conditioned NTK."""
    rng = np.random.default_rng(seed)

    def symmetric(*orders: str) -> Array:
        """A random array averaged over the group that these permutations of its slots generate."""
        group = {tuple(range(len(orders[0])))}
        while True:
            more = {tuple(g["abcd".index(c)] for c in order) for g in group for order in orders} | group
            if more == group:
                break
            group = more
        X = rng.normal(size=(N,) * len(orders[0]))
        return sum(X.transpose(g) for g in group) / len(group)

    def kernel() -> Array:
        x = rng.normal(size=(N, 3 * N))
        return x @ x.T / (3 * N) + 0.3

    pairs, swap = ("bacd", "abdc"), "cdab"
    return OutputTensors(
        K=kernel(),
        G1=symmetric("ba"),
        Theta=kernel(),
        Theta1=symmetric("ba"),
        D=symmetric(*pairs),
        F=symmetric(swap),
        A=symmetric(*pairs, swap),
        B=symmetric("badc", swap),
        P=symmetric("acbd"),
        Q=symmetric("abcd"),
        R=symmetric("abdc"),
        S=symmetric("badc"),
        T=symmetric(swap),
        U=symmetric(swap),
    )
