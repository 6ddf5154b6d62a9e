"""A capability is a folder: a chapter that only this test knows is put beside the others and runs in a study to the report."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml

import rgflow

from .conftest import Project

pytestmark = pytest.mark.xdist_group("workflow")

FILES = {
    "__init__.py": '"""Kurtosis of a sum of n signs."""\n',
    "chapter.py": '''"""The chapter ``signs``."""

from __future__ import annotations

from rgflow.chapters.networks.axes import WIDE_CELL
from rgflow.settings.model import Settings
from rgflow.store.variables import Variable
from rgflow.study.stage import Chapter, Cost, Figure, Stage

HOME = "rgflow.chapters.signs"


class Signs(Settings):
    """Sums of signs."""

    members: int = 100_000
    seed: int = 1


CHAPTER = Chapter(
    name="signs",
    title="Signs",
    place=50,
    section=Signs,
    default="off",
    stages=(
        Stage("theory/signs", f"{HOME}.theory", "moments of sums of signs", section="signs"),
        Stage(
            "signs/sample",
            f"{HOME}.experiment",
            "draw sums of signs",
            axes=("width",),
            section="signs",
            config=("signs.members", "signs.seed"),
            folder="signs",
            cost=Cost(work=lambda config, cell: float(config.signs.members * cell["width"])),
        ),
        Stage(
            "comparison/signs",
            f"{HOME}.comparison",
            "moments compared",
            section="signs",
            reads={"theory": "theory/signs", "experiment": "signs/sample"},
            scores=True,
        ),
    ),
    figures=(Figure("signs", f"{HOME}.figure", {"comparison": "comparison/signs"}),),
    variables=(
        Variable("moment", ("power",), "f", "moment of a sum of signs", "E[s^k], s = sum_i e_i / sqrt(n)"),
        Variable("moment1", ("power",), "f", "coefficient of 1/n", "E[s^4] = 3 - 2/n"),
    ),
)
''',
    "theory.py": '''"""Stage ``theory/signs``: E[s^2] = 1 and E[s^4] = 3 - 2/n."""

import xarray as xr


def run(_datasets, _spec, _resources):
    moments = {"moment": ("power", [1.0, 3.0]), "moment1": ("power", [0.0, -2.0])}
    return xr.Dataset(moments, {"power": [2, 4]})
''',
    "experiment.py": '''"""Stage ``signs/sample``: moments over members."""

import numpy as np
import xarray as xr


def run(_datasets, spec, _resources):
    n, members = spec["width"], spec["signs"]["members"]
    generator = np.random.default_rng([spec["signs"]["seed"], n])
    s = (2.0 * generator.binomial(n, 0.5, members) - n) / np.sqrt(n)
    powers = np.stack([s**2, s**4])
    values = {"moment": powers.mean(1), "moment_stderr": powers.std(1) / np.sqrt(members)}
    return xr.Dataset({name: ("power", value) for name, value in values.items()}, {"power": [2, 4]})
''',
    "comparison.py": '''"""Stage ``comparison/signs``."""

from rgflow.comparison.compare import compare
from rgflow.comparison.quantities import Quantity
from rgflow.study.gather import along, single

QUANTITIES = (Quantity("moment", "moment", ("power",), (), "moment1", r"m_k"),)


def run(datasets, _spec, _resources):
    return compare(single(datasets, "theory"), along(datasets, "experiment", "width"), QUANTITIES)
''',
    "figure.py": '''"""The moments against 1/n."""

from rgflow.figures.style import new_figure, styled


@styled
def draw(comparison):
    figure = new_figure(2.0)
    axes = figure.subplots()
    for one in comparison["experiment"].transpose("component", "width"):
        axes.plot(1 / comparison["width"], one, "o")
    return figure
''',
    "captions/signs.rst": "Moments of sums of signs.\n",
}


def add_chapter(project: Project) -> None:
    folder = project.folder / "src/rgflow/chapters/signs"
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_a_chapter_in_a_folder_of_its_own_runs_to_the_report(fresh: Project) -> None:
    before = {path: path.read_bytes() for path in (fresh.folder / "src").rglob("*.py")}
    add_chapter(fresh)
    assert {path: path.read_bytes() for path in before} == before
    config = {
        "study": "tiny",
        "inputs": {"source": "gaussian", "features": 3, "train": 2, "test": 2, "probes": 2},
        "networks": {"activation": "relu", "width": [8, 16, 32]},
        "ensemble": None,
        "training": None,
        "signs": {"members": 50_000},
    }
    (fresh.folder / "config.yaml").write_text(yaml.safe_dump(config))
    planned = fresh.planned()
    assert {name: planned[name] for name in ("theory_signs", "signs_sample", "comparison_signs", "figures_signs")} == {
        "theory_signs": 1,
        "signs_sample": 3,
        "comparison_signs": 1,
        "figures_signs": 1,
    }
    result = fresh.snakemake()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Signs" in (fresh.results / "report.html").read_text()
    compared = rgflow.open_results(fresh.results)["comparison/signs"]
    assert abs(float(compared["z_intercept_max"].sel(quantity="moment"))) < 4.0
    table = fresh.call([sys.executable, "-m", "rgflow", "summary", str(fresh.results)])
    assert "moment" in table.stdout, table.stderr
    estimate = fresh.call([sys.executable, "-m", "rgflow", "estimate", "config.yaml"])
    assert "signs/sample" in estimate.stdout, estimate.stderr
    assert fresh.planned() == {}


def test_a_chapter_without_its_section_is_not_there(fresh: Project) -> None:
    add_chapter(fresh)
    assert not any("signs" in rule for rule in fresh.planned())


def test_removing_a_chapter_is_removing_its_folder(fresh: Project) -> None:
    shutil.rmtree(Path(fresh.folder / "src/rgflow/chapters/dntk"))
    assert fresh.planned()["theory_training"] == 1
