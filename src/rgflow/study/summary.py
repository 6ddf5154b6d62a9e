"""The table that ends a run: theory, experiment and z, what theory does not predict, and where the report is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rgflow.comparison.summary import format_table, summary_table
from rgflow.errors import RgflowError
from rgflow.store.labels import parse_path
from rgflow.store.open import present, published_stores
from rgflow.store.publish import open_zarr
from rgflow.study import catalogue
from rgflow.study.draw import cell_names, cell_title

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.store.labels import Label

NOT_PREDICTED = "not_predicted"
"""Attribute of a result of theory: what it cannot say."""

WARNINGS = "warnings"
"""Attribute of a result of an experiment: what speaks against trusting it, a line each."""


@dataclass(frozen=True)
class Findings:
    """What a study found.

    Attributes
    ----------
    comparisons
        Every comparison with scores, by the name of its cell (:func:`rgflow.study.draw.cell_names`).
    remarks
        What theory does not predict and what speaks against trusting an experiment, each a line that names its cell: the
        attributes ``not_predicted`` and ``warnings`` of results.
    """

    comparisons: Mapping[str, xr.Dataset]
    remarks: tuple[str, ...]


def findings(results: Path) -> Findings:
    """Read what a study found."""
    scored = {stage.folder for stage in catalogue.stages().values() if stage.scores}
    comparisons: list[tuple[str, Mapping[str, Label], xr.Dataset]] = []
    remarks: list[str] = []
    for store in published_stores(results):
        stage, labels = parse_path(store.relative_to(results))
        if stage in scored:
            comparisons.append((stage, labels, open_zarr(present(store)).load()))
        elif "block" not in labels:  # whose warnings are those of what combines them
            remarks += _remarks(stage, labels, open_zarr(present(store)).attrs)
    names = cell_names([(stage, labels) for stage, labels, _ in comparisons])
    found = {name: one for name, (*_, one) in zip(names, comparisons, strict=True)}
    return Findings(found, tuple(dict.fromkeys(remarks)))


def _remarks(stage: str, labels: Mapping[str, Label], attributes: Mapping[str, Any]) -> Iterator[str]:
    cell = cell_title(labels)
    if what := attributes.get(NOT_PREDICTED):
        yield f"not predicted, {cell}: {what}"
    for line in attributes.get(WARNINGS, ()):
        yield f"warning, {stage}, {cell}: {line}"


def print_summary(results: Path) -> None:
    """Print the table of all comparisons of a study, what is not predicted and what warns, a line each, and where its report is.

    Raises
    ------
    RgflowError
        If there are no results.
    """
    if not any(published_stores(results)):
        raise RgflowError(f"{results}: no results there; run the study first")
    found = findings(results)
    print(format_table(summary_table(found.comparisons)) if found.comparisons else "nothing was compared")
    for line in found.remarks:
        print(line)
    report = results / "report.html"
    print(f"\nreport: {report.resolve()}" if report.exists() else f"\nno report yet: {report}")
