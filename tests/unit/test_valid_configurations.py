"""Every valid configuration runs to its report: unusual studies, from the inputs to all their figures, in memory."""

from __future__ import annotations

import copy
from typing import Any

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from running import all_cells, pictures

from rgflow.study.plan import Study

SMALL: dict[str, Any] = {
    "study": "small",
    "inputs": {"source": "gaussian", "train": 3, "test": 2, "probes": 2, "features": 3},
    "networks": {"activation": "relu", "depth": 2, "width": [4, 8]},
    "ensemble": {"members": 4000, "block": 2000, "kept": 50},
    "training": {"members": 8, "block": 4, "steps": 5, "records": 3, "keep": 4},
}
QUICK: dict[str, dict[str, Any]] = {
    "one width": {"networks": {"width": 8}, "ensemble": {"tensors": ["Theta"]}, "inputs": {"probes": 1}},
    "nothing kept, only V": {"ensemble": {"tensors": ["V"], "kept": 0}, "training": None},
    "theory alone": {"ensemble": None, "training": None, "networks": {"activation": ["relu", "elu"]}},
    "training at its own depth": {"ensemble": None, "networks": {"depth": 4}, "training": {"depth": 2}},
    "off criticality": {
        "networks": {"activation": "sigmoid", "initialization": [{"C_b": 0, "C_W": 1}, {"C_b": 0.1, "C_W": 1.5}]},
        "training": None,
    },
}
SLOW: dict[str, dict[str, Any]] = {
    "all tensors": {"ensemble": {"tensors": ["K", "V", "V6", "Theta", "D", "F", "A", "B"]}},
    "all inputs": {"inputs": {"probes": 5}},
    "three widths": {"networks": {"width": [4, 8, 16]}},
    "kinks without a closed form": {"networks": {"activation": ["elu", "selu", "hard_tanh"]}},
    "equivalence": {"networks": {"learning_rates": "equivalence", "activation": ["tanh", "relu"]}},
    "only biases learn": {"networks": {"learning_rates": {"lambda_b": 1.0, "lambda_W": 0.0}}},
    "three classes": {"inputs": {"source": "digits", "classes": [0, 1, 2], "train": 6, "test": 6}},
    "explicit weights": {"ensemble": {"sampler": "weights", "dtype": "float64"}, "training": {"dtype": "float64"}},
    "cross-entropy": {"training": {"loss": "cross_entropy"}, "inputs": {"classes": [0, 1, 2], "source": "digits"}},
    "adam": {"training": {"optimizer": "adam"}},
    "mini-batches with momentum": {"training": {"batch_size": 2, "momentum": 0.5}},
    "control variates of pairs": {"training": {"control_variates": True, "antithetic": True}},
    "the NTK of one sample": {"training": {"ntk_steps": "ends", "ntk_samples": [0]}},
    "one sample, one step": {"inputs": {"train": 1, "test": 1, "probes": 1}, "training": {"steps": 1, "records": 2}},
    "two depths, one of them deep": {"networks": {"depth": [3, 13]}},
    "a residual network": {
        "networks": {"activation": ["relu", "gelu"], "residual": {"xi_2": 0.5}},
        "ensemble": {"tensors": ["K", "T3", "V", "Theta"]},
        "training": None,
    },
    "a circle as it is": {"inputs": {"source": "circle", "normalization": "none"}},
}


def with_changes(raw: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The configuration with keys of some sections replaced."""
    result = copy.deepcopy(raw)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = {**result[key], **value} if both else value
    return result


@pytest.mark.parametrize(
    "changes",
    [*QUICK.values(), *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW.values())],
    ids=[*QUICK, *SLOW],
)
def test_a_valid_study_runs_to_all_its_figures(changes: dict[str, Any]) -> None:
    study = Study(with_changes(SMALL, changes))
    done = all_cells(study)
    assert done.keys() == {stage.name for stage in study.stages}
    drawn = 0
    for name, picture in pictures(study, done):
        assert isinstance(picture, Figure), name
        picture.canvas.draw()
        plt.close(picture)
        drawn += 1
    assert drawn == sum(len(drawing.figures) * len(drawing.cells) for drawing in study.drawings)
