"""The report of a finished study: one page that opens offline, from what was found down to the jobs that found it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rgflow.errors import RgflowError
from rgflow.settings.plain import read_yaml
from rgflow.store.manifest import write_atomically
from rgflow.study import catalogue
from rgflow.study.draw import cell_title
from rgflow.study.plan import Labels, Study
from rgflow.study.stage import Chapter, Figure
from rgflow.study.summary import Findings, findings

if TYPE_CHECKING:
    from rgflow.comparison.summary import SummaryRow
    from rgflow.figures.page import Picture

_FIRST = "overview"  # the chapter on what all others found
_ROWS = 20  # of the table in sight
_MOST_INSIDE = 60  # cells of a figure whose pictures are inside the page; of more they are linked
_LOUD = 3.5  # |z|, of the worst of many components, that is worth a look
_ABOUT = (
    "The effective theory of wide-but-finite neural networks (Roberts, Yaida &amp; Hanin, <em>The Principles of Deep Learning"
    " Theory</em>) next to networks that were sampled and trained. In every picture, points with error bars are experiment"
    " and black lines are theory at leading order; lighter points are narrower networks. A click on a picture makes it large."
)
_TABLE = (
    "A row per cell and quantity: its component that is furthest from theory after extrapolation to infinite width."
    " <b>theory</b> is the leading order, <b>experiment</b> the widest networks with their standard error in parentheses, and"
    " <b>z</b> their difference in units of it; <b>next order</b> is what order 1/n should add to z. <b>n → inf</b> extrapolates"
    " all widths, <b>z inf</b> compares that with theory, and <b>rms</b> is over all components: 1 where theory holds."
    " Of one width, which cannot be extrapolated, the component furthest from theory with its next order, and the rms of those."
)

_GRAPH = "What every stage reads, how many jobs it has, and the wall time of all of them as they last ran."


def write_report(study: Path, output: Path) -> None:
    """Write the page: the table theory | experiment | z, all figures by chapter with their captions, then the jobs.

    Parameters
    ----------
    study
        ``study.yaml`` in the folder of the results.
    output
        The page; it appears under its name only when it is complete.

    Raises
    ------
    RgflowError
        If the file is no configuration, or a figure is missing.
    """
    plan, folder = Study(read_yaml(study)), study.parent
    first, *others = sorted(catalogue.chapters(), key=lambda chapter: chapter.name != _FIRST)
    done = _Finished(plan, folder, output.parent)
    parts = [
        ("results", "Results", _results(done, first)),
        *((one.name, one.title, body) for one in others if (body := "\n".join(_figures(done, one)))),
        ("jobs", "Jobs", _jobs(done)),
        ("configuration", "Configuration", f"<pre>{escape(study.read_text(encoding='utf-8'))}</pre>"),
    ]
    from rgflow.figures.page import navigation, page, section

    head = f"<h1>{escape(plan.config.study)}</h1>\n<p>{_ABOUT}</p>\n{navigation((name, title) for name, title, _ in parts)}"
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        output, page(f"rgflow: {plan.config.study}", "\n".join([head, *(section(*part) for part in parts)]))
    )


class _Finished(NamedTuple):
    """A finished study: what it is, where its results are, and where the page will be."""

    plan: Study
    folder: Path
    beside: Path


def _results(done: _Finished, overview: Chapter) -> str:
    """The table of the run's end, the whole of it folded away, and what all chapters found in one picture each."""
    found = findings(done.folder)
    remarks = "".join(f"<li>{escape(line[0].upper() + line[1:])}</li>" for line in found.remarks)
    return "\n".join([_tables(found), f"<ul>{remarks}</ul>" if remarks else "", *_figures(done, overview)])


def _tables(found: Findings) -> str:
    from rgflow.comparison.summary import summary_table

    everything = summary_table(found.comparisons, most_rows=None)
    if not everything:
        return "<p>Nothing was compared.</p>"
    shown = summary_table(found.comparisons, most_rows=_ROWS)
    rest = f"<details><summary>all {len(everything)} rows</summary>{_table(everything)}</details>"
    return f"<p>{_TABLE}</p>{_table(shown)}{rest if len(everything) > len(shown) else ''}"


def _table(rows: Sequence[SummaryRow]) -> str:
    from rgflow.comparison.summary import HEADER
    from rgflow.figures.page import html_table

    loud = [number for number, row in enumerate(rows) if abs(row.score) > _LOUD]
    return html_table(HEADER, [row.cells() for row in rows], text=3, loud=loud)


def _figures(done: _Finished, chapter: Chapter) -> Iterator[str]:
    """Every figure of a chapter over its caption; cells that differ in one label only stand side by side."""
    from rgflow.figures.page import figure

    drawn = {one.name: drawing.cells for drawing in done.plan.drawings for one in drawing.figures}
    for one in chapter.figures:
        inside = len(drawn.get(one.name, [])) <= _MOST_INSIDE
        for cells in _rows(drawn.get(one.name, [])):
            pictures = {_distinct(one, cell, cells): _picture(done, chapter, one, cell, inside) for cell in cells}
            yield figure(one.name, pictures, caption_html(chapter, one, cells))


def _distinct(figure: Figure, cell: Labels, cells: Sequence[Labels]) -> str:
    """The labels in which a cell differs from others, in words."""
    return cell_title({axis: cell[axis] for axis in figure.axes if len({other[axis] for other in cells}) > 1})


def _rows(cells: Sequence[Labels]) -> Iterator[list[Labels]]:
    """Cells that differ in their first label only (the activation), together."""
    rows: dict[tuple[str, ...], list[Labels]] = {}
    for cell in cells:
        rows.setdefault(tuple(cell.values())[1:], []).append(cell)
    yield from rows.values()


def _picture(done: _Finished, chapter: Chapter, figure: Figure, cell: Labels, inside: bool) -> Picture:
    """The picture of one cell, inside the page or linked from it."""
    from rgflow.figures.page import embedded, linked

    names = ("figures", chapter.name, figure.name, *(f"{axis}~{label}" for axis, label in cell.items()))
    file = Path(f"{done.folder.joinpath(*names)}.png")
    try:
        return embedded(file.read_bytes()) if inside else linked(file, done.beside)
    except OSError:
        raise RgflowError(f"{file}: not there; `snakemake figures` draws it") from None


def caption_html(chapter: Chapter, figure: Figure, cells: Sequence[Labels]) -> str:
    """The caption of a figure for some of its cells, as HTML: where these differ, all their labels are named.

    Captions are reStructuredText with the labels as Snakemake's wildcards, so that its own report shows them as well.
    """
    from docutils.core import publish_parts
    from jinja2 import Template

    wildcards = {axis: ", ".join(dict.fromkeys(cell[axis] for cell in cells)) for axis in figure.axes}
    text = catalogue.caption(chapter, figure).read_text(encoding="utf-8")
    filled = Template(text).render(snakemake={"wildcards": wildcards})
    settings = {"halt_level": 2, "report_level": 2, "smart_quotes": False}  # a caption with a mistake stops here
    return str(publish_parts(filled, writer="html5", settings_overrides=settings)["body"])


class _Taken(NamedTuple):
    """Jobs of a stage, their wall time in seconds, and the most memory of one in megabytes."""

    jobs: int
    seconds: float
    megabytes: float


def _jobs(done: _Finished) -> str:
    """Which stage reads which, with the number of its jobs and what they took."""
    from rgflow.figures import graph, page

    plan, folder = done.plan, done.folder
    taken = {stage.name: _taken(folder / "benchmarks" / stage.folder, plan.cells(stage.name)) for stage in plan.needed}
    reads = {stage.name: [read for read in stage.reads.values() if read in taken] for stage in plan.needed}
    notes = {name: f"{one.jobs} job{'s' * (one.jobs > 1)}, {one.seconds:.0f} s" for name, one in taken.items()}
    buffer = BytesIO()
    graph.draw(reads, notes).savefig(buffer, format="png", metadata={"Software": None})
    drawn = page.figure("graph of jobs", {"": page.embedded(buffer.getvalue())}, _GRAPH)
    rows = [
        (stage.name, stage.summary, str(one.jobs), f"{one.seconds:.1f}", f"{one.megabytes:.0f}")
        for stage, one in zip(plan.needed, taken.values(), strict=True)
    ]
    return drawn + page.html_table(("stage", "what it does", "jobs", "wall time [s]", "most memory [MB]"), rows, text=2)


def _taken(folder: Path, cells: Sequence[Labels]) -> _Taken:
    """What Snakemake noted of the jobs of a stage; of jobs too short to be measured it has no numbers."""
    files = [Path(f"{folder.joinpath(*(f'{axis}~{label}' for axis, label in cell.items()))}.tsv") for cell in cells]
    notes = [
        row for file in files if file.is_file() for row in csv.DictReader(file.read_text().splitlines(), delimiter="\t")
    ]
    seconds, megabytes = (
        [float(note[column]) for note in notes if note[column].replace(".", "").isdigit()]
        for column in ("s", "max_rss")
    )
    return _Taken(len(cells), sum(seconds), max(megabytes, default=0.0))
