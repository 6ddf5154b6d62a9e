"""Stage ``theory/bayes``: the posterior and the evidence to order 1/n."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.bayes.read import posterior_task
from rgflow.chapters.networks.build import network_of
from rgflow.study.gather import single
from rgflow.theory.learning.bayes import bayes_theory

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec

_OF_ONE_WIDTH = ("effective_sample_fraction", "effective_sample_fraction_error")


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.learning.bayes.bayes_theory`; besides, the initialization, layer by layer."""
    task = posterior_task(datasets, spec)
    network = network_of(spec, datasets, task.train_targets.shape[1])
    data, nodes = (task.train_inputs, task.train_targets, task.test_inputs), spec["bayes"]["nodes"]
    found = bayes_theory(network, *data, noise=spec["noise"], nodes=nodes)
    layers = single(datasets, "hyperparameters")[["layer_C_b", "layer_C_W"]]
    return found.drop_vars(_OF_ONE_WIDTH).merge(layers)
