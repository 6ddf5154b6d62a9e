"""The comparison of initializations, and advice from files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rgflow.practice.proof import RECIPES, Contest, _arm, _draw, best_losses, initialization, proof
from torch import nn

import rgflow
from rgflow.errors import RgflowError
from rgflow.practice.files import advise_file
from rgflow.task import Task
from rgflow.variables.library import library

RNG = np.random.default_rng(0)
TASK = Task(
    RNG.standard_normal((12, 5)), RNG.standard_normal((12, 2)), RNG.standard_normal((6, 5)), RNG.standard_normal((6, 2))
)
SMALL = Contest(("relu", "gelu"), (3,), 16, seeds=3, steps=5, factors=(0.5, 1.0), adam_rates=(1e-3, 1e-2))


@pytest.fixture(scope="module")
def result() -> object:
    return proof(TASK, SMALL, seed=4)


def test_all_is_registered_and_reproducible(result: object) -> None:
    library().validate(result, "proof")
    assert result["contest_test_loss"].dims == ("activation", "depth", "recipe", "optimizer", "rate", "seed")
    assert result["contest_test_loss"].shape == (2, 1, 5, 2, 2, 3)
    assert result.identical(proof(TASK, SMALL, seed=4))
    assert np.isfinite(best_losses(result)).all()


def test_relu_gain_is_critical_and_rates_start_from_the_same_weights(result: object) -> None:
    losses = result["contest_train_loss"].sel(activation="relu")
    assert np.array_equal(losses.sel(recipe="gain"), losses.sel(recipe="critical"))
    assert not np.array_equal(losses.sel(recipe="groups"), losses.sel(recipe="critical"))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("recipe", ["torch", "groups"])
def test_training_is_that_of_plain_modules(result: object, recipe: str, optimizer: str) -> None:
    """The same weights in a torch module, trained by itself with torch's loss and optimizer."""
    arm, data = _arm(TASK, SMALL, "gelu", 3, recipe)
    drawn = _draw(arm, SMALL.seeds, 4)
    model = nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 2))
    with torch.no_grad():
        for layer, (bias, weight) in zip((model[0], model[2], model[4]), drawn, strict=True):
            layer.bias.copy_(bias[1, 0])
            layer.weight.copy_(weight[1].T)
    rate = (
        float(data["safe_rate"].sel(rates="tensor" if recipe == "groups" else "torch")) if optimizer == "sgd" else 1e-2
    )
    kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam
    scales = arm.scales[optimizer]
    groups = [
        {"params": [parameter], "lr": rate * float(scales[kind_, at])}
        for at, layer in enumerate((model[0], model[2], model[4]))
        for kind_, parameter in enumerate((layer.bias, layer.weight))
    ]
    stepper = kind(groups, lr=rate)
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in (TASK.train_inputs, TASK.train_targets))
    for _ in range(SMALL.steps):
        stepper.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        stepper.step()
    loss = float(nn.functional.mse_loss(model(x), y).detach())
    found = result["contest_train_loss"].sel(activation="gelu", depth=3, recipe=recipe, optimizer=optimizer, seed=1)
    assert float(found[1]) == pytest.approx(loss, rel=1e-4)


def test_initializations_are_torchs(result: object) -> None:
    chain = _arm(TASK, SMALL, "gelu", 3, "torch")[0].chain
    torch.manual_seed(0)
    wide = nn.Linear(400, 300)
    own = initialization(chain, "torch")
    assert float(wide.weight.detach().square().mean()) * 400 == pytest.approx(own.C_W[0], rel=0.02)
    assert own.C_b[0] == pytest.approx(1 / 15)
    nn.init.xavier_normal_(wide.weight)
    xavier = 2 * 400 / 700
    assert float(wide.weight.detach().square().mean()) * 400 == pytest.approx(xavier, rel=0.02)
    assert initialization(chain, "xavier").C_W[0] == pytest.approx(2 * 5 / 21)
    for name in ("relu", "tanh", "selu"):
        gain = torch.nn.init.calculate_gain(name)
        one = _arm(TASK, SMALL, name, 3, "gain")[0]
        assert one.point.C_W[0] == pytest.approx(gain**2)
    assert len(RECIPES) == 5
    assert float(result["signal_correlation"].sel(activation="relu", recipe="torch", depth=3)) > 0.5


def _write(folder: Path, text: str) -> str:
    (folder / "mine.py").write_text(text)
    return f"{folder / 'mine.py'}:make_model"


GOOD = (
    "from torch import nn\ndef make_model():\n    return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3))\n"
)


def test_advice_from_files(tmp_path: Path) -> None:
    x, y = RNG.standard_normal((8, 6)), np.arange(8) % 3
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.save(tmp_path / "x.npy", x)
    advice = advise_file(_write(tmp_path, GOOD), tmp_path / "data.npz", report=tmp_path / "page.html", momentum=0.5)
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert advice.training.momentum == 0.5
    assert math.isclose(advice.batch.mean_square, np.mean(x**2))
    assert "initial_loss" in advice.at("critical")
    assert "initial_loss" not in advise_file(_write(tmp_path, GOOD), tmp_path / "x.npy").at("critical")


@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        ("", "x.npy", "no function 'make_model'"),
        ("def make_model():\n    return 3\n", "x.npy", "returns a int"),
        ("def make_model():\n    raise KeyError('lost')\n", "x.npy", "the function fails with KeyError"),
        ("import nothing_of_that_name\n", "x.npy", "the file fails with ModuleNotFoundError"),
        (GOOD, "x.csv", "an .npz file with x"),
        (GOOD, "other.npz", "has no array 'x'; it holds z"),
        (GOOD, "broken.npz", "cannot be read"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, text: str, data: str, message: str) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 6)))
    np.savez(tmp_path / "other.npz", z=np.ones(3))
    (tmp_path / "broken.npz").write_text("no archive")
    with pytest.raises(RgflowError) as caught:
        advise_file(_write(tmp_path, text), tmp_path / data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_reference_needs_file_and_function(tmp_path: Path) -> None:
    for reference in ("model", "model.py", f"{tmp_path}/absent.py:make", "module.path:make"):
        with pytest.raises(RgflowError, match=r"is needed|no file"):
            advise_file(reference)
    with pytest.raises(RgflowError, match="inputs are needed"):
        advise_file(_write(tmp_path, GOOD))
    assert rgflow.advise is not None
