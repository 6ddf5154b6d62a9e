"""Model selection: which activation, depth and initialization the data of a study prefer, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rgflow.comparison.summary import with_error
from rgflow.errors import RgflowError
from rgflow.store.labels import parse_path
from rgflow.store.open import present, published_stores
from rgflow.store.publish import open_zarr

if TYPE_CHECKING:
    import xarray as xr

Labels = Mapping[str, Any]
_HEADER = ("activation", "init", "depth", "n", "n = inf", "1/n", "exact", "log Bayes factor", "exp(-c/n)", "measured")


@dataclass(frozen=True)
class EvidenceRow:
    """The log evidence of networks of one kind and width, given data.

    Attributes
    ----------
    train, noise
        The data: number of train samples, noise.
    activation, init, depth, width
        The networks.
    leading, following
        Log evidence at infinite width and to order 1/n.
    exact, stderr
        Log evidence of the sampled networks, with its standard error.
    predicted, measured
        Effective fraction of reweighted prior draws: exp(-c/n), and of the draws.
    """

    train: int
    noise: float
    activation: str
    init: str
    depth: int
    width: int
    leading: float
    following: float
    exact: float
    stderr: float
    predicted: float
    measured: float

    def against(self, best: EvidenceRow) -> tuple[float, float]:
        """Log Bayes factor against another row, with its standard error; islands of both are independent."""
        same = self is best
        return self.exact - best.exact, 0.0 if same else float(np.hypot(self.stderr, best.stderr))


def evidence_table(results: Path) -> list[EvidenceRow]:
    """The evidence of all networks of a finished study, the same data together, the best first.

    Parameters
    ----------
    results
        ``results/<study>``.

    Raises
    ------
    RgflowError
        If there are no posteriors.
    """
    theories, posteriors = (_stored(results, stage) for stage in ("theory/bayes", "bayes"))
    both = [cell for cell in posteriors if cell in theories]
    if not both:
        raise RgflowError(f"{results}: no posteriors there; give the study a section bayes and run it")
    return evidence_rows((dict(cell), theories[cell], posteriors[cell]) for cell in both)


def evidence_rows(cells: Iterable[tuple[Labels, xr.Dataset, xr.Dataset]]) -> list[EvidenceRow]:
    """Rows from labels, theory and sampled posterior of cells, sorted as in ``evidence_table``."""
    rows = [row for labels, theory, posterior in cells for row in _rows(labels, theory, posterior)]
    return sorted(rows, key=lambda row: (row.train, row.noise, -row.exact))


def _stored(results: Path, stage: str) -> dict[tuple[tuple[str, Any], ...], xr.Dataset]:
    """The datasets of a stage, without single blocks, by labels."""
    found = {}
    for store in published_stores(results):
        name, labels = parse_path(store.relative_to(results))
        if name == stage and "block" not in labels:
            found[tuple(labels.items())] = open_zarr(present(store)).load()
    return found


def _rows(labels: Labels, theory: xr.Dataset, posterior: xr.Dataset) -> Iterator[EvidenceRow]:
    for n in posterior["width"].values.tolist():
        one = posterior.sel(width=n)
        yield EvidenceRow(
            **{name: labels[name] for name in ("train", "noise", "activation", "init", "depth")},
            width=n,
            leading=float(theory["log_evidence"]),
            following=float(theory["log_evidence"] + theory["log_evidence1"] / n),
            exact=float(one["log_evidence"]),
            stderr=float(one["log_evidence_stderr"]),
            predicted=float(np.exp(-theory["log_weight_variance"] / n)),
            measured=float(one["effective_sample_fraction"]),
        )


def format_evidence(rows: Iterable[EvidenceRow]) -> str:
    """The rows as aligned text, a table for each set of data; the evidence of different data is not to be compared."""
    by_data: dict[tuple[int, float], list[EvidenceRow]] = {}
    for row in rows:
        by_data.setdefault((row.train, row.noise), []).append(row)
    return "\n\n".join(_table(data, own) for data, own in by_data.items())


def _table(data: tuple[int, float], rows: list[EvidenceRow]) -> str:
    best = rows[0]
    cells = [_HEADER, *(_cells(row, best) for row in rows)]
    lengths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(size) for cell, size in zip(line, lengths, strict=True)).rstrip() for line in cells]
    title = f"log evidence of {data[0]} train samples with noise {data[1]:g}; the data prefer"
    return "\n".join([f"{title} {best.activation}, {best.init}, depth {best.depth}, n = {best.width}", *lines])


def _cells(row: EvidenceRow, best: EvidenceRow) -> tuple[str, ...]:
    return (
        row.activation,
        str(row.init),
        str(row.depth),
        str(row.width),
        f"{row.leading:.2f}",
        f"{row.following:.2f}",
        with_error(row.exact, row.stderr),
        "best" if row is best else with_error(*row.against(best)),
        f"{row.predicted:.2g}",
        f"{row.measured:.2g}",
    )
