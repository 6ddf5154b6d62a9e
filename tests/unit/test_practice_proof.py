"""The comparison of initializations, and advice from files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import rgflow
from rgflow.errors import RgflowError
from rgflow.practice.chain import Chain, chain_for
from rgflow.practice.contest import at_best_rate, draw_networks, point_of, relative_rates, train_recipes
from rgflow.practice.files import advise_file
from rgflow.practice.recipes import initialization, recipes
from rgflow.practice.spec import Contest
from rgflow.study.runner import require_finite
from rgflow.task import Task
from rgflow.variables.library import library

RNG = np.random.default_rng(0)
TASK = Task(
    RNG.standard_normal((12, 5)), RNG.standard_normal((12, 2)), RNG.standard_normal((6, 5)), RNG.standard_normal((6, 2))
)
CONTEST = Contest(seeds=3, steps=5, factors=[0.5, 1.0], adam_rates=[1e-3, 1e-2])


def _chain(name: str) -> Chain:
    return chain_for(TASK, rgflow.activation(name), 3, 16)


@pytest.fixture(scope="module")
def results() -> dict[str, tuple[xr.Dataset, xr.Dataset]]:
    """Signals and losses by activation."""
    signals = {name: recipes(TASK, _chain(name)) for name in ("relu", "gelu")}
    return {name: (one, train_recipes(TASK, _chain(name), one, CONTEST)) for name, one in signals.items()}


def test_all_is_registered_and_reproducible(results: dict[str, tuple[xr.Dataset, xr.Dataset]]) -> None:
    signals, losses = results["gelu"]
    for one in (signals, losses):
        library().validate(one, "practice")
    assert losses["contest_test_loss"].dims == ("recipe", "optimizer", "rate", "seed")
    assert losses["contest_test_loss"].shape == (6, 2, 2, 3)
    assert losses.identical(train_recipes(TASK, _chain("gelu"), signals, CONTEST))
    assert np.isfinite(at_best_rate(losses)).all()


def test_training_that_diverges_is_an_infinite_loss_and_a_result() -> None:
    wild = CONTEST.model_copy(update={"steps": 60, "factors": [1.0, 1e4]})
    losses = train_recipes(TASK, _chain("relu"), recipes(TASK, _chain("relu")), wild)
    descent = losses["contest_test_loss"].sel(optimizer="sgd", recipe="critical")
    assert np.isinf(descent.isel(rate=1)).all()
    assert np.isfinite(at_best_rate(losses)).all()
    require_finite(losses, "practice/training")
    with pytest.raises(RgflowError, match="contest_zero_loss is not finite"):
        require_finite(losses.assign(contest_zero_loss=np.inf), "practice/training")


def test_relu_gain_is_critical_and_rates_start_from_the_same_weights(
    results: dict[str, tuple[xr.Dataset, xr.Dataset]],
) -> None:
    losses = results["relu"][1]["contest_train_loss"]
    assert np.array_equal(losses.sel(recipe="gain"), losses.sel(recipe="critical"))
    assert not np.array_equal(losses.sel(recipe="groups"), losses.sel(recipe="critical"))


def test_the_best_rate_is_that_of_the_median_train_loss() -> None:
    dims = ("recipe", "optimizer", "rate", "seed")
    train = np.array([[[[3.0, 1.0, 2.0], [1.5, 1.5, 1.5]]]])
    losses = xr.Dataset({"contest_train_loss": (dims, train), "contest_test_loss": (dims, 10.0 * train)})
    assert at_best_rate(losses).values.tolist() == [[[15.0, 15.0, 15.0]]]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("recipe", ["torch", "groups"])
def test_training_is_that_of_plain_modules(
    results: dict[str, tuple[xr.Dataset, xr.Dataset]], recipe: str, optimizer: str
) -> None:
    """The same weights in a torch module, trained by itself with torch's loss and optimizer."""
    chain, (signals, losses) = _chain("gelu"), results["gelu"]
    own = signals.sel(recipe=recipe)
    drawn = draw_networks(chain, point_of(own), CONTEST.seeds, CONTEST.seed)
    model = nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 2))
    layers = (model[0], model[2], model[4])
    with torch.no_grad():
        for layer, (bias, weight) in zip(layers, drawn, strict=True):
            layer.bias.copy_(bias[1, 0])
            layer.weight.copy_(weight[1].T)
    rate, kind = (float(own["safe_rate"]), torch.optim.SGD) if optimizer == "sgd" else (1e-2, torch.optim.Adam)
    scales = relative_rates(own, chain, optimizer)
    groups = [
        {"params": [parameter], "lr": rate * float(scales[which, at])}
        for at, layer in enumerate(layers)
        for which, parameter in enumerate((layer.bias, layer.weight))
    ]
    stepper = kind(groups, lr=rate)
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in (TASK.train_inputs, TASK.train_targets))
    for _ in range(CONTEST.steps):
        stepper.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        stepper.step()
    found = losses["contest_train_loss"].sel(recipe=recipe, optimizer=optimizer, seed=1)
    assert float(found[1]) == pytest.approx(float(nn.functional.mse_loss(model(x), y).detach()), rel=1e-4)


def test_initializations_are_torchs() -> None:
    torch.manual_seed(0)
    wide = nn.Linear(400, 300)
    own = initialization(_chain("gelu"), "torch")
    assert float(wide.weight.detach().square().mean()) * 400 == pytest.approx(own.C_W[0], rel=0.02)
    assert own.C_b[0] == pytest.approx(1 / 15)
    nn.init.xavier_normal_(wide.weight)
    assert float(wide.weight.detach().square().mean()) * 400 == pytest.approx(2 * 400 / 700, rel=0.02)
    assert initialization(_chain("gelu"), "xavier").C_W[0] == pytest.approx(2 * 5 / 21)
    for name in ("relu", "tanh", "selu"):
        assert initialization(_chain(name), "gain").C_W[0] == pytest.approx(nn.init.calculate_gain(name) ** 2)


@pytest.mark.parametrize(
    ("name", "C_W"),
    [
        ("relu", (2.0, 2.0, 1.0)),
        ("tanh", (1.7879, 3.5757, 1.0)),
        ("gelu", (2.1551, 2.1551, 1.0)),
        ("swish", (2.4298, 2.4298, 1.0)),
        ("selu", (1.0, 1.0, 1.0)),
    ],
)
def test_the_rule_of_anyinit(name: str, C_W: tuple[float, ...]) -> None:
    """C_W of the first, the hidden and the last layer, as read off modules that AnyInit 0.4.0 has initialized."""
    point = initialization(_chain(name), "anyinit")
    assert pytest.approx(C_W, rel=1e-4) == point.C_W
    assert point.C_b == (0.0, 0.0, 0.0)


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
