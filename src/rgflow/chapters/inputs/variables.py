"""What is stored of the inputs."""

from __future__ import annotations

from rgflow.store.variables import Variable

VARIABLES = (
    Variable("x", ("sample", "feature"), "f", "input", "x_{j;a}, after normalization"),
    Variable("y", ("sample", "output"), "f", "target", "y_{i;a}"),
    Variable("probe", ("sample",), "b", "input used for theory and ensembles at initialization", ""),
)
