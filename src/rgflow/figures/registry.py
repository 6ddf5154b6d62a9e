"""All figures by name: what each is drawn from and where it belongs in the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from rgflow.figures import (
    correlation,
    depth,
    dntk,
    exact_law,
    exponent_table,
    exponents,
    extrapolation,
    final_predictions,
    gaussianity,
    images,
    kernel_flow,
    phase_diagram,
    prediction_paths,
    tensors,
    training_curves,
    z_overview,
)


@dataclass(frozen=True)
class FigureSpec:
    """One figure.

    Attributes
    ----------
    draw : callable
        Called with one keyword argument per name in ``inputs``.
    inputs : tuple of str
        Datasets (or, for a figure of the whole study, mappings from cell labels to datasets) it is drawn from.
    chapter : str
        ``"inputs"``, ``"criticality"``, ``"initialization"``, ``"dntk"``, ``"training"`` or ``"overview"``.
    """

    draw: Callable[..., Figure]
    inputs: tuple[str, ...]
    chapter: str


FIGURES: dict[str, FigureSpec] = {
    "images": FigureSpec(images.draw, ("inputs",), "inputs"),
    "phase_diagram": FigureSpec(phase_diagram.draw, ("phases",), "criticality"),
    "kernel_flow": FigureSpec(kernel_flow.draw, ("phases",), "criticality"),
    "tensors": FigureSpec(tensors.draw, ("phases",), "criticality"),
    "exponent_table": FigureSpec(exponent_table.draw, ("phases",), "criticality"),
    "depth": FigureSpec(depth.draw, ("theory", "ensembles", "comparison"), "initialization"),
    "extrapolation": FigureSpec(extrapolation.draw, ("comparison",), "initialization"),
    "gaussianity": FigureSpec(gaussianity.draw, ("theory", "ensembles"), "initialization"),
    "correlation": FigureSpec(correlation.draw, ("theory", "ensembles"), "initialization"),
    "exact_law": FigureSpec(exact_law.draw, ("exact",), "initialization"),
    "dntk": FigureSpec(dntk.draw, ("comparison",), "dntk"),
    "training_curves": FigureSpec(training_curves.draw, ("theory", "trained"), "training"),
    "prediction_paths": FigureSpec(prediction_paths.draw, ("theory", "trained"), "training"),
    "final_predictions": FigureSpec(final_predictions.draw, ("theory", "trained", "inputs"), "training"),
    "z_overview": FigureSpec(z_overview.draw, ("comparisons",), "overview"),
    "exponents": FigureSpec(exponents.draw, ("exponents",), "overview"),
}
