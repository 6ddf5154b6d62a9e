"""The table that ends a run: theory, experiment and z, what theory does not predict, and where the report is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rgflow.comparison.summary import format_table, summary_table
from rgflow.errors import RgflowError
from rgflow.store.labels import parse_path
from rgflow.store.open import present, published_stores
from rgflow.store.publish import open_zarr
from rgflow.study import catalogue
from rgflow.study.draw import cell_names, cell_title

if TYPE_CHECKING:
    import xarray as xr

NOT_PREDICTED = "not_predicted"
"""Attribute of a result of theory: what it cannot say."""


@dataclass(frozen=True)
class Findings:
    """What a study found.

    Attributes
    ----------
    comparisons
        Every comparison with scores, by the name of its cell (:func:`rgflow.study.draw.cell_names`).
    missing
        What theory does not predict, by cell: the attribute ``not_predicted`` of results.
    """

    comparisons: Mapping[str, xr.Dataset]
    missing: Mapping[str, str]


def findings(results: Path) -> Findings:
    """Read what a study found."""
    scored = {stage.folder for stage in catalogue.stages().values() if stage.scores}
    comparisons, missing = [], {}
    for store in published_stores(results):
        stage, labels = parse_path(store.relative_to(results))
        if stage in scored:
            comparisons.append((stage, labels, open_zarr(present(store)).load()))
        elif stage.startswith("theory/") and (what := open_zarr(present(store)).attrs.get(NOT_PREDICTED)):
            missing[cell_title(labels)] = what
    names = cell_names([(stage, labels) for stage, labels, _ in comparisons])
    return Findings({name: found for name, (*_, found) in zip(names, comparisons, strict=True)}, missing)


def print_summary(results: Path) -> None:
    """Print the table of all comparisons of a study, a line for each thing that is not predicted, and the path of its report.

    Raises
    ------
    RgflowError
        If there are no comparisons, and nothing that could not be compared.
    """
    found = findings(results)
    if not (found.comparisons or found.missing):
        raise RgflowError(f"{results}: no comparisons there; run the study first")
    if found.comparisons:
        print(format_table(summary_table(found.comparisons)))
    for cell, what in found.missing.items():
        print(f"not predicted, {cell}: {what}")
    report = results / "report.html"
    print(f"\nreport: {report.resolve()}" if report.exists() else f"\nno report yet: {report}")
