"""Means over sampled members of the products that the tensors are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rgflow.sampling.estimators import MOMENTS, RESIDUAL_MOMENTS, Array
from rgflow.sampling.samples import Samples, Skip


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return torch.einsum("mlab,mlcd->labcd", left, right) / len(left)


def _drawn(samples: Samples, i: int, j: int) -> Tensor:
    assert samples.ntk is not None
    return samples.ntk[:, :, i, j]


def _mean_ntk(samples: Samples) -> Tensor:
    assert samples.ntk_mean is not None
    return samples.ntk_mean


def _cross(samples: Samples) -> Tensor:
    assert samples.cross is not None
    return samples.cross


def _skip(samples: Samples) -> Skip:
    assert samples.skip is not None
    return samples.skip


def _same(covariance: Tensor | None) -> Tensor:
    assert covariance is not None
    return covariance


# means over members, axes (layer, inputs); slots of mean_zzH and mean_H12H12 as in F and B
_MEANS: dict[str, Callable[[Samples], Tensor]] = {
    "mean_G": lambda s: s.metric.mean(0),
    "mean_GG": lambda s: _outer(s.metric, s.metric),
    "mean_GGG": lambda s: (s.metric.diagonal(dim1=2, dim2=3) ** 3).mean(0),
    "mean_H": lambda s: _mean_ntk(s).mean(0),
    "mean_GH": lambda s: _outer(s.metric, _mean_ntk(s)),
    "mean_zzH": _cross,
    "mean_H11": lambda s: _drawn(s, 0, 0).mean(0),
    "mean_H22": lambda s: _drawn(s, 1, 1).mean(0),
    "mean_H11H22": lambda s: _outer(_drawn(s, 0, 0), _drawn(s, 1, 1)),
    "mean_H12H12": lambda s: _outer(_drawn(s, 0, 1), _drawn(s, 0, 1)).transpose(2, 3),
    "mean_z": lambda s: _skip(s).mean.mean(0),
    "mean_zG": lambda s: torch.einsum("mla,mlbc->labc", _skip(s).mean, s.metric) / len(s.metric),
    "mean_zG_same": lambda s: _same(_skip(s).same_zG),
    "mean_GG_same": lambda s: _same(_skip(s).same_GG),
}


def sample_means(samples: Samples, tensors: frozenset[str]) -> dict[str, Array]:
    """Means over the members of some samples that the tensors are made of, each (layer, inputs)."""
    moments = MOMENTS if samples.skip is None else RESIDUAL_MOMENTS
    names = dict.fromkeys(name for tensor in moments if tensor in tensors for name in moments[tensor])
    return {name: _MEANS[name](samples).cpu().numpy() for name in names}
