"""What the site is made with: pages that come from the code, so that they cannot fall behind it, and mathematics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rgflow.store.variables import Variable
from rgflow.study.catalogue import chapters, registry

if TYPE_CHECKING:
    from rgflow.study.stage import Chapter

_HTML = "a|br|code|div|em|figcaption|figure|hr|img|li|ol|p|pre|span|strong|sub|sup|table|tbody|td|th|thead|tr|ul"
_AVERAGE = re.compile(rf"(`+[^`].*?`+)|<(?!/?(?:{_HTML})\b|!--|[a-z]+:)([A-Za-z][^<>]*|\.\.\.)>")
_ROLE = re.compile(r":(?:func|mod|class|data):`")
_TEX = r"(?<![\\$\w])\$([^$\n]+?)\$(?!\w)"
_ABOVE_HTML, _ABOVE_ESCAPES = 22, 185  # priorities in Markdown: behind code blocks, behind code in a line


def on_config(config: Any) -> Any:
    """Let Markdown know averages and mathematics, in pages and docstrings alike."""
    config.markdown_extensions.append(_mathematics())
    return config


def _mathematics() -> Any:
    """The Markdown extension: averages <...> are no HTML, and TeX between dollars becomes MathML, which needs no script."""
    from latex2mathml.converter import convert
    from markdown.extensions import Extension
    from markdown.inlinepatterns import InlineProcessor
    from markdown.preprocessors import Preprocessor

    class Averages(Preprocessor):
        def run(self, lines: list[str]) -> list[str]:
            return [bracketed(line) for line in lines]

    class Tex(InlineProcessor):
        def handleMatch(self, m: re.Match[str], _data: str) -> tuple[str, int, int]:
            return self.md.htmlStash.store(convert(m[1])), m.start(0), m.end(0)

    class Mathematics(Extension):
        def extendMarkdown(self, md: Any) -> None:
            md.preprocessors.register(Averages(md), "averages", _ABOVE_HTML)
            md.inlinePatterns.register(Tex(_TEX, md), "tex", _ABOVE_ESCAPES)

    return Mathematics()


def bracketed(line: str) -> str:
    """Angle brackets of averages as the characters ⟨ and ⟩; HTML, links and code stay; a docstring's role loses its name."""
    return _AVERAGE.sub(lambda found: found[1] or f"⟨{found[2]}⟩", _ROLE.sub("`", line))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers by tables of all registered variables and of all keys of the configuration."""
    for marker, tables in (("<!-- registry -->", registry_tables), ("<!-- configuration -->", configuration_tables)):
        if marker in markdown:
            markdown = markdown.replace(marker, tables())
    return markdown


def registry_tables() -> str:
    """One table for each group of the registry."""
    return "\n\n".join(
        f"## {title.capitalize()}\n\n{_variables(variables)}" for title, variables in registry().groups.items()
    )


def _variables(variables: Iterable[Variable]) -> str:
    rows = ([f"`{v.name}`", ", ".join(v.dims), v.long_name, _code(v.equation)] for v in variables)
    return _table(("name", "dims", "what it is", "defining equation"), rows)


def configuration_tables() -> str:
    """One table for each section of the configuration."""
    return "\n\n".join(_section(chapter) for chapter in chapters() if chapter.section)


def _section(chapter: Chapter) -> str:
    schema = chapter.section.model_json_schema() if chapter.section else {}
    state = {"always": "", "on": " Leave it out with `null`.", "off": " Not there unless given."}[chapter.default]
    about = " ".join(schema.get("description", "").split("\n\n")[0].split())
    rows = (
        [f"`{key}`", _code(_default(one)), _code(_allowed(one, schema.get("$defs", {}))),
         one.get("description", "")]
        for key, one in schema["properties"].items()
    )  # fmt: skip
    return f"## `{chapter.section_name}`\n\n{about}{state}\n\n{_table(('key', 'default', 'allowed', 'meaning'), rows)}"


def _default(schema: Mapping[str, Any]) -> str:
    if "default" not in schema:
        return "required"
    return json.dumps(schema["default"]).replace('"', "")


def _allowed(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a key may be, in a few words."""
    return " or ".join(dict.fromkeys(_kinds(schema, definitions)))


def _kinds(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        for one in alternatives:
            yield from _kinds(one, definitions)
    elif "enum" in schema or "const" in schema:
        yield from map(str, schema.get("enum", [schema.get("const")]))
    elif schema.get("type") == "array":
        items = schema.get("items") or {}
        yield f"list of {_allowed(items, definitions)}" if items else "list"
    elif schema.get("type") == "object":
        names = ", ".join(schema.get("properties", {}))
        yield f"{{{names}}}" if names else "mapping"
    else:
        yield f"{schema.get('type', 'any')}{_bounds(schema)}"


def _bounds(schema: Mapping[str, Any]) -> str:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return "".join(f" {sign} {schema[key]:g}" for key, sign in signs.items() if key in schema)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(header)
    lines = [names, ["---"] * len(names), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
