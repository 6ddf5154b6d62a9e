"""The data sets: every module here holds one as ``SOURCE``; a new one is a file."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from rgflow.data.source import Source


@cache
def sources() -> dict[str, Source]:
    """All data sets by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}").SOURCE for name in names}
