"""All numbers of an advice about one initialization of a chain: a dictionary of labelled arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.errors import RgflowError
from rgflow.practice.chain import Chain, Flow, Point, flow
from rgflow.practice.rates import common_rates, kept_modes, rate_tensor
from rgflow.practice.units import Training
from rgflow.theory.depth.single_input import single_input_theory
from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.theory.learning.training import learned_fraction, train_spectrum

Array = NDArray[np.float64]

SHOWN = 64  # inputs whose matrices are kept
STEPS = 1000  # of training, after which spreads are predicted
INITIALIZATIONS = ("now", "critical")
RATES = ("unit", "torch", "tensor")
_SUGGESTED = 0.5  # of the largest safe rate
_HELD_OUT = 8  # one input in so many is predicted rather than learned


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs of the first layer, (N, n_0), and targets (N, n_L) or None."""

    inputs: Array
    targets: Array | None

    @property
    def gram(self) -> Array:
        """x_1.x_2/n_0."""
        return np.asarray(self.inputs @ self.inputs.T / self.inputs.shape[1])

    @property
    def mean_square(self) -> float:
        """Mean of x.x/n_0."""
        return float(np.mean(self.inputs**2))


def predict(chain: Chain, point: Point, batch: Batch, training: Training, trained: Array) -> xr.Dataset:
    """What theory says of one initialization.

    Parameters
    ----------
    chain, point
        The layers and their variances.
    batch
        The user's inputs and targets.
    training
        Loss and optimizer.
    trained
        As for `rates.rate_tensor`.

    Returns
    -------
    Dataset with the registered names; what could not be had is nan, and attribute ``remark`` says why.
    """
    rates = {
        "unit": trained,
        "torch": common_rates(chain, trained),
        "tensor": rate_tensor(chain, trained),
    }
    fixed = _fixed(chain, point, rates["tensor"])
    try:
        found = flow(chain, point, batch.gram)
    except RgflowError as error:
        return fixed.assign_attrs(remark=str(error))
    return fixed.merge(_infinite_width(found, rates)).merge(_finite_width(chain, point, batch, rates["tensor"])).merge(
        _learning(chain, point, found, rates, batch, training)
    )


def _fixed(chain: Chain, point: Point, tensor: Array) -> xr.Dataset:
    per_layer = {
        "layer_C_b": point.C_b,
        "layer_C_W": point.C_W,
        "layer_lambda_b": tensor[0],
        "layer_lambda_W": tensor[1],
    }
    variables = {name: ("layer", np.array(values)) for name, values in per_layer.items()}
    return xr.Dataset(variables, {"layer": np.arange(1, chain.depth + 1)})


def _infinite_width(found: Flow, rates: dict[str, Array]) -> xr.Dataset:
    matrix, few = ("layer", "sample_1", "sample_2"), np.s_[:, :SHOWN, :SHOWN]
    parts = np.stack([found.contributions(*rates[kind]) for kind in RATES])
    mean = np.einsum("rlaa->rl", parts) / parts.shape[-1]
    with np.errstate(invalid="ignore"):  # nothing trained
        share = mean / mean.sum(axis=1, keepdims=True)
    return xr.Dataset(
        {
            "K": (matrix, found.K[few]),
            "Theta": (matrix, _layer_ntk(found, *rates["tensor"])[few]),
            "Theta_output": (("rates", "sample_1", "sample_2"), parts.sum(axis=1)[few]),
            "ntk_share": (("rates", "layer"), share),
            "layer_chi_parallel": ("layer", found.chi_parallel),
            "layer_chi_perp": ("layer", found.chi_perp),
            "correlation": ("layer", found.correlation),
            "quadrature_error": ("layer", found.error),
        },
        {"rates": list(RATES)},
    )


def _layer_ntk(found: Flow, lambda_b: Array, lambda_W: Array) -> Array:
    """Theta^(l) of every layer: own part, and the layer's below times the step between."""
    own = lambda_b[:, None, None] + lambda_W[:, None, None] * found.signal
    Theta = [own[0]]
    for layer in range(1, len(own)):
        Theta.append(own[layer] + found.steps[layer - 1] * Theta[-1])
    return np.stack(Theta)


def _finite_width(chain: Chain, point: Point, batch: Batch, tensor: Array) -> xr.Dataset:
    """Order 1/n of one input of the batch's mean square."""
    names = {"kappa": "V", "metric_shift": "G1", "ntk_variance": "A", "ntk_shift": "Theta1"}
    if not chain.is_plain:
        return xr.Dataset({name: ("layer", np.full(chain.depth, np.nan)) for name in names})
    one = single_input_theory(chain.network(point, *tensor), batch.mean_square)
    n = np.array(chain.widths[:-1], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = {"V": one["K"] ** 2, "G1": one["K"], "A": one["Theta"] ** 2, "Theta1": one["Theta"]}
        return xr.Dataset({name: ("layer", one[of] / (n * scale[of])) for name, of in names.items()})


def _learning(
    chain: Chain, point: Point, found: Flow, rates: dict[str, Array], batch: Batch, training: Training
) -> xr.Dataset:
    """Learning rates, and spreads over seeds before and after training."""
    N, outputs = len(batch.inputs), chain.widths[-1]
    variables: dict[str, Any] = {}
    limits = []
    for kind in RATES:
        theta = np.linalg.eigvalsh(found.contributions(*rates[kind]).sum(axis=0))[-1]
        limits.append(training.rate(training.limit(theta), N, outputs) if theta > 0.0 else np.nan)
    variables["safe_rate"] = ("rates", np.array(limits))
    variables["suggested_rate"] = ("rates", _SUGGESTED * np.array(limits))
    variables["initial_spread"] = (), math.sqrt(float(np.mean(found.K[-1].diagonal())))
    try:
        variables |= _modes(found, rates["tensor"], batch, training)
    except RgflowError as error:
        return xr.Dataset(variables, attrs={"remark": str(error)})
    if batch.targets is not None and training.loss == "mse":
        variables |= _losses(chain, point, found, rates["tensor"], batch, training)
    return xr.Dataset(variables)


def _modes(found: Flow, tensor: Array, batch: Batch, training: Training) -> dict[str, Any]:
    """Spectrum of the NTK on the batch, and the steps to learn its slowest kept mode at the suggested rate."""
    Theta = found.contributions(*tensor).sum(axis=0)
    theta, modes = train_spectrum(Theta, len(Theta))
    weight = theta if batch.targets is None else ((modes.T @ batch.targets) ** 2).sum(axis=1)
    eta = _SUGGESTED * training.limit(theta[-1]) / (1.0 - training.momentum)
    slowest = theta[kept_modes(theta, weight)].min()
    return {"theta_eigenvalue": ("mode", theta), "theta_max": ((), theta[-1]), "steps_to_learn": ((), 1.0 / (eta * slowest))}


def _losses(
    chain: Chain, point: Point, found: Flow, tensor: Array, batch: Batch, training: Training
) -> dict[str, Any]:
    """Mean and standard deviation over seeds of torch's loss at the start, and of predictions after training."""
    assert batch.targets is not None
    K, y, outputs = found.K[-1], batch.targets, chain.widths[-1]
    factor = training.loss_factor(*y.shape)
    mean = (outputs * np.trace(K) + (y**2).sum()) / 2
    variance = outputs * (K**2).sum() / 2 + np.einsum("ai,ab,bi->", y, K, y) + _vertex_part(chain, point, batch, K)
    return {
        "initial_loss": ((), factor * mean),
        "initial_loss_spread": ((), factor * math.sqrt(variance)),
        "final_spread": ((), _final_spread(found, tensor, training)),
    }


def _vertex_part(chain: Chain, point: Point, batch: Batch, K: Array) -> float:
    """[n_L^2 sum V_(aa)(bb) + 2 n_L sum V_(ab)(ab)]/(4n), what the vertex adds to the variance of 1/2 sum z^2.

    V over K_aa K_bb is taken from a pair of inputs with the batch's mean square and mean correlation.
    """
    if not chain.is_plain or chain.depth < 2:
        return 0.0
    same, direct, crossed = _vertex_of_pair(chain, point, batch)
    square, trace = float((K.diagonal() ** 2).sum()), float(np.trace(K) ** 2)
    outputs, n = chain.widths[-1], chain.widths[-2]
    aabb, abab = (same * square + other * (trace - square) for other in (direct, crossed))
    return float(outputs**2 * aabb + 2 * outputs * abab) / (4 * n)


def _vertex_of_pair(chain: Chain, point: Point, batch: Batch) -> tuple[float, float, float]:
    """V_(aa)(aa)/K_aa^2, V_(aa)(bb)/(K_aa K_bb) and V_(ab)(ab)/(K_aa K_bb) at the outputs.

    Equal where the two inputs become alike and the averages over them cannot be told apart from those over one.
    """
    nothing = np.zeros(chain.depth)
    network = chain.network(point, nothing, nothing)
    try:
        found = initialization_theory(network, _typical_pair(batch), ("K", "V"), rtol=1e-6).isel(layer=-1)
    except RgflowError:
        one = single_input_theory(network, batch.mean_square)
        return (float(one["V"][-1] / one["K"][-1] ** 2),) * 3
    V, K = found["V"].values, found["K"].values.diagonal()
    return float(V[0, 0, 0, 0] / K[0] ** 2), float(V[0, 0, 1, 1] / K[0] / K[1]), float(V[0, 1, 0, 1] / K[0] / K[1])


def _typical_pair(batch: Batch) -> Array:
    """Two inputs of the batch's mean square and mean correlation."""
    gram, n_0 = batch.gram, batch.inputs.shape[1]
    norm = np.sqrt(np.maximum(gram.diagonal(), np.finfo(float).tiny))
    off = ~np.eye(len(gram), dtype=bool)
    rho = float(np.mean((gram / np.outer(norm, norm))[off])) if off.any() and n_0 > 1 else 1.0
    length = math.sqrt(n_0 * batch.mean_square)
    pair = np.zeros((2, n_0))
    pair[:, 0] = length, rho * length
    if n_0 > 1:
        pair[1, 1] = math.sqrt(max(1.0 - rho**2, 0.0)) * length
    return pair


def _final_spread(found: Flow, tensor: Array, training: Training) -> float:
    """Root mean square over held-out inputs of the deviation over seeds, trained on the others for `STEPS` steps."""
    N = len(found.K[-1])
    held = np.arange(N) % _HELD_OUT == _HELD_OUT - 1
    if not held.any():
        return math.nan
    order = np.concatenate([np.flatnonzero(~held), np.flatnonzero(held)])
    count = int((~held).sum())
    K, Theta = (matrix[np.ix_(order, order)] for matrix in (found.K[-1], found.contributions(*tensor).sum(axis=0)))
    theta, modes = train_spectrum(Theta, count)
    eta = _SUGGESTED * training.limit(theta[-1]) / (1.0 - training.momentum)
    learned = Theta[:, :count] @ modes * learned_fraction(theta, eta, STEPS) @ modes.T
    deviation = np.eye(N) - np.pad(learned, ((0, 0), (0, N - count)))
    spread = np.einsum("ab,bc,ac->a", deviation, K, deviation)[count:]
    return math.sqrt(float(spread.mean()))
