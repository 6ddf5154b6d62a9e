"""Stage ``bayes/combine``: the posterior of every width from its islands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.posterior.combine import combine_posterior

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.posterior.combine.combine_posterior`; on ``width``, a width with fewer stages has NaN beyond its last."""
    import xarray as xr

    blocks: dict[int, list[xr.Dataset]] = {}
    for one in datasets["blocks"]:
        blocks.setdefault(one.labels["width"], []).append(one.dataset)
    posteriors = {n: combine_posterior(blocks[n]) for n in sorted(blocks)}
    warnings = [f"n = {n}: {line}" for n, posterior in posteriors.items() for line in posterior.attrs["warnings"]]
    joined = xr.concat(posteriors.values(), xr.Variable("width", list(posteriors)), join="outer", combine_attrs="drop")
    return joined.assign_attrs(warnings=warnings)
