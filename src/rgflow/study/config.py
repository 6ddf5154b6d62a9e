"""The configuration of a study: the sections of the chapters as one model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model

from rgflow.errors import RgflowError
from rgflow.settings.explain import explanations
from rgflow.settings.model import Settings
from rgflow.settings.plain import refuse_foreign
from rgflow.study import catalogue
from rgflow.study.stage import Chapter

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_RESERVED = (".zarr", ".json")  # suffixes of stores and manifests


@cache
def config_model() -> type[Settings]:
    """The model of a whole study: its name, and the section of each chapter."""
    name = Annotated[str, Field(pattern=_NAME, max_length=100)]
    fields: dict[str, Any] = {
        "study": (name, Field(description="name of the study: results go to results/<study>")),
        **{chapter.section_name: _field(chapter) for chapter in catalogue.chapters() if chapter.section},
    }
    return create_model("Config", __base__=Settings, **fields)


def _field(chapter: Chapter) -> tuple[Any, Any]:
    """Type and default of a section."""
    section = chapter.section
    assert section is not None
    if chapter.default == "always":
        return section, section()
    default = section() if chapter.default == "on" else None
    return section | None, Field(default, description=f"null: none of {chapter.title}")


def load_config(raw: Mapping[str, Any]) -> Any:
    """Validate a raw configuration.

    Raises
    ------
    RgflowError
        One line per wrong key: the key, its value, what is allowed.
    """
    refuse_foreign(raw)
    try:
        config = config_model().model_validate(raw)
    except ValidationError as error:
        lines = explanations(error, config_model())
        raise RgflowError("\n".join(f"config: {line}" for line in lines)) from None
    if config.study.endswith(_RESERVED):  # type: ignore[attr-defined]
        raise RgflowError(f"config: study: a name may not end with {' or '.join(_RESERVED)}")
    return config


def schema_text() -> str:
    """The JSON schema of the configuration."""
    import json

    return json.dumps(config_model().model_json_schema(), indent=1, sort_keys=True) + "\n"
