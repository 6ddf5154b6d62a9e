"""Stage ``theory/training``: what theory says of training at every recorded step, and in ``not_predicted`` what it does not.

Where order 1/n is known the means of the control variates come along: both take the same tensors of all samples, which are
too large to be stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rgflow.chapters.training.build import cell_method, cell_network, cell_task
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.finite_width import mean_and_error, tensor_randomizations
from rgflow.theory.learning.statistics import TENSORS
from rgflow.theory.learning.training import highest_order, training_theory
from rgflow.training.controls import control_means
from rgflow.training.frozen import Frozen
from rgflow.training.spec import TrainingSpec

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec

_KERNELS = ("K_output", "Theta_output", "theta_eigenvalue", "theta_max")


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.training_theory` and :func:`rgflow.training.controls.control_means`."""
    task, network, method = cell_task(datasets, spec), cell_network(datasets, spec), cell_method(datasets, spec)
    if odd := beyond_theory(method):
        leading = _predicted(network, task, method, step_fraction=0.5, order="leading")
        kernels = leading.drop_vars([name for name in leading.data_vars if name not in _KERNELS])
        return kernels.assign(learning_rate=method.rate).assign_attrs(
            not_predicted=f"{odd}: mean, covariance and losses in training"
        )
    order = min(spec["training"]["order"], highest_order(network))  # "leading" < "next"
    if order == "leading":
        leading = _predicted(network, task, method, learning_rate=method.rate, order=order)
        return leading.assign_attrs(not_predicted=f"{_why_leading(network)}: order 1/n of training")
    return _to_next_order(network, task, method, spec["training"]["nodes"])


def beyond_theory(method: TrainingSpec) -> str:
    """What of a method of training theory does not predict, as ``optimizer = adam``; empty if it predicts all."""
    plain = {"loss": "mse", "optimizer": "gd", "momentum": 0.0, "batch_size": None}
    odd = {name: getattr(method, name) for name, value in plain.items() if getattr(method, name) != value}
    return ", ".join(f"{name} = {value}" for name, value in odd.items())


def _why_leading(network: Network) -> str:
    if network.architecture.name != "plain":
        return f"{network.architecture.name} networks"
    return f"{network.activation.label} has kinks" if highest_order(network) == "leading" else "order = leading"


def _predicted(network: Network, task: Task, method: TrainingSpec, **settings: object) -> xr.Dataset:
    steps = sorted({*method.recorded, *method.recorded_ntk})
    return training_theory(
        network,
        task.train_inputs,
        task.train_targets,
        task.test_inputs,
        test_targets=task.test_targets,
        steps=steps,
        **settings,  # type: ignore[arg-type]
    )


def _to_next_order(network: Network, task: Task, method: TrainingSpec, nodes: int | None) -> xr.Dataset:
    """Theory at order 1/n, and the means of controls from the same tensors on their way."""
    frozen, controls = Frozen.of(network, task, method.rate), []

    def watched() -> Iterator[xr.Dataset]:
        for tensors in tensor_randomizations(network, task.inputs, TENSORS, nodes=nodes):
            controls.append(control_means(frozen, tensors, method.recorded))
            yield tensors

    predicted = _predicted(network, task, method, learning_rate=method.rate, tensors=watched())
    means = mean_and_error(controls).reindex(step=predicted["step"], fill_value=0.0)
    return predicted.assign(means)
