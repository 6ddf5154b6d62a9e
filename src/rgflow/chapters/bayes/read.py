"""From specs and stored data to what is conditioned on what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import task_of
from rgflow.posterior.spec import Inference
from rgflow.task import Task

if TYPE_CHECKING:
    from rgflow.study.stage import Datasets, Spec


def posterior_task(datasets: Datasets, spec: Spec) -> Task:
    """The first train samples, and the first test samples if the spec says how many; else none but the train samples."""
    task, train = task_of(datasets), spec["train"]
    test = task.test_inputs[: spec["bayes"]["test"]] if "test" in spec["bayes"] else task.train_inputs[:train]
    return Task(task.train_inputs[:train], task.train_targets[:train], test)


def inference_of(spec: Spec) -> Inference:
    """How the posterior is sampled."""
    return Inference(spec["noise"], **{name: spec["bayes"][name] for name in ("particles", "seed", "dtype")})
