"""The short table theory | experiment | z at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

HEADER = ("cell", "quantity", "component", "theory", "experiment", "z", "next order", "n -> inf", "z inf", "rms")
"""Column names of :meth:`SummaryRow.cells`."""


@dataclass(frozen=True)
class SummaryRow:
    """The worst component of one quantity in one cell of the study.

    Attributes
    ----------
    cell, quantity, component : str
        Label of the cell, name of the quantity, indices of the component, e.g. ``"layer 8 (0 0)"``.
    theory : float
        Leading order (n = infinity).
    width : int
        Largest width; ``experiment``, ``stderr``, ``z`` belong to it.
    experiment, stderr, z : float
        Estimate, its standard error, and (experiment - theory) / stderr.
    shift : float
        Expected contribution of the next order in 1/n to z (theory's coefficient, else the fitted one).
    intercept, intercept_stderr, z_intercept : float
        Extrapolation to infinite width, against theory; NaN where there is one width only.
    score : float
        ``z_intercept``; of one width, z against theory with its next order. The component is the one where it is largest.
    rms : float
        rms of the score over all components of the quantity: 1 if theory holds.
    components : int
        Number of distinct components.
    """

    cell: str
    quantity: str
    component: str
    theory: float
    width: int
    experiment: float
    stderr: float
    z: float
    shift: float
    intercept: float
    intercept_stderr: float
    z_intercept: float
    score: float
    rms: float
    components: int

    def cells(self) -> tuple[str, ...]:
        """The row as short strings, one per column of :data:`HEADER`."""
        return (
            self.cell,
            self.quantity,
            self.component,
            f"{self.theory:.5g}",
            f"{with_error(self.experiment, self.stderr)} at n={self.width}",
            f"{self.z:+.1f}",
            f"{self.shift:+.1f}",
            *self._extrapolation(),
            f"{self.rms:.2f} of {self.components}",
        )

    def _extrapolation(self) -> tuple[str, str]:
        if np.isnan(self.intercept):
            return "-", "-"
        return with_error(self.intercept, self.intercept_stderr), f"{self.z_intercept:+.1f}"


def with_error(value: float, stderr: float) -> str:
    """Write a value with two digits of its standard error in parentheses: ``35.21(48)``."""
    if not (np.isfinite(stderr) and stderr > 0.0):
        return f"{value:.5g}"
    decimals = 1 - int(np.floor(np.log10(stderr)))
    if 0 <= decimals <= 6:
        return f"{value:.{decimals}f}({stderr * 10**decimals:.0f})" if decimals else f"{value:.0f}({stderr:.0f})"
    return f"{value:.4g} ± {stderr:.2g}"


def summary_table(comparisons: Mapping[str, xr.Dataset], most_rows: int | None = 15) -> list[SummaryRow]:
    """One row per quantity and cell: the component where the extrapolation to n = infinity is furthest from theory.

    Of one width, which cannot be extrapolated, the component that is furthest from theory with its next order.

    Parameters
    ----------
    comparisons : mapping
        Cell label (``"relu initialization"``) to the result of :mod:`rgflow.comparison.compare`.
    most_rows : int, optional
        If there are more, those with the largest ``|score|`` are kept, in the given order; None: all.

    Returns
    -------
    list of SummaryRow
    """
    rows = [
        _worst(cell, str(quantity), compared)
        for cell, compared in comparisons.items()
        for quantity in compared["quantity"].values
    ]
    kept = sorted(range(len(rows)), key=lambda row: -abs(rows[row].score))[:most_rows]
    return [rows[row] for row in sorted(kept)]


def format_table(rows: Iterable[SummaryRow]) -> str:
    """The rows under :data:`HEADER` as aligned plain text."""
    cells = [HEADER, *(row.cells() for row in rows)]
    lengths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(length) for cell, length in zip(line, lengths, strict=True)).rstrip() for line in cells
    )


def _worst(cell: str, quantity: str, compared: xr.Dataset) -> SummaryRow:
    of_quantity = compared.isel(component=compared["component_quantity"].values == quantity)
    widest = of_quantity.sel(width=of_quantity["width"].max())
    total = compared.sel(quantity=quantity, width=widest["width"])
    name = "z_intercept" if "intercept" in compared else "z_next"
    worst = widest.isel(component=int(abs(widest[name]).argmax("component")))
    return SummaryRow(
        cell=cell,
        quantity=quantity,
        component=component_label(worst),
        theory=float(worst["theory"]),
        width=int(worst["width"]),
        experiment=float(worst["experiment"]),
        stderr=float(worst["stderr"]),
        z=float(worst["z_leading"]),
        shift=float(worst["next_order_shift"]),
        intercept=float(worst.get("intercept", np.nan)),
        intercept_stderr=float(worst.get("intercept_stderr", np.nan)),
        z_intercept=float(worst.get("z_intercept", np.nan)),
        score=float(worst[name]),
        rms=float(total[f"{name}_rms"]),
        components=int(total["components"]),
    )


def component_label(component: xr.Dataset) -> str:
    """Indices of one component in words: ``"layer 8 (0 1)"``, ``"step 40 sample 3"``."""
    scalars = {str(dim): label.values for dim, label in component.coords.items() if label.ndim == 0}
    integers = {dim: int(label) for dim, label in scalars.items() if label.dtype.kind in "iu" and label >= 0}
    used = {dim: value for dim, value in integers.items() if dim not in ("width", "output")}
    legs = " ".join(str(value) for dim, value in used.items() if "sample_" in dim)
    words = [f"{dim} {value}" for dim, value in used.items() if "sample_" not in dim]
    return " ".join([*words, f"({legs})"] if legs else words)
