"""The tensors of networks at initialization, one record each: all that other rooms need to know of one.

The registry of stored variables, the choices of ``tensors``, what recursions and estimators are shaped like, and what is
compared, drawn and labelled derive from these records. A new tensor is its record here, its recursion (a function whose
parameters are named after what it reads) and, to be sampled, its estimator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Permutation = tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """One tensor of layer l, for N inputs.

    Attributes
    ----------
    name
        Name in code and store.
    symbol
        Mathtext for figures and tables.
    legs
        Number of inputs that label a component.
    long_name, equation
        What it is in a few words, and its definition, normalization included.
    power
        Power of n_{l-1} that the connected correlator is multiplied with (of n_{l-1} - the coefficient - for corrections).
    symmetries
        Generators of the permutations of the legs that leave it unchanged.
    next_order
        Name of the tensor that is its coefficient of 1/n_{l-1}, if that is known.
    architectures, vanishes_in
        Names of the architectures of which theory knows it, and where it is zero.
    chapter
        Where it belongs: "initialization" or "dntk".
    """

    name: str
    symbol: str
    legs: int
    long_name: str
    equation: str
    power: int = 1
    symmetries: tuple[Permutation, ...] = ()
    next_order: str | None = None
    architectures: tuple[str, ...] = ("plain",)
    vanishes_in: tuple[str, ...] = ()
    chapter: str = "initialization"

    @property
    def dims(self) -> tuple[str, ...]:
        """Dimensions in datasets: the layer and the legs."""
        return ("layer", *leg_names(self.legs))


def leg_names(count: int) -> tuple[str, ...]:
    """Names of the dims of a tensor with ``count`` legs."""
    return tuple(f"sample_{leg}" for leg in range(1, count + 1))


_BOTH = ("plain", "residual")
_SWAP = ((1, 0),)
_FIRST, _SECOND, _EXCHANGE = (1, 0, 2, 3), (0, 1, 3, 2), (2, 3, 0, 1)  # within a pair of legs; of the pairs

_RECORDS = (
    Tensor(
        "K",
        "K",
        2,
        "kernel",
        "theory: K' = C_b + C_W <s_1 s_2>_K; ensemble: E[z_1 z_2]",
        power=0,
        symmetries=_SWAP,
        next_order="G1",
        architectures=_BOTH,
    ),
    Tensor(
        "G1",
        "G^{(1)}",
        2,
        "next-to-leading-order metric",
        "E[z_1 z_2] = K + G1/n_{l-1} + O(1/n^2)",
        symmetries=_SWAP,
        architectures=_BOTH,
    ),
    Tensor(
        "T3",
        "T",
        3,
        "three-point correlator of a residual network",
        "E[z_i1 z_j2 z_j3] = T3_1(23)/n, i != j",
        symmetries=((0, 2, 1),),
        architectures=("residual",),
        vanishes_in=("plain",),
    ),
    Tensor(
        "V",
        "V",
        4,
        "four-point vertex",
        "E[z_i1 z_i2 z_j3 z_j4] - G_12 G_34 = V_(12)(34)/n_{l-1}, i != j",
        symmetries=(_FIRST, _EXCHANGE),
        architectures=_BOTH,
    ),
    Tensor(
        "V6",
        "V^{(6)}",
        1,
        "connected six-point correlator of one input",
        "E[z_i1^2 z_j1^2 z_k1^2]_c = V6_1/n_{l-1}^2, i, j, k different",
        power=2,
        architectures=(),  # of deep linear networks exactly, else sampled only
    ),
    Tensor(
        "Theta",
        r"\Theta",
        2,
        "NTK mean",
        "theory: infinite-width NTK; ensemble: E[H_ii;12]",
        power=0,
        symmetries=_SWAP,
        next_order="Theta1",
        architectures=_BOTH,
    ),
    Tensor(
        "Theta1",
        r"\Theta^{(1)}",
        2,
        "next-to-leading-order NTK mean",
        "E[H_12] = Theta + Theta1/n_{l-1} + O(1/n^2)",
        symmetries=_SWAP,
    ),
    Tensor(
        "D",
        "D",
        4,
        "NTK-preactivation cross correlation D",
        "E[z_i1 z_i2 (H_jj;34 - E H)] = D_1234/n_{l-1}",
        symmetries=(_FIRST, _SECOND),
    ),
    Tensor(
        "F",
        "F",
        4,
        "NTK-preactivation cross correlation F",
        "E[z_i1 z_j2 H_ij;34] = F_1324/n_{l-1}",
        symmetries=(_EXCHANGE,),
    ),
    Tensor(
        "A",
        "A",
        4,
        "NTK variance A",
        "Cov(H_ii;12, H_jj;34) = A_(12)(34)/n_{l-1}",
        symmetries=(_FIRST, _EXCHANGE),
    ),
    Tensor(
        "B",
        "B",
        4,
        "NTK variance B",
        "E[H_ij;12 H_ij;34] = B_1324/n_{l-1}",
        symmetries=((1, 0, 3, 2), _EXCHANGE),
    ),
    Tensor(
        "P",
        "P",
        4,
        "dNTK-preactivation correlation",
        "E[dH_ijj;123 z_i4] = P_1234/n_{l-1}, i != j",
        symmetries=((0, 2, 1, 3),),
        chapter="dntk",
    ),
    Tensor(
        "Q",
        "Q",
        4,
        "dNTK-preactivation correlation",
        "E[dH_iij;123 z_j4] = Q_1234/n_{l-1}, i != j",
        chapter="dntk",
    ),
    Tensor(
        "R",
        "R",
        4,
        "mean of the first ddNTK",
        "E[ddI_iijj;1234] = R_1234/n_{l-1}, i != j",
        symmetries=(_SECOND,),
        chapter="dntk",
    ),
    Tensor(
        "S",
        "S",
        4,
        "mean of the second ddNTK",
        "E[ddII_iijj;1234] = S_1234/n_{l-1}, i != j",
        symmetries=((1, 0, 3, 2),),
        chapter="dntk",
    ),
    Tensor(
        "T",
        "T",
        4,
        "mean of the second ddNTK",
        "E[ddII_ijij;1234] = T_1324/n_{l-1}, i != j",
        symmetries=(_EXCHANGE,),
        chapter="dntk",
    ),
    Tensor(
        "U",
        "U",
        4,
        "mean of the second ddNTK",
        "E[ddII_ijji;1234] = U_1423/n_{l-1}, i != j",
        symmetries=(_EXCHANGE,),
        chapter="dntk",
    ),
)

TENSORS: Mapping[str, Tensor] = {tensor.name: tensor for tensor in _RECORDS}
"""All tensors by name."""
