"""Code digests: an edit that can change a result changes them, and nothing else does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import rgflow
from rgflow.store import code
from rgflow.study.catalogue import stages


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    copy = tmp_path / "rgflow"
    shutil.copytree(Path(rgflow.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "_ROOT", copy)
    forget()
    yield copy
    forget()


def forget() -> None:
    code._syntax.cache_clear()
    code._imports.cache_clear()
    code._parse.cache_clear()


def digests() -> dict[str, str]:
    forget()
    return {name: stage.code for name, stage in stages().items()}


def test_comments_docstrings_and_layout_change_nothing(package: Path) -> None:
    before = digests()
    for file in package.rglob("*.py"):
        text = file.read_text()
        assert text.startswith('"""')
        file.write_text(
            '"""Another docstring."""\n\n# a comment\n' + text.split('"""', 2)[2].replace("\n\n\n", "\n\n\n\n")
        )
    assert digests() == before


def test_editing_the_vertex_reruns_theory_and_no_ensembles(package: Path) -> None:
    before = digests()
    vertex = package / "theory" / "initialization" / "vertex.py"
    vertex.write_text(vertex.read_text() + "\nEDITED = 1\n")
    changed = {name for name, digest in digests().items() if digest != before[name]}
    finite_width = ("initialization", "dntk", "training", "bayes", "evidence", "practice")
    assert changed == {f"theory/{name}" for name in finite_width}


@pytest.mark.parametrize(
    "statement",
    [
        "from . import vertex",
        "from .vertex import full_vertex",
        "from ..initialization import vertex",
        "import typing\nif typing.TYPE_CHECKING:\n    import os\nelse:\n    import rgflow.theory.initialization.vertex",
        "def late():\n    import rgflow.theory.initialization.vertex",
    ],
)
def test_every_way_to_import_is_followed(package: Path, statement: str) -> None:
    module = "rgflow.theory.initialization.added"
    (package / "theory" / "initialization" / "added.py").write_text(f"{statement}\n")
    assert "rgflow.theory.initialization.vertex" in code.import_closure(module)


@pytest.mark.parametrize("condition", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_imports_of_annotations_do_not_count(package: Path, condition: str) -> None:
    added = f"import typing\nif {condition}:\n    import rgflow.theory.initialization.vertex\n"
    (package / "theory" / "initialization" / "added.py").write_text(added)
    assert "rgflow.theory.initialization.vertex" not in code.import_closure("rgflow.theory.initialization.added")


def test_every_stage_sees_its_own_engine(package: Path) -> None:
    seen = {
        "ensemble/block": "sampling/marginal.py",
        "training/block": "training/mlp.py",
        "inputs": "data/select.py",
        "comparison/training": "comparison/statistics.py",
        "theory/training": "theory/learning/training.py",
    }
    for stage, file in seen.items():
        before = digests()
        (package / file).write_text((package / file).read_text() + "\nEDITED = 1\n")
        assert digests()[stage] != before[stage], stage


def test_the_workflow_machinery_is_in_no_stage() -> None:
    for stage in stages().values():
        closure = code.import_closure(stage.run)
        assert (
            not {
                "rgflow",
                "rgflow.cli",
                "rgflow.study.plan",
                "rgflow.study.stage",
                "rgflow.study.runner",
                "rgflow.study.config",
            }
            & closure
        )
        assert not any(name.startswith(("rgflow.store", "rgflow.figures")) for name in closure), closure
