"""A finished tiny study in a copy of the project, shared by the workflow tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]

TINY: dict[str, Any] = {
    "study": "tiny",
    "inputs": {"source": "gaussian", "features": 4, "train": 6, "test": 4, "probes": 2},
    "networks": {
        "activation": ["tanh"],
        "width": [8, 16],
        "learning_rates": {"lambda_b": 1.0, "lambda_W": 1.0},
    },
    "ensemble": {"depth": [3], "members": 4000, "block": 2000, "kept": 100},
    "training": {"depth": [2], "members": 8, "block": 4, "steps": 20, "records": 4},
}


@dataclass
class Project:
    """A copy of the project with its own package, configuration and results."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny"

    def configure(self, **sections: Any) -> None:
        """Write the tiny configuration with keys of some sections changed."""
        config = {k: {**v, **sections.get(k, {})} if isinstance(v, dict) else v for k, v in TINY.items()}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        return self.call(command, **environment)

    def call(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def environment(self, **changes: str) -> dict[str, str]:
        paths = {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}
        return {**os.environ, **paths, **changes}

    def planned(self, *arguments: str) -> dict[str, int]:
        """Jobs per rule that the next run would do, targets left out."""
        result = self.snakemake("--dry-run", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        table = re.findall(r"^(\w+) +(\d+)$", result.stdout, flags=re.MULTILINE)
        return {rule: int(count) for rule, count in table if rule not in {"total", "all"}}

    def digests(self) -> dict[str, bytes]:
        """Content of every manifest, by path."""
        return {str(p.relative_to(self.results)): p.read_bytes() for p in self.manifests()}

    def manifests(self) -> list[Path]:
        return [
            p
            for p in sorted(self.results.rglob("*.json"))
            if ".memo" not in p.parts and p.with_suffix(".zarr").exists()
        ]


def copy_project(folder: Path) -> Project:
    folder.mkdir(exist_ok=True)
    for name in ("Snakefile", "rules", "envs", "src", "profiles", "pyproject.toml"):
        source = PROJECT / name
        ignore = shutil.ignore_patterns("*.egg-info")  # but with __pycache__, or each copy would compile again
        shutil.copytree(source, folder / name, ignore=ignore) if source.is_dir() else shutil.copy2(
            source, folder / name
        )
    project = Project(folder)
    project.configure()
    return project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny study, run to its end once per session; tests must leave it as they found it."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    result = project.snakemake()
    assert result.returncode == 0, result.stdout + result.stderr
    return project


@pytest.fixture
def study(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """An own copy of the finished study, to change at will (times and bookkeeping included)."""
    shutil.copytree(finished.folder, tmp_path / "study", symlinks=True)
    yield Project(tmp_path / "study")
    shutil.rmtree(tmp_path / "study")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A copy of the project without results."""
    return copy_project(tmp_path / "fresh")
