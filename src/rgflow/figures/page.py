"""Pages of HTML that need no network: tables and pictures inside, no script."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body>
{body}
</body></html>
"""
_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1700px; margin: 0 auto; padding: 1em 2em 4em; color: #222; background: #fff; }
nav { position: sticky; top: 0; z-index: 1; padding: 0.5em 0; background: #fff; border-bottom: 1px solid #ddd; }
nav a { margin-right: 1.2em; white-space: nowrap; }
a { color: #0072B2; text-decoration: none; } a:hover { text-decoration: underline; }
section { scroll-margin-top: 3em; } h2 { margin-top: 2em; border-bottom: 1px solid #ddd; } p, li { max-width: 62em; }
div.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
td, th { padding: 2px 10px; text-align: right; white-space: nowrap; } th { border-bottom: 1px solid #222; }
td.text, th.text { text-align: left; } tbody tr:hover { background: #f4f4f4; } tr.loud td { font-weight: bold; }
div.cells { display: grid; gap: 0.5em 1.5em; align-items: end; }
div.cells { grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); }
figure { margin: 1.5em 0 2.5em; } figcaption { max-width: 62em; color: #444; font-size: 14px; } figcaption p { margin: 0.4em 0; }
label.picture { display: block; cursor: zoom-in; } label.picture span { font-weight: bold; font-size: 13px; }
label.picture input { display: none; } img { display: block; max-width: 1000px; height: auto; }
label.picture:has(input:checked) { grid-column: 1 / -1; cursor: zoom-out; }
label.picture:has(input:checked) img { max-width: 100%; }
pre { font-size: 12px; background: #f7f7f7; padding: 1em; overflow-x: auto; } summary { cursor: pointer; color: #0072B2; }
"""


def page(title: str, body: str) -> str:
    """A whole page; ``body`` is HTML, the title plain text."""
    return _PAGE.format(title=escape(title), style=_STYLE, body=body)


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1, loud: Iterable[int] = ()) -> str:
    """A table of plain texts, the first ``text`` columns aligned to the left, rows with a number in ``loud`` in bold."""
    marked = set(loud)
    opened = ("<tr>", '<tr class="loud">')
    lines = (f"{opened[number in marked]}{_cells('td', row, text)}</tr>" for number, row in enumerate(rows))
    head, body = _cells("th", header, text), "\n".join(lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _cells(tag: str, row: Sequence[str], text: int) -> str:
    kinds = [' class="text"' if column < text else "" for column in range(len(row))]
    return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True))


class Picture(NamedTuple):
    """Where a picture comes from, and its width in pixels."""

    source: str
    width: int


def embedded(png: bytes) -> Picture:
    """A picture inside the page."""
    return Picture(f"data:image/png;base64,{b64encode(png).decode()}", _width(png))


def linked(file: Path, beside: Path) -> Picture:
    """A picture that stays where it is, for a page in the folder ``beside``."""
    with file.open("rb") as opened:
        return Picture(quote(Path(os.path.relpath(file, beside)).as_posix()), _width(opened.read(24)))


def _width(png: bytes) -> int:
    """Pixels, from the header of the file."""
    return int.from_bytes(png[16:20], "big")


def figure(name: str, pictures: Mapping[str, Picture], caption: str) -> str:
    """Pictures side by side and to the same scale, each below its label, over one caption, which is HTML.

    A click shows a picture large.
    """
    widest = max(picture.width for picture in pictures.values()) if len(pictures) > 1 else None
    side_by_side = "\n".join(_image(name, label, picture, widest) for label, picture in pictures.items())
    return f'<figure><div class="cells">\n{side_by_side}\n</div><figcaption>{caption}</figcaption></figure>'


def _image(name: str, label: str, picture: Picture, widest: int | None) -> str:
    title = f"<span>{escape(label)}</span>" if label else ""
    words, share = escape(f"{name} {label}".strip()), picture.width / (widest or picture.width)
    image = f'<img loading="lazy" alt="{words}" style="width: {share:.0%}" src="{picture.source}">'
    return f'<label class="picture">{title}<input type="checkbox">{image}</label>'


def section(name: str, title: str, body: str) -> str:
    """A part of the page with a heading, reached as ``#name``."""
    return f'<section id="{escape(name)}"><h2>{escape(title)}</h2>\n{body}\n</section>'


def navigation(sections: Iterable[tuple[str, str]]) -> str:
    """Links to the parts of the page, given as name and title."""
    links = (f'<a href="#{escape(name)}">{escape(title)}</a>' for name, title in sections)
    return f"<nav>{''.join(links)}</nav>"
