"""The plans of studies that are not like the default one: residual networks, differentials of the NTK, kinds of training."""

from __future__ import annotations

import shutil

import pytest

from .conftest import PROJECT, Project

pytestmark = pytest.mark.xdist_group("workflow")


def test_the_plan_of_the_residual_study(fresh: Project) -> None:
    shutil.copy(PROJECT / "studies" / "residual_relu.yaml", fresh.folder / "config.yaml")
    planned = fresh.planned()
    assert planned["ensemble_block"] == 6
    assert planned["comparison_initialization"] == 1
    assert not {"theory_criticality", "figures_criticality", "training_block", "comparison_exact"} & planned.keys()


def test_the_plan_of_the_dntk_study(fresh: Project) -> None:
    shutil.copy(PROJECT / "studies" / "dntk.yaml", fresh.folder / "config.yaml")
    planned = fresh.planned()
    assert planned["dntk_sample"] == 6
    assert planned["theory_dntk"] == planned["comparison_dntk"] == planned["figures_dntk"] == 2
    assert not {"ensemble_block", "comparison_initialization", "training_block"} & planned.keys()


def test_the_plan_of_the_study_of_posteriors(fresh: Project) -> None:
    shutil.copy(PROJECT / "studies" / "bayes.yaml", fresh.folder / "config.yaml")
    planned = fresh.planned()
    assert planned["bayes_block"] == 5 * 24  # widths, cells
    assert (
        planned["theory_bayes"]
        == planned["bayes_combine"]
        == planned["comparison_bayes"]
        == planned["figures_bayes"]
        == 24
    )
    assert planned["theory_evidence"] == planned["figures_bayes_evidence"] == 16
    assert not {"bayes_pilot", "ensemble_block", "training_block"} & planned.keys()


def test_the_plan_of_the_study_of_finite_width_learning(fresh: Project) -> None:
    shutil.copy(PROJECT / "studies" / "finite_width_learning.yaml", fresh.folder / "config.yaml")
    planned = fresh.planned()
    cells = 2 * 2 * 3 * 2  # activations, depths, train samples, step sizes
    assert planned["theory_training"] == planned["comparison_training"] == planned["figures_training"] == cells
    assert planned["training_block"] == planned["training_combine"] == 3 * cells
    assert planned["comparison_learning_curve"] == planned["figures_learning_curves"] == cells // 3
    assert planned["theory_generalization"] == planned["figures_generalization"] == cells // 2


def test_the_plan_of_a_training_that_theory_does_not_predict(fresh: Project) -> None:
    shutil.copy(PROJECT / "studies" / "beyond_theory.yaml", fresh.folder / "config.yaml")
    planned = fresh.planned()
    assert planned["training_block"] == 6
    assert planned["theory_training"] == planned["figures_training"] == 2
    assert not {"comparison_training", "theory_generalization", "figures_nearly_kernel"} & planned.keys()
