"""What all exact posteriors return: a dataset made from raw moments of the outputs and their errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array

_PAIR = ("sample_1", "sample_2")


class PosteriorMoments(NamedTuple):
    """Log evidence, posterior means (output, sample) and second moments (output, sample, output, sample), kernels by name."""

    log_evidence: Array
    mean: Array
    second: Array
    kernels: Mapping[str, Array]


def posterior_dataset(task: Task, moments: PosteriorMoments, errors: PosteriorMoments) -> xr.Dataset:
    """Mean, covariance, log evidence and kernels, each with its ``<name>_error``, on samples train then test."""
    crossed = np.multiply.outer(np.abs(moments.mean), errors.mean)
    covariance = moments.second - np.multiply.outer(moments.mean, moments.mean)
    covariance_error = errors.second + crossed + crossed.transpose(2, 3, 0, 1)
    found, bounds = _labelled(moments, covariance), _labelled(errors, covariance_error)
    return xr.Dataset(found | {f"{name}_error": bound for name, bound in bounds.items()}, task.coordinates)


def _labelled(moments: PosteriorMoments, covariance: Array) -> dict[str, tuple[tuple[str, ...], Array]]:
    return {
        "log_evidence": ((), moments.log_evidence),
        "posterior_mean": (("sample", "output"), moments.mean.T),
        "posterior_covariance": (("output_1", "output_2", *_PAIR), covariance.transpose(0, 2, 1, 3)),
        **{name: (_PAIR, kernel) for name, kernel in moments.kernels.items()},
    }
