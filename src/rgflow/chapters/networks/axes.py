"""The axes of a sweep over networks: activation, initialization, depth, width, and the blocks of an ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rgflow.chapters.networks.section import MOST_BLOCKS, ActivationChoice, Scales
from rgflow.errors import RgflowError
from rgflow.store.digest import file_digest
from rgflow.study.stage import Axis, Config

CELL = ("activation", "init", "depth")
WIDE_CELL = (*CELL, "width")
BLOCK_CELL = (*WIDE_CELL, "block")
# Within a label, a user's path must not hold what has a meaning in paths and patterns of stores.
_WITHIN_A_LABEL = str.maketrans("/~{}", "+_()")


def _activations(config: Config, _section: str) -> Mapping[str, Any]:
    """Label -> name, parameters, and of a user's own file its content."""
    return _labelled((_activation_label(a), _activation(a)) for a in config.networks.activation)


def _activation(choice: str | ActivationChoice) -> dict[str, Any]:
    chosen = ActivationChoice(name=choice) if isinstance(choice, str) else choice
    file, separator, _ = chosen.name.partition(".py:")
    content = {"file": file_digest(Path(file + ".py"))} if separator else {}
    return {**chosen.model_dump(), **content}


def _activation_label(choice: str | ActivationChoice) -> str:
    chosen = ActivationChoice(name=choice) if isinstance(choice, str) else choice
    name = chosen.name.translate(_WITHIN_A_LABEL)
    return "-".join([name, *(f"{key}={value!r}" for key, value in sorted(chosen.parameters.items()))])


def _initializations(config: Config, _section: str) -> Mapping[str, Any]:
    return _labelled((_initialization_label(i), _initialization(i)) for i in config.networks.initialization)


def _initialization(choice: str | Scales) -> Any:
    return choice if isinstance(choice, str) else choice.model_dump()


def _initialization_label(choice: str | Scales) -> str:
    return choice if isinstance(choice, str) else f"Cb={short(choice.C_b)}-CW={short(choice.C_W)}"


def short(value: float) -> str:
    """The shortest text that means this number: different numbers have different texts."""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _depths(config: Config, section: str) -> Mapping[str, int]:
    """Depths of the networks of a section; without one, or if the study leaves it out, of all sections."""
    if section and getattr(config, section) is not None:
        depths = getattr(getattr(config, section), "depth", None) or config.networks.depth
    else:
        own = [_depths(config, name).values() for name in type(config).model_fields if _has_depths(config, name)]
        depths = sorted({depth for some in own for depth in some}) or config.networks.depth
    return {str(depth): depth for depth in depths}


def _has_depths(config: Config, name: str) -> bool:
    return name != "networks" and hasattr(getattr(config, name), "depth")


def _widths(config: Config, _section: str) -> Mapping[str, int]:
    return {str(width): width for width in config.networks.width}


def _blocks(config: Config, section: str) -> Mapping[str, dict[str, int]]:
    """Label -> where a block starts and how many members, or islands, it has."""
    settings = getattr(config, section) if section else None
    if settings is None:
        return {}
    total = settings.islands if hasattr(settings, "islands") else settings.members
    size = settings.block or total
    if total // size > MOST_BLOCKS:
        raise RgflowError(f"config: {section}: members / block = {total // size}; at most {MOST_BLOCKS} blocks")
    return {f"{index:04d}": {"first": index * size, "count": size} for index in range(total // size)}


def _labelled(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Label -> value; different values must not share a label, or one would be served for the other."""
    labelled: dict[str, Any] = {}
    for label, value in pairs:
        if label in labelled:
            raise RgflowError(f"config: networks: two entries of the sweep are both called {label!r}; rename one")
        labelled[label] = value
    return labelled


AXES = (
    Axis("activation", r"[^/~]+", _activations),
    Axis("init", r"[^/~]+", _initializations),
    Axis("depth", r"\d+", _depths),
    Axis("width", r"\d+", _widths),
    Axis("block", r"\d{4}", _blocks),
)
