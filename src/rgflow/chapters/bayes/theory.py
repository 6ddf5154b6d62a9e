"""Stage ``theory/bayes``: the posterior and the evidence to order 1/n."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.bayes.read import posterior_task
from rgflow.chapters.networks.build import network_of
from rgflow.study.gather import single
from rgflow.theory.learning.bayes import bayes_theory
from rgflow.theory.learning.bayes_nodes import bayes_theory_on_nodes

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec

_QUADRATURE = 12  # samples that take seconds
_NODES = 2**15
_OF_ONE_WIDTH = ("effective_sample_fraction", "effective_sample_fraction_error")


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.learning.bayes.bayes_theory`; besides, the initialization, layer by layer."""
    task = posterior_task(datasets, spec)
    network = network_of(spec, datasets, task.train_targets.shape[1])
    data, noise = (task.train_inputs, task.train_targets, task.test_inputs), spec["noise"]
    nodes = spec["bayes"]["nodes"] or (_NODES if len(task.inputs) > _QUADRATURE else None)
    found = (
        bayes_theory_on_nodes(network, *data, noise=noise, nodes=nodes)
        if nodes
        else bayes_theory(network, *data, noise=noise)
    )
    layers = single(datasets, "hyperparameters")[["layer_C_b", "layer_C_W"]]
    return found.drop_vars(_OF_ONE_WIDTH).merge(layers)
