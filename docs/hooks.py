"""Pages that are made from the code when the site is built, so that they cannot fall behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rgflow.store.variables import Variable
from rgflow.study.catalogue import registry

MARKER = "<!-- registry -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marker by tables of all registered variables."""
    return markdown.replace(MARKER, registry_tables()) if MARKER in markdown else markdown


def registry_tables() -> str:
    """One table for each group of the registry."""
    return "\n\n".join(
        f"## {title.capitalize()}\n\n{_table(variables)}" for title, variables in registry().groups.items()
    )


def _table(variables: Iterable[Variable]) -> str:
    rows = [f"| `{v.name}` | {', '.join(v.dims)} | {_cell(v.long_name)} | {_equation(v.equation)} |" for v in variables]
    return "\n".join(["| name | dims | what it is | defining equation |", "| --- | --- | --- | --- |", *rows])


def _equation(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
