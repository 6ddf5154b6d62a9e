"""The table that ends a run: theory, experiment and z, what theory does not predict, and where the report is."""

from __future__ import annotations

from pathlib import Path

from rgflow.comparison.summary import format_table, summary_table
from rgflow.errors import RgflowError
from rgflow.store.labels import parse_path
from rgflow.store.open import present, published_stores
from rgflow.store.publish import open_zarr
from rgflow.study import catalogue
from rgflow.study.draw import cell_name, cell_title

NOT_PREDICTED = "not_predicted"
"""Attribute of a result of theory: what it cannot say."""


def print_summary(results: Path) -> None:
    """Print the table of all comparisons of a study, a line for each thing that is not predicted, and the path of its report.

    What is not predicted stands in the attribute ``not_predicted`` of results.

    Raises
    ------
    RgflowError
        If there are no comparisons, and nothing that could not be compared.
    """
    scored = {stage.folder for stage in catalogue.stages().values() if stage.scores}
    comparisons, missing = {}, {}
    for store in published_stores(results):
        stage, labels = parse_path(store.relative_to(results))
        if stage in scored:
            comparisons[cell_name(stage, labels)] = open_zarr(present(store)).load()
        elif stage.startswith("theory/") and (what := open_zarr(present(store)).attrs.get(NOT_PREDICTED)):
            missing[cell_title(labels)] = what
    if not (comparisons or missing):
        raise RgflowError(f"{results}: no comparisons there; run the study first")
    if comparisons:
        print(format_table(summary_table(comparisons)))
    for cell, what in missing.items():
        print(f"not predicted, {cell}: {what}")
    report = results / "report.html"
    print(f"\nreport: {report.resolve()}" if report.exists() else f"\nno report yet: {report}")
