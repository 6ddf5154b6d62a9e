"""Sections of the configuration made of the settings of library functions, so that a setting stands once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import create_model, model_validator

from rgflow.errors import RgflowError
from rgflow.settings.model import Settings


def section_of(
    settings: type[Any], base: type[Settings] = Settings, without: Mapping[str, Any] | None = None, **defaults: Any
) -> type[Settings]:
    """A section with the fields of a settings class of the library, checked as that class checks them.

    Parameters
    ----------
    settings
        A dataclass whose fields are annotated as pydantic's are and that raises ``RgflowError`` for what is wrong.
    base
        Section whose fields it has too.
    without
        Fields that are not such a setting, with a value that stands in their place in the check.
    defaults
        Defaults of a configuration where they are others than the library's, or where it has none.
    """
    hints, absent = get_type_hints(settings, include_extras=True), without or {}
    own = {
        field.name: (hints[field.name], defaults.get(field.name, field.default))
        for field in fields(settings)
        if field.name not in absent
    }

    def accepted(section: Any) -> Any:
        try:
            settings(**{name: getattr(section, name) for name in own}, **absent)
        except RgflowError as error:
            raise ValueError(str(error)) from None
        return section

    check: Any = model_validator(mode="after")(accepted)
    return create_model(settings.__name__, __base__=base, __validators__={"accepted": check}, **own)  # type: ignore[call-overload,no-any-return]
