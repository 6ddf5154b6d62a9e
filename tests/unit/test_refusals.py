"""What a stage refuses is not computed again by its next attempt, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from rgflow.errors import RgflowError, TransientError
from rgflow.study.catalogue import find_stage
from rgflow.study.runner import run_stage
from rgflow.study.stage import Resources, Stage

SPEC: dict[str, Any] = {"activation": {"name": "tanh", "parameters": {}}}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> tuple[Stage, list[Exception], list[int]]:
    """A stage that raises the errors listed, one a run, and notes its runs."""
    stage = find_stage("theory/criticality")
    errors: list[Exception] = []
    runs: list[int] = []

    def run(*_: Any) -> xr.Dataset:
        runs.append(1)
        raise errors.pop(0)

    def load(_: Stage) -> Callable[..., xr.Dataset]:
        return run

    monkeypatch.setattr(Stage, "load", load)
    return replace(stage), errors, runs


def attempt(stage: Stage, folder: Path, number: int, **changes: Any) -> None:
    run_stage(stage, {**SPEC, **changes}, {}, folder / "out.json", Resources(attempt=number))


def test_the_next_attempt_refuses_with_the_same_line(failing: Any, tmp_path: Path) -> None:
    stage, errors, runs = failing
    errors += [RgflowError("no critical point"), RgflowError("another reason")]
    for number in (1, 2, 3):
        with pytest.raises(RgflowError, match="no critical point"):
            attempt(stage, tmp_path, number)
    assert len(runs) == 1
    with pytest.raises(RgflowError, match="another reason"):  # started anew: the first attempt of another run
        attempt(stage, tmp_path, 1)


def test_a_call_by_hand_leaves_nothing(failing: Any, tmp_path: Path) -> None:
    stage, errors, runs = failing
    errors += [RgflowError("no critical point")] * 2
    for _ in range(2):
        with pytest.raises(RgflowError, match="no critical point"):
            attempt(stage, tmp_path, 0)
    assert len(runs) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [TransientError("needs 9 GiB"), OSError("no space left"), ZeroDivisionError()])
def test_what_another_attempt_may_not_meet_is_tried_again(failing: Any, tmp_path: Path, error: Exception) -> None:
    stage, errors, runs = failing
    errors += [error, error]
    for number in (1, 2):
        with pytest.raises(type(error)):
            attempt(stage, tmp_path, number)
    assert len(runs) == 2


def test_a_refusal_is_that_of_one_key(failing: Any, tmp_path: Path) -> None:
    stage, errors, runs = failing
    errors += [RgflowError("no critical point"), RgflowError("nor here")]
    with pytest.raises(RgflowError, match="no critical point"):
        attempt(stage, tmp_path, 1)
    with pytest.raises(RgflowError, match="nor here"):
        attempt(stage, tmp_path, 2, activation={"name": "gelu", "parameters": {}})
    assert len(runs) == 2
