"""Configurations as they are written: from YAML to mappings, lists, numbers and texts, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rgflow.errors import RgflowError
from rgflow.settings.explain import shown

_LARGEST_FILE = 1_000_000  # bytes of a configuration
_DEEPEST = 20  # levels of a configuration
_LARGEST_INTEGER = 2**63  # beyond which the integers of arrays end
_LONGEST_TEXT = 4096  # characters, as of a path


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
    except RgflowError:
        raise
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


def refuse_foreign(raw: Mapping[str, Any]) -> None:
    """Raise a line for every value that no configuration holds, or one if it is nested too deeply."""
    if _depth(raw) > _DEEPEST:
        raise RgflowError(f"config: nested more than {_DEEPEST} levels deep")
    if foreign := list(_foreign(raw)):
        raise RgflowError("\n".join(f"config: {line}" for line in foreign))


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
                yield f"{'.'.join([*place, shown(key)])}: a key must be a name"
            else:
                yield from _foreign(inner, (*place, key))
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _foreign(inner, (*place, str(position)))
    elif problem := _unfit(value):
        yield f"{'.'.join(place) or 'all of it'} = {shown(value)}: {problem}"


def _unfit(value: Any) -> str:
    """Why a single value is none of a configuration; empty if it is."""
    if isinstance(value, str):
        return "" if _is_text(value) else f"a text without control characters is needed, at most {_LONGEST_TEXT} long"
    if isinstance(value, int) and abs(value) >= _LARGEST_INTEGER:
        return "an integer below 2^63 is needed"
    return "" if value is None or isinstance(value, int | float) else "a number, a text, a list or a mapping is needed"


def _is_text(value: str) -> bool:
    return len(value) <= _LONGEST_TEXT and value.isprintable()
