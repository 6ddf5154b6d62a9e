"""rgflow: the numerical laboratory of the effective theory of deep learning.

The public names load on first use, so that ``import rgflow`` stays fast and needs neither torch nor xarray.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rgflow.activations.registry import Activation, activation
    from rgflow.errors import RgflowError
    from rgflow.network import Network
    from rgflow.sampling.blocks import sample_initialization
    from rgflow.sampling.dntk import sample_dntk
    from rgflow.store.open import open_results
    from rgflow.streaming import stream_infinite_width
    from rgflow.theory.criticality.critical import critical
    from rgflow.theory.infinite_width.kernels import infinite_width_theory
    from rgflow.theory.initialization.dntk import dntk_theory
    from rgflow.theory.initialization.tensors import initialization_theory
    from rgflow.theory.learning.bayes import bayes_theory
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
    "activation",
    "bayes_theory",
    "critical",
    "dntk_theory",
    "infinite_width_theory",
    "initialization_theory",
    "open_results",
    "sample_dntk",
    "sample_initialization",
    "stream_infinite_width",
    "train_ensemble",
    "training_difference",
    "training_theory",
]

_HOME = {
    "Activation": "rgflow.activations.registry",
    "Network": "rgflow.network",
    "RgflowError": "rgflow.errors",
    "TrainingSpec": "rgflow.training.spec",
    "activation": "rgflow.activations.registry",
    "bayes_theory": "rgflow.theory.learning.bayes",
    "critical": "rgflow.theory.criticality.critical",
    "dntk_theory": "rgflow.theory.initialization.dntk",
    "infinite_width_theory": "rgflow.theory.infinite_width.kernels",
    "initialization_theory": "rgflow.theory.initialization.tensors",
    "open_results": "rgflow.store.open",
    "sample_dntk": "rgflow.sampling.dntk",
    "sample_initialization": "rgflow.sampling.blocks",
    "stream_infinite_width": "rgflow.streaming",
    "train_ensemble": "rgflow.training.ensemble",
    "training_difference": "rgflow.training.combine",
    "training_theory": "rgflow.theory.learning.training",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'rgflow' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
