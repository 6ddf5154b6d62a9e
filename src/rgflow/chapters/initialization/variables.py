"""What is stored of networks at initialization: tensors, sampled members and sums over groups of them."""

from __future__ import annotations

from collections.abc import Iterator

from rgflow.store.variables import Variable

_PAIR = ("layer", "sample_1", "sample_2")
_TRIPLE = ("layer", "sample_1", "sample_2", "sample_3")
_QUAD = ("layer", "sample_1", "sample_2", "sample_3", "sample_4")


def _variables() -> Iterator[Variable]:
    yield Variable("K", _PAIR, "f", "kernel", "theory: K' = C_b + C_W <s_1 s_2>_K; ensemble: E[z_1 z_2]")
    yield Variable("G1", _PAIR, "f", "next-to-leading-order metric", "E[z_1 z_2] = K + G1/n_{l-1} + O(1/n^2)")
    yield Variable(
        "V", _QUAD, "f", "four-point vertex", "E[z_i1 z_i2 z_j3 z_j4] - G_12 G_34 = V_(12)(34)/n_{l-1}, i != j"
    )
    yield Variable(
        "V6",
        ("layer", "sample_1"),
        "f",
        "connected six-point correlator of one input",
        "E[z_i1^2 z_j1^2 z_k1^2]_c = V6_1/n_{l-1}^2, i, j, k different",
    )
    yield Variable(
        "T3",
        _TRIPLE,
        "f",
        "three-point correlator of a residual network",
        "E[z_i1 z_j2 z_j3] = T3_1(23)/n, i != j",
    )
    yield Variable("Theta", _PAIR, "f", "NTK mean", "theory: infinite-width NTK; ensemble: E[H_ii;12]")
    yield Variable(
        "Theta1", _PAIR, "f", "next-to-leading-order NTK mean", "E[H_12] = Theta + Theta1/n_{l-1} + O(1/n^2)"
    )
    yield Variable(
        "D", _QUAD, "f", "NTK-preactivation cross correlation D", "E[z_i1 z_i2 (H_jj;34 - E H)] = D_1234/n_{l-1}"
    )
    yield Variable("F", _QUAD, "f", "NTK-preactivation cross correlation F", "E[z_i1 z_j2 H_ij;34] = F_1324/n_{l-1}")
    yield Variable("A", _QUAD, "f", "NTK variance A", "Cov(H_ii;12, H_jj;34) = A_(12)(34)/n_{l-1}")
    yield Variable("B", _QUAD, "f", "NTK variance B", "E[H_ij;12 H_ij;34] = B_1324/n_{l-1}")
    yield Variable(
        "preactivation", ("member", "layer", "output_1", "sample_1"), "f", "preactivations of one network", "z_{i;1}"
    )
    yield Variable(
        "ntk", ("member", "layer", "output_1", "output_2", "sample_1", "sample_2"), "f", "NTK of one network", "H_ij;12"
    )
    yield Variable("mean_G", _PAIR, "f", "group mean of the metric", "mean of G_12 = C_b + C_W/n sum_j s_j1 s_j2")
    yield Variable("mean_GG", _QUAD, "f", "group mean", "mean of G_12 G_34")
    yield Variable("mean_GGG", ("layer", "sample_1"), "f", "group mean, one input", "mean of G_11^3")
    yield Variable(
        "mean_z", ("layer", "sample_1"), "f", "group mean of the skip connection", "mean of xi_2/n sum_i z_i1"
    )
    yield Variable("mean_zG", _TRIPLE, "f", "group mean", "mean of (xi_2/n sum_i z_i1) G_23")
    yield Variable("mean_zG_same", _TRIPLE, "f", "group mean, equal neurons", "mean of Cov_i(xi_2 z_i1, G_i23)/(n - 1)")
    yield Variable("mean_GG_same", _QUAD, "f", "group mean, equal neurons", "mean of Cov_i(G_i12, G_i34)/(n - 1)")
    yield Variable("mean_H", _PAIR, "f", "group mean of the NTK", "mean of H_ii;12")
    yield Variable("mean_GH", _QUAD, "f", "group mean", "mean of G_12 H_ii;34")
    yield Variable("mean_zzH", _QUAD, "f", "group mean, slots of F", "mean of z_i1 z_j2 H_ij;34")
    yield Variable("mean_H11", _PAIR, "f", "group mean of the NTK of output 1", "mean of H_11;12")
    yield Variable("mean_H22", _PAIR, "f", "group mean of the NTK of output 2", "mean of H_22;12")
    yield Variable("mean_H11H22", _QUAD, "f", "group mean", "mean of H_11;12 H_22;34")
    yield Variable("mean_H12H12", _QUAD, "f", "group mean, slots of B", "mean of H_12;12 H_12;34")
    for name, kind, equation in (
        ("P", "dNTK-preactivation correlation", "E[dH_ijj;123 z_i4] = P_1234/n_{l-1}"),
        ("Q", "dNTK-preactivation correlation", "E[dH_iij;123 z_j4] = Q_1234/n_{l-1}"),
        ("R", "mean of the first ddNTK", "E[ddI_iijj;1234] = R_1234/n_{l-1}"),
        ("S", "mean of the second ddNTK", "E[ddII_iijj;1234] = S_1234/n_{l-1}"),
        ("T", "mean of the second ddNTK", "E[ddII_ijij;1234] = T_1324/n_{l-1}"),
        ("U", "mean of the second ddNTK", "E[ddII_ijji;1234] = U_1423/n_{l-1}"),
    ):
        yield Variable(name, _QUAD, "f", kind, f"{equation}, i != j")
    yield Variable("quadrature_error", ("layer",), "f", "largest estimated relative quadrature error", "")


VARIABLES = tuple(_variables())
