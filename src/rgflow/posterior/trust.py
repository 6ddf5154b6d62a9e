"""What speaks against trusting a sampled posterior, a line each. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from rgflow.theory.learning.conditioning import log_evidence_bound

LARGEST_SPREAD = 1.0  # standard deviation of log Z over islands
FEWEST_EFFECTIVE = 0.1  # of the particles, at the end
LOWEST_ACCEPTANCE = {"rotation": 0.4, "crank_nicolson": 0.1}  # by the name of the move


def posterior_warnings(posterior: xr.Dataset) -> list[str]:
    """The warnings of a combined posterior.

    Parameters
    ----------
    posterior
        With ``island_log_evidence``, ``log_evidence``, ``ess``, ``acceptance``, ``role`` and the islands' attributes.
    """
    return [*_islands(posterior), *_particles(posterior), *_bound(posterior)]


def _islands(posterior: xr.Dataset) -> Iterator[str]:
    log_Z = posterior["island_log_evidence"].values
    spread = float(log_Z.std(ddof=1))
    if spread > LARGEST_SPREAD:
        yield (
            f"log Z varies by {spread:.2g} between islands, more than {LARGEST_SPREAD:g}: error bars are not to be "
            "trusted; take more particles"
        )
    effective = float(np.exp(2.0 * logsumexp(log_Z) - logsumexp(2.0 * log_Z)))
    if effective < len(log_Z) / 2:
        yield f"{effective:.1f} of {len(log_Z)} islands carry the weight, fewer than half; take more particles"


def _particles(posterior: xr.Dataset) -> Iterator[str]:
    moved, lowest = posterior["acceptance"].values[:-1], LOWEST_ACCEPTANCE[posterior.attrs["move"]]
    for stage in np.flatnonzero(moved < lowest):
        yield f"acceptance is {moved[stage]:.2f} in stage {stage}, less than {lowest:g}; take more particles"
    effective = float(posterior["ess"][-1])
    if effective < FEWEST_EFFECTIVE:
        yield (
            f"{effective:.2g} of the particles are effective at the end, less than {FEWEST_EFFECTIVE:g}; "
            "take more particles"
        )


def _bound(posterior: xr.Dataset) -> Iterator[str]:
    noise, trained = json.loads(posterior.attrs["inference"])["noise"], posterior["role"].values == "train"
    bound = log_evidence_bound(posterior.sizes["output"], int(trained.sum()), noise)
    log_evidence = float(posterior["log_evidence"])
    if log_evidence > bound:
        yield f"log_evidence = {log_evidence:.6g} exceeds the largest possible, -n_L N_A/2 log(2 pi noise) = {bound:.6g}"
