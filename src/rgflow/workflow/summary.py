"""The table that ends a run: theory, experiment and z, and where the report is."""

from __future__ import annotations

from pathlib import Path

from rgflow.comparison.summary import format_table, summary_table
from rgflow.errors import RgflowError
from rgflow.store.labels import parse_path
from rgflow.store.open import published_stores
from rgflow.store.publish import open_zarr
from rgflow.workflow.draw import cell_name

_CHAPTERS = ("initialization", "dntk", "training")  # of the comparisons that hold z-scores


def print_summary(results: Path) -> None:
    """Print the table of all comparisons of a study and the path of its report.

    Raises
    ------
    RgflowError
        If there are no comparisons.
    """
    stores = [store for chapter in _CHAPTERS for store in published_stores(results / "comparison" / chapter)]
    if not stores:
        raise RgflowError(f"{results}: no comparisons there; run the study first")
    comparisons = {}
    for store in stores:
        stage, labels = parse_path(store.relative_to(results))
        comparisons[cell_name(stage, labels)] = open_zarr(store).load()
    print(format_table(summary_table(comparisons)))
    report = results / "report.html"
    print(f"\nreport: {report.resolve()}" if report.exists() else f"\nno report yet: {report}")
