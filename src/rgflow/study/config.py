"""The configuration of a study: the sections of the chapters as one model, and one clear line for whatever is wrong in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, ValidationError, create_model

from rgflow.errors import RgflowError
from rgflow.settings import Settings
from rgflow.study import catalogue
from rgflow.study.stage import Chapter

_MAX_EDIT = 0.6
_LARGEST_FILE = 1_000_000  # bytes of a configuration
_DEEPEST = 20  # levels of a configuration
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_RESERVED = (".zarr", ".json")  # suffixes of stores and manifests
_LARGEST_INTEGER = 2**63  # beyond which the integers of arrays end
_LONGEST_TEXT = 4096  # characters, as of a path


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


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration file.

    Raises
    ------
    RgflowError
        One line if it is missing, no text, no YAML, too large, too deep, names a key twice, or is not a mapping.
    """
    import yaml

    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise RgflowError(f"{path}: larger than {_LARGEST_FILE} bytes; a configuration is a short text")
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise RgflowError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RgflowError(f"{path}: not UTF-8 text") from None
    except (yaml.YAMLError, ValueError) as error:
        raise RgflowError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise RgflowError(f"{path}: nested too deeply") from None
    if not isinstance(content, dict):
        raise RgflowError(f"{path}: must be a mapping with the key 'study'")
    return content


def _loader() -> Any:
    """YAML's safe loader that refuses a key given twice, where YAML would keep the last."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = [key for key in keys if isinstance(key, str) and keys.count(key) > 1]
            if twice:
                raise ValueError(f"key {twice[0]!r} is given twice, near line {node.start_mark.line + 1}")
            return super().construct_mapping(node, deep)

    return Loader


_Loader = _loader()


def load_config(raw: Mapping[str, Any]) -> Any:
    """Validate a raw configuration.

    Raises
    ------
    RgflowError
        One line per wrong key: the key, its value, what is allowed.
    """
    if _depth(raw) > _DEEPEST:
        raise RgflowError(f"config: nested more than {_DEEPEST} levels deep")
    if foreign := list(_foreign(raw)):
        raise RgflowError("\n".join(f"config: {line}" for line in foreign))
    try:
        config = config_model().model_validate(raw)
    except ValidationError as error:
        raise RgflowError("\n".join(f"config: {line}" for line in _explanations(error))) from None
    if config.study.endswith(_RESERVED):  # type: ignore[attr-defined]
        raise RgflowError(f"config: study: a name may not end with {' or '.join(_RESERVED)}")
    return config


def _depth(value: Any, level: int = 0) -> int:
    if level > _DEEPEST or not isinstance(value, Mapping | list):
        return level
    children = value.values() if isinstance(value, Mapping) else value
    return max((_depth(child, level + 1) for child in children), default=level)


def _foreign(value: Any, place: tuple[str, ...] = ()) -> Iterator[str]:
    """A line for every value that no configuration holds: dates, sets and binaries of YAML, endless numbers and texts."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str) or not _is_text(key):
                yield f"{'.'.join([*place, _short(repr(key))])}: a key must be a name"
            else:
                yield from _foreign(inner, (*place, key))
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _foreign(inner, (*place, str(position)))
    elif problem := _unfit(value):
        yield f"{'.'.join(place) or 'all of it'} = {_short(repr(value))}: {problem}"


def _unfit(value: Any) -> str:
    """Why a single value is none of a configuration; empty if it is."""
    if isinstance(value, str):
        return "" if _is_text(value) else f"a text without control characters is needed, at most {_LONGEST_TEXT} long"
    if isinstance(value, int) and abs(value) >= _LARGEST_INTEGER:
        return "an integer below 2^63 is needed"
    return "" if value is None or isinstance(value, int | float) else "a number, a text, a list or a mapping is needed"


def _is_text(value: str) -> bool:
    return len(value) <= _LONGEST_TEXT and value.isprintable()


def _explanations(error: ValidationError) -> list[str]:
    """One line for each place that is wrong."""
    problems: dict[tuple[str | int, ...], list[Any]] = {}
    for problem in _deepest(error.errors()):
        problems.setdefault(_location(problem), []).append(problem)
    return [_explain(some) for some in problems.values()]


def _deepest(problems: Sequence[Any]) -> list[Any]:
    """Without those of a union's other branches, which fail where the branch that was meant fails further down."""
    places = [_location(problem) for problem in problems]
    return [
        problem
        for problem, place in zip(problems, places, strict=True)
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    ]


def _location(problem: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Keys and indices of a problem, without the names of a union's branches."""
    return tuple(part for part in problem["loc"] if isinstance(part, int) or not _is_branch(part))


def _explain(problems: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong at one place, for each branch of a union that was tried."""
    problem, location = problems[0], _location(problems[0])
    key = _short(".".join(map(str, location)))
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{_suggestion(location)}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = _joined([_message(one) for one in problems])
    if isinstance(problem["input"], Mapping | BaseModel) or not key:
        return f"{key}: {message}" if key else message
    return f"{key} = {_short(repr(problem['input']))}: {message}"


def _message(problem: Mapping[str, Any]) -> str:
    """A complaint in words of YAML, not of Python."""
    if problem["type"] in ("model_type", "dict_type"):
        return "Input should be a mapping"
    return str(problem["msg"]).removeprefix("Value error, ")


def _joined(messages: Sequence[str]) -> str:
    first, *others = dict.fromkeys(messages)
    return " or ".join([first, *(other.removeprefix("Input should be ") for other in others)])


def _short(text: str) -> str:
    """A value for a message, on one line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."


def _is_branch(part: str) -> bool:
    """Whether a part of pydantic's location names a union's branch: no key is written like that."""
    return part in _branches() or part.startswith(
        ("literal[", "list[", "tuple[", "function-", "constrained-", "lax-or-strict")
    )


@cache
def _branches() -> frozenset[str]:
    """Names of all models, and of plain types, that may be branches and are no keys."""
    models = list(_models(config_model()))
    keys = {key for model in models for key in model.model_fields}
    return frozenset({model.__name__ for model in models} | {"str", "int", "float", "bool", "none"}) - keys


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and all models within it."""
    yield model
    for field in model.model_fields.values():
        for inner in _inner_models(field.annotation):
            yield from _models(inner)


def _inner_models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _inner_models(argument)


def _suggestion(location: Sequence[str | int]) -> str:
    known = list(_section_at(location[:-1]).model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=_MAX_EDIT)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; allowed: {', '.join(known)}" if known else ""


def _section_at(location: Sequence[str | int]) -> type[BaseModel]:
    """The model that a location is in; of several, the first."""
    model: type[BaseModel] = config_model()
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_inner_models(model.model_fields[part].annotation), model)
    return model


def schema_text() -> str:
    """The JSON schema of the configuration."""
    import json

    return json.dumps(config_model().model_json_schema(), indent=1, sort_keys=True) + "\n"
