"""The mean of the NTK given the forward pass, in closed form: Theta, D and F without a backward pass.

Given the forward pass, the mean NTK of two neurons of a layer is a quadratic form of their preactivations z = L u,

    E[H_jk;ab | forward] = delta_jk alpha_ab + u_j^T beta_ab u_k,

because the weights above, given what the forward pass saw of them, are Gaussian with a mean linear in u. One layer
further, with c = C_W/n_l, whitened activations w = L^- sigma and sums over its neurons (notation of the marginal sampler),

    E[H'_ab] = lambda_b + lambda_W/n_l sum_j sigma_a sigma_b + c sum_j sigma'_a sigma'_b (alpha_ab + u_j^T beta_ab u_j),
    beta'_ab = c^2 (alpha_ab sum_j sigma'_a sigma'_b w_j w_j^T + X_a^T beta_ab X_b),   X_a = sum_j sigma'_ja u_j w_j^T,
    alpha'_ab = E[H'_ab] - tr beta'_ab.

All reported layers share this one sweep, and the noise of the backward passes is gone. The price is N^4 sums over
neurons. Small arrays have the members last, which makes whole-array operations of the N^4 algebra.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rgflow.sampling import compiled
from rgflow.sampling.algebra import array, few_rows, inner, mix
from rgflow.sampling.forward import Forward, LayerLaw
from rgflow.sampling.hidden import Hidden


@dataclass(frozen=True, eq=False)
class NTKForm:
    """The NTK of a layer averaged over all that the forward pass leaves open, for the input pairs a <= b.

    Attributes
    ----------
    mean
        (P, members): E[H_ii;ab | layers below].
    alpha, beta
        (P, members) and (P, N, N, members): coefficients of the quadratic form in this layer's noise.
    """

    mean: Tensor
    alpha: Tensor
    beta: Tensor


def ntk_forms(passed: Forward) -> Iterator[NTKForm]:
    """Mean NTK given the forward pass, layer by layer."""
    members, N, _ = passed.heads[0].shape
    pairs = torch.triu_indices(N, N, device=passed.heads[0].device)
    rate = _members_last(passed.laws[0].rate)[pairs[0], pairs[1]].expand(-1, members)
    form = NTKForm(rate, rate, rate.new_zeros(len(rate), N, N, members))
    yield form
    for hidden, law in zip(passed.hidden, passed.laws[1:], strict=True):
        form = _next_form(hidden, law, form, pairs)
        yield form


def ntk_mean(form: NTKForm) -> Tensor:
    """E[H_ii;ab | layers below] as (members, N, N)."""
    return form.mean[_pair_index(form)].permute(2, 0, 1)


def cross_mean(form: NTKForm, law: LayerLaw) -> Tensor:
    """Mean over members of E[z_ia z_jb H_ij;cd | layers below], different neurons i, j: slots (a, c, b, d)."""
    factor = law.factor[:, None]
    moments = (factor @ form.beta.permute(3, 0, 1, 2) @ factor.mT).mean(0)[_pair_index(form)]  # (c, d, a, b) for c <= d
    N = len(moments)
    c, d = torch.tril_indices(N, N, -1, device=moments.device)
    moments[c, d] = moments[d, c].mT
    return moments.permute(2, 0, 3, 1)


def _next_form(hidden: Hidden, law: LayerLaw, form: NTKForm, pairs: Tensor) -> NTKForm:
    rate = _members_last(law.rate)[pairs[0], pairs[1]]
    if few_rows(hidden.sigma):
        return _compiled_form(hidden, law, form, rate)
    P, index = len(rate), _pair_index(form)
    slopes, products, X = map(_members_last, _neuron_sums(hidden, mix(law.whitening, hidden.sigma), pairs))
    uu, ww = products[:, :P][:, index], products[:, P:][:, index]
    mean = rate + law.C_W * (form.alpha * slopes + (form.beta * uu).sum((1, 2)))
    beta = law.C_W**2 * (form.alpha[:, None, None] * ww + _sandwich(X[pairs[0]], form.beta, X[pairs[1]]))
    return NTKForm(mean, mean - beta.diagonal(dim1=1, dim2=2).sum(-1), beta)


def _compiled_form(hidden: Hidden, law: LayerLaw, form: NTKForm, rate: Tensor) -> NTKForm:
    members, N, _ = hidden.noise.shape
    P, dtype = len(rate), hidden.noise.dtype
    slopes, pairs, X = (torch.empty(*shape, members, dtype=dtype).numpy() for shape in ((P,), (P, 2 * P), (N, N, N)))
    compiled.neuron_sums(hidden.arrays(), array(law.whitening), slopes, pairs, X)
    above = NTKForm(*(torch.empty_like(part) for part in (form.mean, form.alpha, form.beta)))
    out = (above.mean.numpy(), above.alpha.numpy(), above.beta.numpy())
    compiled.next_form((slopes, pairs, X), array(rate), law.C_W, (array(form.alpha), array(form.beta)), out)
    return above


def _neuron_sums(hidden: Hidden, whitened: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over neurons: sigma'_a sigma'_b (members, P); these times u u^T and w w^T (members, P, 2 P); X (members, N, N, N)."""
    slope = hidden.slopes()
    slopes = _products(pairs, slope)
    products = inner(slopes, _products(pairs, hidden.noise, whitened))
    return slopes.sum(-1).double(), products, _slope_moments(slope, hidden.noise, whitened)


def _members_last(batch: Tensor) -> Tensor:
    return batch.permute(*range(1, batch.ndim), 0).contiguous()


def _pair_index(form: NTKForm) -> Tensor:
    """(N, N) positions of input pairs among the pairs a <= b."""
    N = form.beta.shape[1]
    left, right = torch.triu_indices(N, N)
    index = torch.empty(N, N, dtype=torch.long)
    index[left, right] = index[right, left] = torch.arange(len(left))
    return index.to(form.beta.device)


def _products(pairs: Tensor, *arrays: Tensor) -> Tensor:
    """Products rows_a rows_b of the pairs a <= b, for one array of rows after the other: (members, P * arrays, n)."""
    first = arrays[0]
    products = first.new_empty(len(first), len(arrays), pairs.shape[1], first.shape[-1])
    for rows, out in zip(arrays, products.unbind(1), strict=True):
        for pair, (a, b) in enumerate(pairs.T.tolist()):
            torch.mul(rows[:, a], rows[:, b], out=out[:, pair])
    return products.flatten(1, 2)


def _slope_moments(slope: Tensor, noise: Tensor, whitened: Tensor) -> Tensor:
    """X_a;ce = sum_j sigma'_ja u_jc w_je: (members, N, N, N)."""
    members, N, n = noise.shape
    weighted = (slope[:, :, None] * noise[:, None]).view(members, N * N, n)
    return inner(weighted, whitened).view(members, N, N, N)


def _sandwich(left: Tensor, middle: Tensor, right: Tensor) -> Tensor:
    """left^T middle right of matrices (P, N, N, members)."""
    return _matmul(_matmul(left.transpose(1, 2), middle), right)


def _matmul(left: Tensor, right: Tensor) -> Tensor:
    product = left[:, :, 0, None] * right[:, None, 0]
    for inner_index in range(1, right.shape[1]):
        product.addcmul_(left[:, :, inner_index, None], right[:, None, inner_index])
    return product
