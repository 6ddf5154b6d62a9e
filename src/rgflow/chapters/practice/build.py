"""From the spec of a cell to its chain of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.activations.registry import activation
from rgflow.practice.chain import Chain, chain_for
from rgflow.task import Task

if TYPE_CHECKING:
    from rgflow.study.stage import Spec


def cell_chain(task: Task, spec: Spec) -> Chain:
    """The chain that learns a task with the activation, depth and width of a cell."""
    sigma = activation(spec["activation"]["name"], **spec["activation"]["parameters"])
    return chain_for(task, sigma, spec["depth"], spec["width"])
