"""What is stored of networks at initialization: tensors, sampled members and sums over groups of them."""

from __future__ import annotations

from collections.abc import Iterator

from rgflow.store.variables import Variable
from rgflow.tensors import TENSORS

_PAIR = ("layer", "sample_1", "sample_2")
_TRIPLE = ("layer", "sample_1", "sample_2", "sample_3")
_QUAD = ("layer", "sample_1", "sample_2", "sample_3", "sample_4")


def _variables() -> Iterator[Variable]:
    for tensor in TENSORS.values():
        yield Variable(tensor.name, tensor.dims, "f", tensor.long_name, tensor.equation)
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
    yield Variable("quadrature_error", ("layer",), "f", "largest estimated relative quadrature error", "")


VARIABLES = tuple(_variables())
