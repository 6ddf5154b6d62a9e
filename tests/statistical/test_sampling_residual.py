"""Sampled residual networks: both samplers against each other, estimates against products of two neurons and against theory.

Fixed seeds; every bound is in standard errors and exceeded by chance in less than one of 10^3 runs of all components.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from test_sampling_marginal import deviations

from rgflow.architectures.residual import architecture_of
from rgflow.network import Network
from rgflow.sampling.blocks import sample_initialization
from rgflow.sampling.target import Target
from rgflow.theory.criticality.critical import critical
from rgflow.theory.initialization.tensors import initialization_theory

TENSORS = ("K", "T3", "V", "Theta")
INPUTS = np.random.default_rng(3).normal(size=(2, 4))
XI = (0.8, 0.9)
BOUND = 5.0


def network(activation: str, n: int) -> Network:
    return Network(activation, (4, n, n, n), 0.2, 1.5, 0.3, 0.9, *XI)


def sampled(activation: str, n: int, members: int, **settings: object) -> xr.Dataset:
    return sample_initialization(
        network(activation, n),
        INPUTS,
        members=members,
        seed=4,
        tensors=TENSORS,
        **settings,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("activation", "n", "repeated"), [("relu", 3, False), ("gelu", 6, False), ("tanh", 4, True), ("relu", 2, False)]
)
def test_joint_moments_up_to_third_order_are_those_of_the_weights(activation: str, n: int, repeated: bool) -> None:
    """Of z and the NTK, two neurons each, in all layers; n = 2 has as many neurons as inputs, dead ones too."""
    x = torch.tensor(INPUTS[[0, 0]] if repeated else INPUTS)
    target = Target(network(activation, n), x, (2, 3), frozenset(TENSORS), torch.float32)
    assert float(deviations(target, 40).abs().max()) < BOUND


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("n", [3, 5])
def test_joint_moments_of_many_networks(activation: str, n: int) -> None:
    target = Target(network(activation, n), torch.tensor(INPUTS), (2, 3), frozenset(TENSORS), torch.float32)
    assert float(deviations(target, 400).abs().max()) < BOUND


def test_estimates_of_both_samplers_agree() -> None:
    marginal, weights = (sampled("gelu", 5, 30_000, sampler=sampler) for sampler in ("marginal", "weights"))
    for name in TENSORS:
        error = np.hypot(marginal[f"{name}_stderr"], weights[f"{name}_stderr"])
        assert (abs(marginal[name] - weights[name]) <= BOUND * error + 1e-6).all(), name


@pytest.mark.parametrize("sampler", ["marginal", "weights"])
def test_estimates_are_the_correlators_of_two_neurons(sampler: str) -> None:
    """At n = 3 what a neuron and itself add is as large as the correlators; the products of drawn neurons know nothing of it."""
    members, n = 40_000, 3
    found = sampled("relu", n, members, sampler=sampler, kept=members)
    z = found["preactivation"].transpose("member", "layer", "output_1", "sample_1").to_numpy()[:, 1:]
    first, second = z[:, :, 0], z[:, :, 1]
    K = np.einsum("mla,mlb->lab", first, first) / members
    centred = np.einsum("mlc,mld->mlcd", second, second) - K
    products = {
        "T3": n * np.einsum("mla,mlbc->mlabc", first, centred),
        "V": n * np.einsum("mla,mlb,mlcd->mlabcd", first, first, centred),
    }
    for name, values in products.items():
        estimate, stderr = (found[key].to_numpy()[1:] for key in (name, f"{name}_stderr"))
        direct, spread = values.mean(0), values.std(0) / np.sqrt(members)
        assert (abs(direct - estimate) < BOUND * np.hypot(spread, stderr)).all(), name
        assert (stderr < 0.8 * spread).all(), name


def test_estimates_of_few_members_are_unbiased() -> None:
    """Groups of members one by one give on average what all together give: no bias of order 1/members."""
    from rgflow.sampling.blocks import make_target
    from rgflow.sampling.chunks import chunk_sampler
    from rgflow.sampling.estimators import estimates, sample_means
    from rgflow.sampling.spec import SamplingSpec

    ensemble = SamplingSpec(5, tensors=("T3", "V"), dtype="float64", layers=(2,))
    target = make_target(network("relu", 3), INPUTS, ensemble, torch.device("cpu"))
    draw = chunk_sampler(target, ensemble)

    def estimated(chunk: int, members: int) -> dict[str, np.ndarray]:
        return estimates(sample_means(draw(chunk, members), target.estimators.values()), [3], members)

    pairs, all_together = [estimated(chunk, 2) for chunk in range(3000)], estimated(3000, 200_000)
    for name in ("T3", "V"):
        values = np.stack([pair[name] for pair in pairs])
        error = values.std(0) / np.sqrt(len(values))
        assert (abs(values.mean(0) - all_together[name]) < BOUND * error).all(), name


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_extrapolated_tensors_agree_with_theory(activation: str) -> None:
    """2 T(2n) - T(n) at n = 24, plus two percent for the 1/n^2 that is left."""
    narrow, wide = sampled(activation, 24, 20_000), sampled(activation, 48, 20_000)
    theory = initialization_theory(network(activation, 48), INPUTS)
    for name in TENSORS:
        extrapolated = 2 * wide[name] - narrow[name]
        error = np.hypot(2 * wide[f"{name}_stderr"], narrow[f"{name}_stderr"])
        allowed = BOUND * error + 0.02 * abs(theory[name]).max(theory[name].dims[1:]) + 1e-6
        assert (abs(extrapolated - theory[name]) <= allowed).all(), name


def test_the_vertex_of_critical_relu_needs_the_three_point_correlator() -> None:
    """V/K^2 in layer 4 is 9.40; the closure with K and V alone gives (1 - g^2)(5 - g^2) per layer, 6.90."""
    gamma, members = 0.7, 40_000
    point, beyond = critical("relu"), critical("relu").of(architecture_of(1.0, gamma))
    C_W = [point.C_W, *[beyond.C_W] * 3]
    narrow, wide = (
        sample_initialization(
            Network("relu", (1, *[n] * 4), 0.0, C_W, xi_2=gamma),
            [[point.C_W**-0.5]],
            members=members,
            seed=2,
            tensors=("K", "V"),
            layers=(4,),
        )
        for n in (48, 96)
    )
    V = float(2 * wide["V"].squeeze() - narrow["V"].squeeze())
    error = float(np.hypot(2 * wide["V_stderr"].squeeze(), narrow["V_stderr"].squeeze()))
    assert abs(V - 9.404) < 4 * error + 0.1
    assert V - 3 * (1 - gamma**2) * (5 - gamma**2) > 8 * error
