"""The table that ends a run: theory, experiment and z, and where the report is."""

from __future__ import annotations

from pathlib import Path

from rgflow.comparison.summary import format_table, summary_table
from rgflow.errors import RgflowError
from rgflow.store.labels import parse_path
from rgflow.store.open import present, published_stores
from rgflow.store.publish import open_zarr
from rgflow.study import catalogue
from rgflow.study.draw import cell_name


def print_summary(results: Path) -> None:
    """Print the table of all comparisons of a study and the path of its report.

    Raises
    ------
    RgflowError
        If there are no comparisons.
    """
    scored = {stage.folder for stage in catalogue.stages().values() if stage.scores}
    comparisons = {}
    for store in published_stores(results):
        stage, labels = parse_path(store.relative_to(results))
        if stage in scored:
            comparisons[cell_name(stage, labels)] = open_zarr(present(store)).load()
    if not comparisons:
        raise RgflowError(f"{results}: no comparisons there; run the study first")
    print(format_table(summary_table(comparisons)))
    report = results / "report.html"
    print(f"\nreport: {report.resolve()}" if report.exists() else f"\nno report yet: {report}")
