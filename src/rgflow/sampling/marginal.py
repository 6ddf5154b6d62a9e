"""The marginal sampler: exact draws of preactivations and NTK at finite width without drawing a weight matrix.

Given the activations of layer l, sigma (N, n_l), the preactivations of layer l+1 are b + W sigma with independent
neurons N(0, G), G = C_b + C_W/n_l sigma sigma^T. With a factor G = L L^T they are z = L u, where u is white noise
(N, n_{l+1}). The backward pass meets the same weights only through v = W^T Delta. A draw of W and b that knows nothing of u gives
E = W^T Delta and e = b^T Delta: Gaussian columns with covariances C_W/n_l Delta^T Delta and C_b Delta^T Delta.
Conditioning it on the z already drawn (Matheron's rule) gives, with the whitened activations w = L^- sigma,

    v = E + C_W/n_l w^T (u Delta - w E - L^- e).

A skip connection adds its strength times the layer below to z, and times the layer above to the cotangent.

L^- is the inverse on the inputs that span the others and zero elsewhere, so that repeated inputs, widths below the
number of inputs and dead layers are exact too. This costs O(n N) normals per layer instead of O(n^2).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rgflow.sampling.backward import backward
from rgflow.sampling.forward import Forward, forward
from rgflow.sampling.forward_ntk import cross_mean, ntk_forms, ntk_mean
from rgflow.sampling.samples import Samples, with_ntk
from rgflow.sampling.skip import with_skip
from rgflow.sampling.target import Target

FORWARD = 0  # the stream of the forward pass; the backward pass from layer l has stream l - 1


def marginal_samples(target: Target, members: int, generator: Callable[[int], torch.Generator]) -> Samples:
    """Draw members of the ensemble.

    The backward pass from each reported layer is drawn by itself: at every layer, (metric, z, NTK) have exactly the law
    of the network, but NTKs of different layers are independent given the forward pass, unlike those of one network.
    Where only averages of the NTK are wanted, the backward passes are averaged in closed form instead.

    Parameters
    ----------
    target
        What to draw.
    members
        How many.
    generator
        Generator of each stream 0..L-1.
    """
    passed = forward(target, members, generator(FORWARD))
    reported = [layer - 1 for layer in target.layers]
    z = passed.preactivations()
    samples = Samples(
        metric=torch.stack([passed.laws[at].metric.expand(members, -1, -1) for at in reported], 1),
        preactivation=torch.stack([z[at].mT for at in reported], 1),
    )
    if passed.skips:
        samples = with_skip(samples, [passed.skips[at] for at in reported])
    if target.backward:
        ntk = torch.stack(
            [backward(passed.upto(layer), target.outputs, generator(layer - 1)) for layer in target.layers], 1
        )
        samples = with_ntk(samples, ntk, target.cross)
    return _with_forward_means(samples, passed, target) if target.forward_means else samples


def _with_forward_means(samples: Samples, passed: Forward, target: Target) -> Samples:
    """The same samples with the mean NTK and the cross moment replaced by their means given the forward pass."""
    means: list[Tensor] = []
    cross: list[Tensor] = []
    for layer, (form, law) in enumerate(zip(ntk_forms(passed), passed.laws, strict=True), start=1):
        if layer in target.layers:
            means.append(ntk_mean(form))
            cross += [cross_mean(form, law)] if target.cross else []
    return Samples(
        samples.metric, samples.preactivation, samples.ntk, torch.stack(means, 1), torch.stack(cross) if cross else None
    )
