"""The notebooks of the documentation run from top to bottom: one on its own, one on the results of a finished study."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from .conftest import PROJECT, Project

pytestmark = pytest.mark.xdist_group("workflow")
NOTEBOOKS = sorted((PROJECT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook: Path, finished: Project, tmp_path: Path) -> None:
    script = tmp_path / "notebook.py"
    script.write_text("\n".join(code_of(notebook)))
    result = finished.call([sys.executable, str(script)], RGFLOW_RESULTS=str(finished.results), MPLBACKEND="agg")
    assert result.returncode == 0, result.stderr


def code_of(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
