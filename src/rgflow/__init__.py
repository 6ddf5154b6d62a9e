"""rgflow: the numerical laboratory of the effective theory of deep learning.

The public names load on first use, so that ``import rgflow`` stays fast and needs neither torch nor xarray.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rgflow.activations.activation import Activation
    from rgflow.activations.registry import activation
    from rgflow.errors import RgflowError
    from rgflow.gaussian import wick
    from rgflow.network import Network
    from rgflow.posterior.blocks import sample_posterior
    from rgflow.posterior.diagnostics import posterior_diagnostics
    from rgflow.practice.advise import advise, critical_
    from rgflow.sampling.blocks import sample_initialization
    from rgflow.sampling.dntk import sample_dntk
    from rgflow.store.open import open_results
    from rgflow.streaming import stream_infinite_width
    from rgflow.theory.criticality import flow
    from rgflow.theory.criticality.activation_check import check_activation
    from rgflow.theory.criticality.critical import critical
    from rgflow.theory.depth import information
    from rgflow.theory.infinite_width.kernels import infinite_width_theory
    from rgflow.theory.initialization import action
    from rgflow.theory.initialization.dntk import dntk_theory
    from rgflow.theory.initialization.finite_width import finite_width_tensors
    from rgflow.theory.initialization.tensors import initialization_theory
    from rgflow.theory.learning.bayes import bayes_theory
    from rgflow.theory.learning.evidence import evidence_map
    from rgflow.theory.learning.generalization import generalization
    from rgflow.theory.learning.linear_posterior import linear_posterior
    from rgflow.theory.learning.one_hidden_layer import one_hidden_layer_posterior
    from rgflow.theory.learning.training import training_theory
    from rgflow.training.combine import training_difference
    from rgflow.training.ensemble import train_ensemble
    from rgflow.training.spec import TrainingSpec

__version__ = version("rgflow")

__all__ = [
    "Activation",
    "Network",
    "RgflowError",
    "TrainingSpec",
    "action",
    "activation",
    "advise",
    "bayes_theory",
    "check_activation",
    "critical",
    "critical_",
    "dntk_theory",
    "evidence_map",
    "finite_width_tensors",
    "flow",
    "generalization",
    "infinite_width_theory",
    "information",
    "initialization_theory",
    "linear_posterior",
    "one_hidden_layer_posterior",
    "open_results",
    "posterior_diagnostics",
    "sample_dntk",
    "sample_initialization",
    "sample_posterior",
    "stream_infinite_width",
    "train_ensemble",
    "training_difference",
    "training_theory",
    "wick",
]

_HOME = {
    "Activation": "rgflow.activations.activation",
    "Network": "rgflow.network",
    "RgflowError": "rgflow.errors",
    "TrainingSpec": "rgflow.training.spec",
    "activation": "rgflow.activations.registry",
    "advise": "rgflow.practice.advise",
    "bayes_theory": "rgflow.theory.learning.bayes",
    "check_activation": "rgflow.theory.criticality.activation_check",
    "critical": "rgflow.theory.criticality.critical",
    "critical_": "rgflow.practice.advise",
    "dntk_theory": "rgflow.theory.initialization.dntk",
    "evidence_map": "rgflow.theory.learning.evidence",
    "finite_width_tensors": "rgflow.theory.initialization.finite_width",
    "generalization": "rgflow.theory.learning.generalization",
    "infinite_width_theory": "rgflow.theory.infinite_width.kernels",
    "initialization_theory": "rgflow.theory.initialization.tensors",
    "linear_posterior": "rgflow.theory.learning.linear_posterior",
    "one_hidden_layer_posterior": "rgflow.theory.learning.one_hidden_layer",
    "open_results": "rgflow.store.open",
    "posterior_diagnostics": "rgflow.posterior.diagnostics",
    "sample_dntk": "rgflow.sampling.dntk",
    "sample_initialization": "rgflow.sampling.blocks",
    "sample_posterior": "rgflow.posterior.blocks",
    "stream_infinite_width": "rgflow.streaming",
    "train_ensemble": "rgflow.training.ensemble",
    "training_difference": "rgflow.training.combine",
    "training_theory": "rgflow.theory.learning.training",
}

_MODULES = {
    "action": "rgflow.theory.initialization.action",
    "flow": "rgflow.theory.criticality.flow",
    "information": "rgflow.theory.depth.information",
    "wick": "rgflow.gaussian.wick",
}


_RESULTS = {
    "bayes_theory",
    "dntk_theory",
    "evidence_map",
    "finite_width_tensors",
    "generalization",
    "infinite_width_theory",
    "initialization_theory",
    "linear_posterior",
    "one_hidden_layer_posterior",
    "sample_dntk",
    "sample_initialization",
    "sample_posterior",
    "train_ensemble",
    "training_difference",
    "training_theory",
}
"""Functions whose results carry the meaning of every variable, as stored ones do."""


def __getattr__(name: str) -> Any:
    """Import a public name from its home module, or a public module, on first use."""
    if name in _MODULES:
        value: Any = import_module(_MODULES[name])
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        if name in _RESULTS:
            value = import_module("rgflow.variables.library").documenting(value)
    else:
        raise AttributeError(f"module 'rgflow' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
