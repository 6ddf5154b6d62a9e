"""What the numbers of an advice mean, in plain words: at most five lines, and a table with a row per layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from rgflow.practice.learning import STEPS
from rgflow.practice.units import Training

ALIKE = 0.99
"""Mean correlation from which inputs are called alike."""

_FAR = 1.0  # of the sum of ln chi_perp from that of the critical point: a factor e


def distance(now: xr.Dataset, critical: xr.Dataset) -> float:
    """Sum over layers of ln(chi_perp now / critical): how much more a difference of inputs grows than it should, in e-folds."""
    ratio = now["layer_chi_perp"].values / critical["layer_chi_perp"].values
    return float(np.nansum(np.log(ratio)))


def phase(now: xr.Dataset, critical: xr.Dataset) -> str:
    """ "divergent", "ordered", "chaotic" or "critical": the last within a factor e over the whole depth."""
    if "layer_chi_perp" not in now:
        return "divergent"
    away = distance(now, critical)
    return "critical" if abs(away) < _FAR else "ordered" if away < 0 else "chaotic"


def state_line(now: xr.Dataset, critical: xr.Dataset) -> str:
    """How the module is initialized now."""
    kind = phase(now, critical)
    if kind == "divergent":
        return f"Now divergent: {now.attrs['remark']}."
    kind = "close to critical" if kind == "critical" else kind
    return f"Now {kind}: {_correlation_words(now)}{_kernel_words(now)}."


def remedy_line(critical: xr.Dataset, remarks: Sequence[str], life: str) -> str:
    """What `initialize_` does."""
    reached = (
        f"afterwards {_correlation_words(critical)}{_kernel_words(critical)}" if "K" in critical else "no prediction"
    )
    return f"initialize_: {'; '.join(remarks) or 'critical'}{life}; {reached}."


def input_line(mean_square: float, scale: float) -> str:
    """The input scale that starts on the fixed point."""
    if math.isnan(scale):
        return f"Inputs: |x|^2/n_0 = {mean_square:.4g}; this activation has no preferred scale."
    return (
        f"Inputs: |x|^2/n_0 = {mean_square:.4g}; times {scale:.4g} (then {mean_square * scale**2:.4g}) K starts at its fixed "
        "point."
    )


def depth_line(dataset: xr.Dataset) -> str:
    """Depth over width against r*, with what that is."""
    ratio, best = float(dataset["aspect_ratio"]), float(dataset["optimal_aspect_ratio"])
    kappa = last_kappa(dataset.sel(initialization="critical"))
    if math.isnan(kappa + best):
        return f"Depth over width L/n = {ratio:.3g}; no order 1/n is predicted for this chain."
    grade = "beyond its width" if kappa > 1.0 else "deeper than balanced" if ratio > best else "wide enough"
    return (
        f"Depth over width L/n = {ratio:.3g}, r* = {best:.3g}: {grade}; V/(nK^2) reaches {kappa:.3g}. "
        "r* is where the expansion in L/n turns, not a promise of best loss."
    )


def last_kappa(data: xr.Dataset) -> float:
    """V/(nK^2) in the last layer that theory has it for; nan if there is none."""
    known = data["kappa"].values[np.isfinite(data["kappa"].values)] if "kappa" in data else np.array([])
    return float(known[-1]) if known.size else math.nan


def learning_line(critical: xr.Dataset, training: Training) -> str:
    """Learning rates, what they are worth, and the spread over seeds."""
    if "initial_spread" not in critical:
        return "Training: no prediction."
    spread = f"Over seeds outputs scatter by {float(critical['initial_spread']):.3g} at the start"
    if "final_spread" in critical:
        spread += f" and, on held-out inputs, by {float(critical['final_spread']):.3g} after {STEPS} steps"
    if training.optimizer == "adam":
        return f"Adam: parameter_groups(lr) scales with width, no value is predicted. {spread}."
    if "steps_to_learn" not in critical:
        return f"{spread}."
    safe = float(critical["safe_rate"].sel(rates="tensor"))
    slack = "" if training.momentum or training.loss != "mse" else ", 2 to 4 times the limit often works (catapult)"
    return (
        f"parameter_groups: lr is safe below {safe:.3g}, {safe / 2:.3g} is suggested{slack}; "
        f"{float(critical['steps_to_learn']):.3g} steps learn the slowest mode that matters by 1/e. {spread}."
    )


def _correlation_words(data: xr.Dataset) -> str:
    correlation, L = data["correlation"].values, len(data["layer"])
    if np.isnan(correlation).all():
        return ""
    alike = np.flatnonzero(correlation > ALIKE)
    if correlation[0] <= ALIKE and alike.size:
        return f"inputs are alike (correlation above {ALIKE}) from layer {alike[0] + 1} of {L}, "
    return f"correlation of inputs goes from {correlation[0]:.3f} to {correlation[-1]:.3f} in {L} layers, "


def _kernel_words(data: xr.Dataset) -> str:
    K = np.einsum("laa->l", data["K"].values) / data["K"].shape[-1]
    return f"K from {K[0]:.3g} to {K[-1]:.3g}"
