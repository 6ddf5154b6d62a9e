"""The advice as one page of HTML that needs no network: table, lines, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from rgflow.errors import RgflowError
from rgflow.practice.check import Check
from rgflow.practice.columns import KEY, rows
from rgflow.practice.pictures import pictures
from rgflow.practice.prediction import Prediction

_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 1150px; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; font-size: 12px; } td, th { padding: 2px 8px; text-align: right; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; } thead { border-bottom: 1px solid #222; }
div.wide { overflow-x: auto; } img { max-width: 100%; } figcaption { font-size: 13px; color: #555; } figure { margin: 1.5em 0; }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


def save_report(advice: Prediction, path: Path, check: Check | None = None) -> Path:
    """Write the page.

    Parameters
    ----------
    advice
        What to show.
    path
        Its name ends with .html.
    check
        Measurements to show beside the predictions.

    Returns
    -------
    The path.

    Raises
    ------
    RgflowError
        Another suffix, or a folder that does not exist.
    """
    if path.suffix != ".html" or not path.parent.is_dir():
        raise RgflowError(f"path = {str(path)!r}; a name ending with .html in a folder that exists is needed")
    figures = "\n".join(_figure(caption, figure) for caption, figure in pictures(advice, check))
    measured = "" if check is None else f"<h2>Measured</h2>\n<pre>{escape(str(check))}</pre>\n"
    body = f"{fragment(advice)}\n{measured}{figures}"
    path.write_text(_PAGE.format(title="Advice", style=_STYLE, body=body), encoding="utf-8")
    return path


def fragment(advice: Prediction) -> str:
    """Lines and table as HTML, for a notebook or the page."""
    lines = [*advice.lines, *(f"No prediction: {cut}" for cut in advice.unpredicted)]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>\n{_table(rows(advice.dataset))}\n<p>{escape(KEY)}</p>"


def _table(lines: Iterable[Iterable[str]]) -> str:
    header, *others = ([escape(cell) for cell in line] for line in lines)
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in others)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _figure(caption: str, figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    image = base64.b64encode(buffer.getvalue()).decode()
    source, words = f"data:image/png;base64,{image}", escape(caption)
    return f'<figure><img alt="{words}" src="{source}"><figcaption>{words}</figcaption></figure>'
