"""Docstrings refer to what there is: a module that moves takes its references along."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

import rgflow

REFERENCE = re.compile(r":(?:func|mod|class|data):`(rgflow[\w.]*)`")
SOURCES = sorted(Path(rgflow.__file__).parent.rglob("*.py"))


def test_every_reference_resolves() -> None:
    references = {reference for path in SOURCES for reference in REFERENCE.findall(path.read_text())}
    assert len(references) > 20
    for reference in references:
        pkgutil.resolve_name(reference)


def test_a_reference_to_nothing_is_noticed() -> None:
    (reference,) = REFERENCE.findall("See :func:`rgflow.theory.phase_diagram.phase_diagram`.")
    with pytest.raises((ImportError, AttributeError)):
        pkgutil.resolve_name(reference)
