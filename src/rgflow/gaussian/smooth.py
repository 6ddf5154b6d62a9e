"""Moments of an analytic activation, with the resolution raised until an independent set of nodes agrees."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.moments import Array, product_scales, product_values, subsets
from rgflow.gaussian.nested import Family, Group, Rule, group_means, groups, input_means, square_means
from rgflow.gaussian.price import price_gradient, price_hessian

_SAFETY_NATS = 4.0
_REFINEMENTS = (1.0, 1.4, 2.0, 2.8)


class SmoothMoments:
    """`Moments` by nested quadrature; needs an activation without kinks."""

    def __init__(self, activation: Activation, K: Array, rtol: float) -> None:
        self.error = 0.0
        self._activation, self._K, self._rtol = activation, K, rtol
        self._table = np.zeros((0, 0, len(K), len(K)))

    def pair(self, p: int, q: int) -> Array:
        if max(p, q) >= len(self._table):
            self._table = self._converged(partial(self._pair_table, max(p, q)), _pair_scales)
        return np.asarray(self._table[p, q])

    def gradient(self, p: int) -> Array:
        return price_gradient(self.pair, p)

    def hessian(self, p: int) -> Array:
        self.pair(p + 4, p)  # the highest order first: one table serves all
        return price_hessian(self.pair, p)

    def products(self, d: int) -> Array:
        scales = np.array([self._product_scales(inputs) for inputs in subsets(len(self._K), d)])
        evaluate = self._input_products if d == 1 else partial(self._group_products, groups(self._K, d))
        return self._converged(evaluate, lambda _: scales)

    def _pair_table(self, order: int, rule: Rule) -> Array:
        """<sigma^(p)_a sigma^(q)_b> for all p, q <= order: (p, q, a, b)."""
        n = len(self._K)
        table = np.empty((order + 1, order + 1, n, n))
        for a in range(n):
            table[:, :, a, a] = square_means(self._tower(order), self._K[a, a], rule)
        for group in groups(self._K, 2) if n > 1 else ():
            means = np.moveaxis(group_means(self._tower(order), self._K, group, rule), 0, -1)
            a, b = group.pairs.T
            table[:, :, a, b], table[:, :, b, a] = means, means.swapaxes(0, 1)
        return table

    def _input_products(self, rule: Rule) -> Array:
        return np.array([input_means(self._product_family(1), variance, rule) for variance in self._K.diagonal()])

    def _group_products(self, every: Sequence[Group], rule: Rule) -> Array:
        """The products of all groups in the order of `subsets`, an axis per input."""
        found = {}
        for group in every:
            inputs = group.products()
            means = group_means(self._product_family(inputs.shape[1]), self._K, group, rule)
            for own, mean in zip(inputs, means, strict=True):
                found[tuple(sorted(own.tolist()))] = np.transpose(mean, np.argsort(own))
        return np.array([found[inputs] for inputs in sorted(found)])

    def _product_family(self, d: int) -> Family:
        """The functions of one of d inputs."""
        return partial(product_values, self._activation, d=d)

    def _tower(self, order: int) -> Family:
        return lambda z: np.array(self._activation.derivatives(z, order))

    @cached_property
    def _fourth_roots(self) -> Array:
        """<sigma^4>^(1/4) and <sigma'^4>^(1/4) of every input: (input, 2)."""
        rule = self._rule(_REFINEMENTS[-1])
        means = [square_means(lambda z: self._tower(1)(z) ** 2, variance, rule) for variance in self._K.diagonal()]
        return np.array([mean.diagonal() ** 0.25 for mean in means])

    def _product_scales(self, subset: NDArray[np.intp]) -> Array:
        """Upper bounds of all products of these inputs: the scale of a relative error."""
        return product_scales(self._fourth_roots[subset], len(subset))

    def _rule(self, factor: float) -> Rule:
        return Rule(factor * (_SAFETY_NATS - math.log(self._rtol)), self._activation.quadrature_radius)

    def _converged(self, evaluate: Callable[[Rule], Array], scales: Callable[[Array], Array]) -> Array:
        """The result of the first refinement that agrees with shifted, denser nodes to the tolerance."""
        for factor in _REFINEMENTS:
            rule = self._rule(factor)
            found, control = evaluate(rule), evaluate(rule.refined(1.15, 0.5))
            error = _relative_error(found, control, scales(control))
            if error <= self._rtol:
                self.error = max(self.error, error)
                return found
        what = f"Gaussian means of {self._activation.label} at max K = {self._K.max():.3g}"
        raise RgflowError(f"{what}: estimated error {error:.1e} exceeds rtol = {self._rtol:.1e}")


def _pair_scales(table: Array) -> Array:
    sizes = np.sqrt(np.einsum("ppaa->pa", table))
    return np.asarray(np.einsum("pa,qb->pqab", sizes, sizes))


def _relative_error(found: Array, control: Array, scales: Array) -> float:
    difference = np.abs(found - control)
    if not np.all(np.isfinite(difference)):
        return math.inf
    return float(np.max(difference / np.where(scales > 0, scales, 1.0), initial=float(np.finfo(np.float64).eps)))
