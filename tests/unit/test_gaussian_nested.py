"""Groups of products: every product once, and the same means as one product alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from rgflow.activations.registry import activation
from rgflow.gaussian.nested import Rule, flattest_order, group_means, groups

X = np.random.default_rng(2).normal(size=(7, 5))
K = 0.2 + X @ X.T / 5
RULE = Rule(30.0, np.pi / 2)


def tanh_family(z: np.ndarray) -> np.ndarray:
    return np.array(activation("tanh").derivatives(z, 1))


@pytest.mark.parametrize("d", [2, 3, 4])
@pytest.mark.parametrize("features", [1, 2, 5])
def test_groups_hold_every_product_once(d: int, features: int) -> None:
    gram = X[:, :features] @ X[:, :features].T
    inputs = [tuple(sorted(own)) for group in groups(gram, d) for own in group.products().tolist()]
    assert sorted(inputs) == list(combinations(range(7), d))


@pytest.mark.parametrize("d", [2, 3, 4])
def test_means_do_not_depend_on_the_rest_of_the_group(d: int) -> None:
    for group in groups(K, d)[:3]:
        means = group_means(tanh_family, K, group, RULE)
        for own, mean in zip(group.products()[:3], means, strict=False):
            alone = K[np.ix_(own, own)]
            (single,) = groups(alone, d)
            (found,) = group_means(tanh_family, alone, single, RULE)
            np.testing.assert_allclose(np.transpose(found, np.argsort(single.products()[0])), mean, atol=1e-11)


@pytest.mark.parametrize("correlation", [0.3, 0.7, 0.9, 0.99, 1 - 1e-9])
def test_pairs_of_any_correlation_share_a_group(correlation: float) -> None:
    """<sin sin> = sinh(c) exp(-(x + y)/2), beside a pair whose inputs are independent."""
    S = np.array([[1.0, correlation, 0.0], [correlation, 1.0, 0.0], [0.0, 0.0, 2.0]])
    (group,) = groups(S, 2)
    means = group_means(lambda z: np.sin(z)[None], S, group, Rule(34.0, 4.0))[:, 0, 0]
    i, j = group.pairs.T
    exact = np.sinh(S[i, j]) * np.exp(-(S[i, i] + S[j, j]) / 2)
    np.testing.assert_allclose(means, exact, atol=1e-14)


def test_flattest_order_leaves_the_least_dependent_pair_inside() -> None:
    S = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.1], [0.0, 0.1, 1.0]])
    assert flattest_order(S).tolist() == [1, 0, 2]
