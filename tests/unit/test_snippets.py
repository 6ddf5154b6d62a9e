"""What the README and the pages show can be done: every snippet of Python runs, every configuration makes a plan."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rgflow.study.plan import Study

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "data/README.md", *sorted((ROOT / "docs").glob("*.md"))]
SECTIONS = {"networks", "ensemble", "dntk", "training", "bayes", "inputs", "study"}


def snippets(language: str) -> list[Any]:
    found = []
    for page in PAGES:
        for number, text in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)):
            found.append(pytest.param(text, id=f"{page.name}-{number}"))
    return found


@pytest.mark.parametrize("text", snippets("python"))
def test_python_runs(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(word in text for word in ("open_results", "SLURMCluster", "distributed")):
        pytest.skip("needs results of a study or a cluster; the notebooks and cluster tests open these")
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "snippet", "exec"), {})


@pytest.mark.parametrize("text", snippets("yaml"))
def test_configurations_make_a_plan(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = yaml.safe_load(text)
    if not isinstance(content, dict) or not content.keys() <= SECTIONS:
        pytest.skip("not the configuration of a study")
    if content.get("inputs", {}).get("path"):
        pytest.skip("names a file of the user's")
    monkeypatch.chdir(tmp_path)
    study = Study({"study": "snippet", **content})
    assert study.index.wanted
