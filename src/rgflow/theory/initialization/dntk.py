"""The differential of the NTK (dNTK) and its second differentials (ddNTK) as a theory of their own."""

from __future__ import annotations

import xarray as xr

from rgflow.calls import checked
from rgflow.inputs import Inputs
from rgflow.network import Network
from rgflow.theory.initialization.differentials import DNTK_RECURSIONS
from rgflow.theory.initialization.finite_width import finite_width_tensors


@checked
def dntk_theory(network: Network, inputs: Inputs) -> xr.Dataset:
    """P, Q (dNTK) and R, S, T, U (ddNTK) in every layer, to leading order in 1/n (PDLT, chapter 11).

    Parameters
    ----------
    network
        The network, with a smooth activation; only ratios of widths enter.
    inputs
        (sample, feature) array of N inputs.

    Returns
    -------
    Dataset on ``layer`` (1..L) and ``sample_1`` .. ``sample_4``, times n_{l-1}; with i, j different neurons,
    P_0123: E[dH_ijj;012 z_i;3]; Q_0123: E[dH_iij;012 z_j;3]; R_0123: E[ddI_iijj;0123]; S_1234: E[ddII_iijj;1234];
    T_1324: E[ddII_ijij;1234]; U_1423: E[ddII_ijji;1234]. Errors are those of
    :func:`rgflow.theory.initialization.finite_width.finite_width_tensors`: ``quadrature_error`` (layer), and for more than a
    few inputs ``P_error`` and so on.

    Raises
    ------
    RgflowError
        A kinked activation, a residual network, or as
        :func:`rgflow.theory.initialization.finite_width.finite_width_tensors`.
    """
    return finite_width_tensors(network, inputs, tuple(DNTK_RECURSIONS), layer="all")
