"""The base of all settings: frozen values with defaults, descriptions and limits, in the library and in configurations alike."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Settings(BaseModel):
    """A frozen section of settings; unknown keys are errors, and so are infinities, and booleans where numbers are meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Python takes true for 1: say what was meant."""
        expected = cls.model_fields[str(info.field_name)].annotation
        given = value if isinstance(value, list) else [value]
        if isinstance(value, dict) and get_origin(expected) is dict:
            given = list(value.values())
        if any(isinstance(one, bool) for one in given) and not _mentions_bool(expected):
            raise ValueError("a number or a name is needed, not true or false")
        return value


def _mentions_bool(annotation: Any) -> bool:
    return annotation is bool or any(_mentions_bool(argument) for argument in get_args(annotation))


def as_list(value: Any) -> Any:
    """One value for a list of it."""
    return value if isinstance(value, list | tuple) else [value]


def distinct(values: list[Any]) -> list[Any]:
    """The values, each given once.

    Raises
    ------
    ValueError
        If one is given twice.
    """
    if any(value in values[:position] for position, value in enumerate(values)):
        raise ValueError("the same value is listed twice")
    return values
