"""What is wrong in settings, a line for each place, in words of whoever wrote them: YAML's, not Python's."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from rgflow.kinds import one_line

_MAX_EDIT = 0.6
_LONGEST = 80  # characters of a value or a key

Place = tuple[str | int, ...]
"""Keys and indices that lead to a value."""


def explanations(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each place that is wrong in what was to become a model: the key, its value, what is allowed."""
    branches, problems = _branches(model), dict[Place, list[Any]]()
    for problem in error.errors():
        problems.setdefault(_place(problem["loc"], branches), []).append(problem)
    return [_explain(place, problems[place], model) for place in _deepest(problems)]


def _deepest(places: Collection[Place]) -> list[Place]:
    """Without those of a union's other branches, which fail where the branch that was meant fails further down."""
    return [
        place
        for place in places
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    ]


def _place(location: Place, branches: frozenset[str]) -> Place:
    """Keys and indices of a problem, without the names of a union's branches."""
    return tuple(part for part in location if isinstance(part, int) or not _is_branch(part, branches))


def _explain(place: Place, problems: Sequence[Mapping[str, Any]], model: type[BaseModel]) -> str:
    """What is wrong at one place, for each branch of a union that was tried."""
    problem, key = problems[0], one_line(".".join(map(str, place)), _LONGEST)
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{_suggestion(place, model)}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = _joined([_message(one) for one in problems])
    if isinstance(problem["input"], Mapping | BaseModel) or not key:
        return f"{key}: {message}" if key else message
    return f"{key} = {shown(problem['input'])}: {message}"


def _message(problem: Mapping[str, Any]) -> str:
    """A complaint in words of YAML, not of Python."""
    if problem["type"] in ("model_type", "dict_type"):
        return "Input should be a mapping"
    return str(problem["msg"]).removeprefix("Value error, ")


def _joined(messages: Sequence[str]) -> str:
    first, *others = dict.fromkeys(messages)
    return " or ".join([first, *(other.removeprefix("Input should be ") for other in others)])


def shown(value: Any) -> str:
    """A value of a configuration for a message."""
    return one_line(repr(value), _LONGEST)


def _is_branch(part: str, branches: frozenset[str]) -> bool:
    """Whether a part of pydantic's location names a union's branch: no key is written like that."""
    return part in branches or part.startswith(
        ("literal[", "list[", "tuple[", "function-", "constrained-", "lax-or-strict")
    )


@cache
def _branches(model: type[BaseModel]) -> frozenset[str]:
    """Names of all models within one, and of plain types, that may be branches and are no keys."""
    models = list(_models(model))
    keys = {key for one in models for key in one.model_fields}
    return frozenset({one.__name__ for one in models} | {"str", "int", "float", "bool", "none"}) - keys


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


def _suggestion(place: Place, model: type[BaseModel]) -> str:
    known = list(_section_at(place[:-1], model).model_fields)
    close = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=_MAX_EDIT)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; allowed: {', '.join(known)}" if known else ""


def _section_at(place: Place, model: type[BaseModel]) -> type[BaseModel]:
    """The model within one that a place is in; of several, the first."""
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_inner_models(model.model_fields[part].annotation), model)
    return model
