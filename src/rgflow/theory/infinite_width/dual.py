"""Pair averages <sigma_a sigma_b> and <sigma'_a sigma'_b> for blocks of pairs at once: the work of infinite width.

Closed forms where they exist; for other smooth activations Mehler's expansion in the correlation, whose coefficients
belong to single inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.single import single_mean
from rgflow.theory.infinite_width.apart import Block
from rgflow.theory.infinite_width.closed_forms import (
    KernelAverages,
    PairForm,
    cosine,
    erf_averages,
    gelu_averages,
    scale_invariant_averages,
    sine,
)
from rgflow.theory.infinite_width.mehler import MehlerDual

_CLOSED_FORMS: dict[str, PairForm] = {"erf": erf_averages, "gelu": gelu_averages, "sin": sine, "cos": cosine}


class Dual(Protocol):
    """Averages for rows and columns given by their place among the inputs, from K_ab and 1 - |correlation|."""

    def __call__(self, rows: slice, cols: slice, c: Block, apart: Block | None) -> KernelAverages: ...


Diagonal = Callable[[Block], tuple[Block, Block]]
"""K_aa -> <sigma_a^2>, <sigma'_a^2>."""


def closed_form(activation: Activation) -> PairForm | None:
    """The pair averages as functions of the kernel, if they are known; needs ``apart``."""
    if activation.slopes is not None:
        return partial(scale_invariant_averages, activation.slopes)
    return None if activation.parameters else _CLOSED_FORMS.get(activation.name)


def is_fast(activation: Activation) -> bool:
    """Whether pair averages are known for blocks of pairs at once."""
    return closed_form(activation) is not None or not activation.kinks


def dual(activation: Activation, variance: Block, rtol: float) -> Dual:
    """The pair averages of one layer.

    Parameters
    ----------
    activation
        A scale-invariant or a smooth activation.
    variance
        (N,) K_aa of all inputs in the layer, in the precision of the calculation.
    rtol
        Accuracy of an expansion, relative to the largest average.

    Raises
    ------
    RgflowError
        Kinks without a closed form, or an expansion that does not converge.
    """
    form = closed_form(activation)
    if form is not None:
        return _bound(form, variance)
    if not has_dual(activation):
        raise RgflowError(f"infinite width of many inputs: {activation.label} has kinks and no closed form")
    return MehlerDual(activation, variance, rtol)


def has_dual(activation: Activation) -> bool:
    """Whether averages of many pairs are known: smooth activations are expanded, with kinks a closed form is needed."""
    return not activation.kinks or closed_form(activation) is not None


def mean_squares(activation: Activation, variance: Block) -> tuple[Block, Block]:
    """<sigma_a^2> and <sigma'_a^2> of each input."""
    form = closed_form(activation)
    if form is not None:
        ss, dd, _ = form(variance, variance, variance, np.zeros_like(variance))
        return ss, dd
    ss, dd = (np.asarray(single_mean(activation, (order, order), variance)) for order in (0, 1))
    return ss, dd


def _bound(form: PairForm, variance: Block) -> Dual:
    def pair_averages(rows: slice, cols: slice, c: Block, apart: Block | None) -> KernelAverages:
        assert apart is not None
        return form(variance[rows, None], variance[cols], c, apart)

    return pair_averages
