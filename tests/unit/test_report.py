"""The report's page: captions of all figures, tables and pictures that cannot break it, and the graph of jobs."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest

from rgflow.errors import RgflowError
from rgflow.figures import graph, page
from rgflow.study.catalogue import chapters
from rgflow.study.draw import cell_names
from rgflow.study.report import caption_html, write_report
from rgflow.study.stage import Chapter, Figure

FIGURES = [pytest.param(chapter, figure, id=figure.name) for chapter in chapters() for figure in chapter.figures]


@pytest.mark.parametrize(("chapter", "figure"), FIGURES)
def test_every_caption_is_a_sentence_that_names_its_cells(chapter: Chapter, figure: Figure) -> None:
    cells = [{axis: f"{axis}-{value}" for axis in figure.axes} for value in ("one", "two")]
    html = caption_html(chapter, figure, cells)
    assert html.startswith("<p>")
    assert "system-message" not in html
    assert not re.search(r"\{\{|None", html)
    if "activation" in figure.axes:
        assert "activation-one, activation-two" in html


def test_texts_of_a_table_are_escaped_and_loud_rows_marked() -> None:
    html = page.html_table(("name", "z"), [("<s^2>", "1"), ("a&b", "9")], loud=[1])
    assert '<tr><td class="text">&lt;s^2&gt;</td><td>1</td></tr>' in html
    assert '<tr class="loud"><td class="text">a&amp;b</td>' in html


def _png(width: int) -> bytes:
    header = b"IHDR" + width.to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")


def test_pictures_side_by_side_have_one_scale() -> None:
    pictures = {"relu": page.embedded(_png(100)), "tanh": page.embedded(_png(400))}
    html = page.figure("kernel", pictures, "<p>caption</p>")
    assert re.findall(r'alt="([^"]*)" style="width: (\d+)%"', html) == [("kernel relu", "25"), ("kernel tanh", "100")]


def test_pictures_of_a_large_sweep_stay_where_they_are(tmp_path: Path) -> None:
    file = tmp_path / "figures" / "rates~b=0-W=1 %.png"
    file.parent.mkdir()
    file.write_bytes(_png(300))
    picture = page.linked(file, tmp_path)
    assert picture == ("figures/rates~b%3D0-W%3D1%20%25.png", 300)
    assert page.linked(file, tmp_path / "elsewhere").source.startswith("../figures/")


def test_nodes_of_the_graph_stand_right_of_what_they_read() -> None:
    reads = {"c": ["b", "a"], "b": ["a"], "a": []}
    axes = graph.draw(reads, dict.fromkeys(reads, "1 job")).axes[0]
    places = {text.get_text().split("\n")[0]: text.get_position()[0] for text in axes.texts if text.get_text()}
    assert places == {"a": 0, "b": 1, "c": 2}
    assert sum(text.get_text() == "" for text in axes.texts) == 2  # arrows; a stands behind c through b


def test_cells_are_named_by_what_tells_them_apart() -> None:
    same = {"init": "critical", "depth": "4"}
    cells = [
        ("comparison/training", {"activation": "relu", **same, "train": "8"}),
        ("comparison/training", {"activation": "tanh", **same, "train": "24"}),
        ("comparison/initialization", {"activation": "relu", **same}),
    ]
    assert cell_names(cells) == ["relu, train 8 training", "tanh, train 24 training", "relu initialization"]
    assert cell_names([("comparison/signs", {})]) == ["signs"]


def test_a_missing_figure_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("study: none\n")
    with pytest.raises(RgflowError, match=r"z_overview\.png: not there; `snakemake figures` draws it"):
        write_report(tmp_path / "study.yaml", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
