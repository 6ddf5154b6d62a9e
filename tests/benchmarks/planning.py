"""Time and memory that Snakemake takes to plan a study: python tests/benchmarks/planning.py [CELLS ...].

A cell is one activation, depth and width, with one block at initialization and one of training. Times are processor seconds.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
_DEPTHS = 10


def study(cells: int) -> dict[str, Any]:
    """A study of so many cells, a multiple of 10: ten depths, as many widths as it takes."""
    return {
        "study": "plan",
        "inputs": {"source": "gaussian"},
        "networks": {
            "activation": ["tanh"],
            "depth": list(range(2, 2 + _DEPTHS)),
            "width": list(range(8, 8 + cells // _DEPTHS)),
        },
        "ensemble": {"members": 2000, "block": 2000},
    }


def plan(folder: Path, target: str) -> tuple[int, float]:
    """Jobs and processor seconds of a dry run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--", target]
    planned = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = re.findall(r"^total +(\d+)", planned.stdout, flags=re.MULTILINE)[0]
    return int(jobs), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(sizes: list[int]) -> None:
    print(f"{'cells':>7}{'jobs':>8}{'CPU s':>8}{'ms/job':>8}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in ("rules", "envs", "profiles", "src"):
            shutil.copytree(PROJECT / name, project / name)
        shutil.copy2(PROJECT / "Snakefile", project)
        for cells in sizes:
            (project / "config.yaml").write_text(yaml.safe_dump(study(cells)))
            jobs, seconds = plan(project, "comparison")
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
            print(f"{cells:>7}{jobs:>8}{seconds:>8.1f}{1e3 * seconds / jobs:>8.2f}{peak:>9.0f}", flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10, 100, 1000, 5000])
