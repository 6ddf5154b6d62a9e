"""Docstrings describe several parameters in one entry: in the site each shows its own default and annotation."""

from __future__ import annotations

from typing import Any

from griffe import Docstring, DocstringParameter, DocstringSectionKind, Extension, Object


class OwnDefaults(Extension):
    """Without it all parameters of an entry show the default of the first (``xi_1, xi_2``: 1 for both)."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Parse the docstring of a class or function again with what its signature says of every parameter."""
        docstring = obj.docstring
        if docstring is None or not (obj.is_class or obj.is_function):
            return
        sections = docstring.parse("numpy")
        for section in sections:
            if section.kind is DocstringSectionKind.parameters:
                section.value = [_own(parameter, docstring) for parameter in section.value]
        docstring.__dict__["parsed"] = sections


def _own(parameter: DocstringParameter, docstring: Docstring) -> DocstringParameter:
    parameters = docstring.parent.parameters if docstring.parent else {}
    if parameter.name not in parameters:
        return parameter
    signature = parameters[parameter.name]
    return DocstringParameter(
        parameter.name, value=signature.default, annotation=signature.annotation, description=parameter.description
    )
