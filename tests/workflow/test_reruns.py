"""What reruns after which change: exactly what depends on it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import xarray as xr
import yaml

from rgflow import open_results

from .conftest import Project

pytestmark = pytest.mark.xdist_group("workflow")


def edit(file: Path) -> None:
    """Change the code, but not what it computes."""
    file.write_text(file.read_text() + "\nEDIT = 1\n")


def test_nothing_to_do_after_a_run(finished: Project) -> None:
    assert finished.planned() == {}


def test_comments_touches_and_reordered_keys_rerun_nothing(study: Project) -> None:
    vertex = study.folder / "src/rgflow/theory/initialization/vertex.py"
    vertex.write_text(vertex.read_text() + "\n# a remark\n")
    config = yaml.safe_load((study.folder / "config.yaml").read_text())
    (study.folder / "config.yaml").write_text(yaml.safe_dump(dict(reversed(config.items()))))
    later = time.time() + 5
    for file in (study.folder / "src").rglob("*.py"):
        os.utime(file, (later, later))
    for file in (study.folder / "rules").glob("*"):
        os.utime(file, (later, later))
    assert study.planned() == {}


def test_editing_the_vertex_reruns_theory_and_what_follows_but_no_ensembles(study: Project) -> None:
    edit(study.folder / "src/rgflow/theory/initialization/vertex.py")
    planned = study.planned()
    assert planned["theory_initialization"] == 1
    assert planned["comparison_initialization"] == 1
    assert not {"ensemble_block", "ensemble_combine", "training_block", "inputs"} & planned.keys()


def test_a_stage_that_runs_again_with_an_equal_result_leaves_the_rest_idle(study: Project) -> None:
    edit(study.folder / "src/rgflow/theory/initialization/vertex.py")
    assert study.snakemake("theory").returncode == 0
    assert study.planned() == {}


def test_equal_upstream_results_are_not_computed_from_again_in_one_run(study: Project) -> None:
    edit(study.folder / "src/rgflow/data/select.py")
    before = study.digests()
    assert study.planned()["ensemble_block"] == 4
    result = study.snakemake()
    assert result.returncode == 0, result.stdout + result.stderr
    logs = [p.read_text() for p in (study.results / "logs" / "ensemble").rglob("block*.log")]
    assert len(logs) == 4
    assert all("taken from the memo" in log for log in logs)
    assert study.digests() == before


def test_more_members_only_add_blocks(study: Project) -> None:
    study.configure(ensemble={"members": 8000})
    planned = study.planned("ensemble")
    assert planned == {"ensemble_block": 4, "ensemble_combine": 2, "ensemble": 1, "study_file": 1}


def test_a_new_width_adds_only_its_own_cells(study: Project) -> None:
    study.configure(networks={"width": [8, 16, 32]})
    planned = study.planned()
    expected = {"ensemble_block": 2, "ensemble_combine": 1, "training_block": 2, "training_combine": 1}
    assert {rule: planned.get(rule) for rule in expected} == expected
    assert not {"inputs", "theory_initialization", "theory_training"} & planned.keys()


def test_a_removed_store_is_made_again(study: Project) -> None:
    cell = "activation~tanh/init~critical/depth~2/rates~b=1-W=1/step_fraction~0.5/train~6"
    store = study.results / f"theory/training/{cell}.zarr"
    shutil.rmtree(store)
    assert study.planned("theory")["theory_training"] == 1


def test_a_store_and_its_manifest_removed_are_named_and_made_again(study: Project) -> None:
    store = study.results / "ensemble/activation~tanh/init~critical/depth~3/width~8.zarr"
    shutil.rmtree(store)
    store.with_suffix(".json").unlink()
    found = study.call([sys.executable, "-m", "rgflow", "check", "results/tiny"])
    assert found.returncode == 1
    assert "ensemble/activation~tanh/init~critical/depth~3/width~8" in found.stdout + found.stderr
    assert study.planned("ensemble")["ensemble_combine"] == 1


def test_a_failed_rerun_leaves_the_result_before_it(study: Project) -> None:
    cell = "theory/initialization/activation~tanh/init~critical/depth~3"
    before = open_results(study.results)["theory/initialization"]["V"].load()
    vertex = study.folder / "src/rgflow/theory/initialization/vertex.py"
    vertex.write_text(vertex.read_text().replace("def next_vertex(", "def _next_vertex("))
    with vertex.open("a") as file:
        file.write("\n\ndef next_vertex(step, V):\n    return V * float('nan')\n")
    assert study.snakemake("theory").returncode != 0
    assert "not finite" in (study.results / f"logs/{cell}.log").read_text()
    xr.testing.assert_identical(open_results(study.results)["theory/initialization"]["V"].load(), before)


def test_results_without_snakemakes_notes_are_not_taken_for_those_of_another_seed(study: Project) -> None:
    shutil.rmtree(study.folder / ".snakemake")
    study.configure(inputs={"seed": 7})
    refused = study.snakemake("--dry-run", "inputs")
    assert refused.returncode != 0
    assert refused.stderr.count("rgflow: error:") == 1
    assert "were made from another configuration" in refused.stderr
    repair = ["check", "results/tiny", "--study", "config.yaml", "--repair"]
    study.call([sys.executable, "-m", "rgflow", *repair])
    assert study.planned("inputs")["inputs"] == 1


def test_widths_taken_from_the_list_are_no_longer_shown(study: Project) -> None:
    assert list(open_results(study.results)["ensemble"]["width"].values) == [8, 16]
    study.configure(networks={"width": [16]})
    assert study.snakemake("results/tiny/index.json").returncode == 0
    assert list(open_results(study.results)["ensemble"]["width"].values) == [16]
