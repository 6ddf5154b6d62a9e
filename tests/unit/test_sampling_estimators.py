"""Estimators against brute force over tiny samples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import kstat

from rgflow.network import Network
from rgflow.sampling.estimators import ESTIMATORS, estimates, sample_means
from rgflow.sampling.jackknife import jackknife, layer_covariance, standard_errors
from rgflow.sampling.samples import Samples, with_ntk
from rgflow.sampling.target import Target

ALL = frozenset({"K", "V", "Theta", "D", "F", "A", "B"})
PLAIN = ESTIMATORS["plain"]
WIDTHS_BELOW = [5, 7]
TARGET = Target(Network("relu", (5, 7, 2), 0.0, 2.0), torch.ones(2, 5, dtype=torch.float64), (1, 2), ALL, torch.float64)


def make_samples(members: int, N: int = 2, seed: int = 0) -> Samples:
    """Arbitrary numbers with the symmetries of the real thing."""
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(members, 2, N, N))
    H = rng.normal(size=(members, 2, 2, 2, N, N)) + 0.3 * G[:, :, None, None]
    metric, z = torch.tensor(G + G.swapaxes(2, 3)), torch.tensor(rng.normal(size=(members, 2, 2, N)))
    ntk = torch.tensor(H + H.transpose(0, 1, 3, 2, 5, 4))
    return with_ntk(Samples(metric, z), ntk, TARGET)


def covariance(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.cov(x, y)[0, 1])  # numpy's default is unbiased


def test_connected_tensors_are_unbiased_covariances_in_the_slots_of_the_theory() -> None:
    samples = make_samples(9)
    found = estimates(sample_means(samples, [PLAIN[name] for name in ALL]), WIDTHS_BELOW, 9)
    assert samples.ntk is not None
    G, H, z = samples.metric.numpy(), samples.ntk.numpy(), samples.preactivation.numpy()
    diagonal = (H[:, :, 0, 0] + H[:, :, 1, 1]) / 2
    for layer, a, b, c, d in itertools.product(range(2), *[range(2)] * 4):
        n, at = WIDTHS_BELOW[layer], (layer, a, b, c, d)
        assert found["V"][at] == pytest.approx(n * covariance(G[:, layer, a, b], G[:, layer, c, d]))
        assert found["D"][at] == pytest.approx(n * covariance(G[:, layer, a, b], diagonal[:, layer, c, d]))
        pairs = [covariance(H[:, layer, i, i, a, b], H[:, layer, j, j, c, d]) for i, j in ((0, 1), (1, 0))]
        assert found["A"][at] == pytest.approx(n * np.mean(pairs))
        # F_1324: z inputs a, c paired with the first and second input of H; here slots (a b c d) = (1 3 2 4)
        products = [z[:, layer, i, a] * z[:, layer, j, c] * H[:, layer, i, j, b, d] for i, j in ((0, 1), (1, 0))]
        assert found["F"][at] == pytest.approx(n * np.mean(products))
        # B_1324: first H with inputs 1 2 = (a c), second with 3 4 = (b d)
        products = [H[:, layer, i, j, a, c] * H[:, layer, i, j, b, d] for i, j in ((0, 1), (1, 0))]
        assert found["B"][at] == pytest.approx(n * np.mean(products))
    np.testing.assert_allclose(found["K"], G.mean(0))
    np.testing.assert_allclose(found["Theta"], diagonal.mean(0))


def test_six_point_correlator_is_the_unbiased_third_cumulant() -> None:
    samples = make_samples(9)
    found = estimates(sample_means(samples, [PLAIN["V6"]]), WIDTHS_BELOW, 9)["V6"]
    for layer, a in itertools.product(range(2), range(2)):
        expected = WIDTHS_BELOW[layer] ** 2 * kstat(samples.metric[:, layer, a, a].numpy(), 3)
        assert found[layer, a] == pytest.approx(expected)


def test_covariances_are_unbiased_on_average() -> None:
    """Two members at a time: without the factor members/(members - 1) the mean would be off by one half."""
    tiny = [estimates(sample_means(make_samples(2, seed=seed), [PLAIN["V"]]), [1, 1], 2) for seed in range(2000)]
    V = np.array([one["V"][0, 0, 0, 0, 0] for one in tiny])
    error = V.std() / np.sqrt(len(V))
    assert abs(V.mean() - 4.0) < 4 * error  # the variance of 2 g with g ~ N(0, 1)
    assert error < 0.2


def grouped(groups: int) -> dict[str, np.ndarray]:
    parts = [sample_means(make_samples(20, seed=seed), [PLAIN[name] for name in ALL]) for seed in range(groups)]
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def test_pooled_groups_equal_one_large_sample() -> None:
    pooled = estimates({name: values.mean(0) for name, values in grouped(5).items()}, WIDTHS_BELOW, 100)
    chunks = [make_samples(20, seed=seed) for seed in range(5)]
    whole = Samples(
        torch.cat([s.metric for s in chunks]),
        torch.cat([s.preactivation for s in chunks]),
        torch.cat([s.ntk for s in chunks if s.ntk is not None]),
        torch.cat([s.ntk_mean for s in chunks if s.ntk_mean is not None]),
        torch.stack([s.cross for s in chunks if s.cross is not None]).mean(0),
    )
    for name, values in estimates(sample_means(whole, [PLAIN[name] for name in ALL]), WIDTHS_BELOW, 100).items():
        np.testing.assert_allclose(pooled[name], values, atol=1e-12)


def test_jackknife_error_of_a_mean_is_the_textbook_one() -> None:
    groups = grouped(8)
    errors = standard_errors(jackknife(groups, WIDTHS_BELOW, 20)["K"])
    np.testing.assert_allclose(errors, groups["mean_G"].std(0, ddof=1) / np.sqrt(8))


def test_layer_covariance_has_the_squared_errors_on_its_diagonal() -> None:
    groups = grouped(8)
    for replicates in jackknife(groups, WIDTHS_BELOW, 20).values():
        found, errors = layer_covariance(replicates), standard_errors(replicates)
        for a in range(2):
            same = errors[(slice(None), *(a,) * (errors.ndim - 1))]
            np.testing.assert_allclose(np.diagonal(found[a]), same**2)


def test_residual_three_point_correlator_is_the_literal_average_over_pairs_of_neurons_and_of_networks() -> None:
    """n (E[m_i X_j] - E[m_i] E[X_j]), i != j, the second term from pairs of different networks."""
    rng = np.random.default_rng(5)
    members, n, N = 4, 3, 2
    m, X = rng.normal(size=(members, n, N)), rng.normal(size=(members, n, N, N))
    products = np.einsum("kia,ljbc->klijabc", m, X)
    different = ~np.eye(n, dtype=bool)
    pairs = products[:, :, different].mean(2)
    within = np.einsum("kkabc->kabc", pairs).mean(0)
    between = products.mean((2, 3))[~np.eye(members, dtype=bool)].mean(0)

    z, G = m.mean(1), X.mean(1)
    covariance = np.einsum("kia,kibc->kabc", m, X) / n - np.einsum("ka,kbc->kabc", z, G)
    means = {
        "mean_z": z.mean(0)[None],
        "mean_G": G.mean(0)[None],
        "mean_zG": np.einsum("ka,kbc->abc", z, G)[None] / members,
        "mean_zG_same": covariance.mean(0)[None] / (n - 1),
    }
    np.testing.assert_allclose(estimates(means, [n], members)["T3"][0], n * (within - between), rtol=1e-12, atol=1e-14)
