"""Islands of a posterior: the same bits however they are split, what they combine to, warnings and bad input."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import rgflow
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.posterior import diagnostics
from rgflow.posterior.blocks import pilot, sample_posterior, sample_posterior_block
from rgflow.posterior.combine import combine_posterior
from rgflow.posterior.diagnostics import posterior_diagnostics
from rgflow.posterior.particles import log_mean_exp, white
from rgflow.posterior.problem import Problem
from rgflow.posterior.spec import Inference
from rgflow.posterior.trust import posterior_warnings
from rgflow.task import Task
from rgflow.variables.library import library

NETWORK = Network("tanh", (3, 6, 5, 2), 0.1, 1.5)
EASY, HARD = Inference(0.5, 32, 4), Inference(0.02, 32, 4)  # one stage, several stages


def make_task(train: int = 4, test: int = 2, outputs: int = 2, scale: float = 1.0) -> Task:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(train + 8, 3)), scale * rng.normal(size=(train, outputs))
    return Task(x[:train], y, x[train : train + test])


TASK = make_task()


def block(inference: Inference, islands: range, task: Task = TASK, **where: Any) -> xr.Dataset:
    schedule = pilot(NETWORK, task, inference)
    return sample_posterior_block(NETWORK, task, inference, schedule, islands, **where)


@pytest.fixture(scope="module")
def hard() -> xr.Dataset:
    return block(HARD, range(8))


def test_islands_combine_to_the_same_bits_in_any_order(hard: xr.Dataset) -> None:
    parts = [block(HARD, islands) for islands in (range(5, 8), range(2), range(2, 5))]
    whole = combine_posterior([hard])
    assert hard.sizes["stage"] > 2
    xr.testing.assert_identical(combine_posterior(parts), whole)
    xr.testing.assert_identical(combine_posterior(reversed(parts)), whole)


def test_public_function_is_pilot_blocks_and_combination(hard: xr.Dataset) -> None:
    data = (TASK.train_inputs, TASK.train_targets, TASK.test_inputs)
    posterior = rgflow.sample_posterior(NETWORK, *data, noise=0.02, islands=8, particles=32, seed=4)
    xr.testing.assert_equal(posterior, combine_posterior([hard]))


@pytest.mark.slow
def test_workers_change_no_bit(hard: xr.Dataset) -> None:
    xr.testing.assert_identical(block(HARD, range(8), workers=2), hard)


def test_more_islands_only_add(hard: xr.Dataset) -> None:
    xr.testing.assert_identical(block(HARD, range(3)), hard.isel(island=range(3)))


def test_test_rows_added_later_change_no_bit_of_the_evidence(hard: xr.Dataset) -> None:
    more = block(HARD, range(8), make_task(test=7))
    for name in ("island_log_evidence", "island_ess", "island_acceptance", "beta", "step"):
        np.testing.assert_array_equal(more[name], hard[name])
    np.testing.assert_allclose(more["island_mean"][:, :4], hard["island_mean"][:, :4], rtol=1e-9)


def test_seed_and_island_select_the_draws(hard: xr.Dataset) -> None:
    assert len(np.unique(hard["island_log_evidence"])) == 8
    other = block(Inference(0.02, 32, 5), range(1))
    assert float(other["island_log_evidence"][0]) not in hard["island_log_evidence"].values


def test_one_stage_is_plain_reweighting() -> None:
    """Bit for bit in the evidence; averages are those of prior draws weighted by their likelihood."""
    islands = block(EASY, range(6))
    assert islands.sizes["stage"] == 1
    problem = Problem(NETWORK, TASK, EASY, torch.device("cpu"))
    log_weights = [problem.log_weight(white(problem, 32, problem.draws.stream(label, 0))) for label in range(6)]
    np.testing.assert_array_equal(islands["island_log_evidence"], [log_mean_exp(part) for part in log_weights])
    posterior = combine_posterior([islands])
    together = torch.cat(log_weights)
    assert float(posterior["log_evidence"]) == pytest.approx(log_mean_exp(together), rel=1e-13)
    weight = torch.softmax(together, 0)
    expected = float(weight.sum() ** 2 / weight.square().sum())
    assert float(posterior["effective_sample_size"]) == pytest.approx(expected, rel=1e-10)
    assert float(posterior["effective_sample_fraction"]) == pytest.approx(expected / 192, rel=1e-10)


def test_posterior_of_a_likelihood_without_information_is_the_prior() -> None:
    """Noise so large that all weights are equal: nothing changes, and log p(y) is that of the noise."""
    inference = Inference(1e12, 64, 1)
    posterior = combine_posterior([block(inference, range(4))])
    np.testing.assert_allclose(posterior["hidden_kernel_change"], 0.0, atol=1e-9)
    np.testing.assert_allclose(posterior["posterior_mean"], 0.0, atol=1e-9)
    for i, j in np.ndindex(2, 2):
        expected = posterior["prior_hidden_kernel"] * float(i == j)
        np.testing.assert_allclose(posterior["posterior_covariance"][i, j], expected, atol=1e-9)
    assert float(posterior["log_evidence"]) == pytest.approx(-4 * np.log(2 * np.pi * 1e12), rel=1e-12)
    assert float(posterior["effective_sample_size"]) == pytest.approx(256)


def test_change_of_the_kernel_has_smaller_errors_than_the_difference() -> None:
    posterior = combine_posterior([block(EASY, range(32))])
    change = posterior["hidden_kernel"] - posterior["prior_hidden_kernel"]
    np.testing.assert_allclose(posterior["hidden_kernel_change"], change, rtol=1e-12, atol=1e-14)
    apart = np.hypot(posterior["hidden_kernel_stderr"], posterior["prior_hidden_kernel_stderr"])
    assert float((posterior["hidden_kernel_change_stderr"] / apart).mean()) < 0.7


def synthetic(log_evidence: list[float], noise: float = 0.1, **arrays: Any) -> xr.Dataset:
    """A block of islands with two samples, one output and two stages."""
    count = len(log_evidence)
    zeros = np.zeros((count, 2, 2))
    values: dict[str, Any] = {
        "island_log_evidence": (("island",), log_evidence),
        "island_mean": (("island", "sample", "output"), np.zeros((count, 2, 1))),
        "island_second": (("island", "output_1", "output_2", "sample_1", "sample_2"), zeros[:, None, None]),
        "island_kernel": (("island", "sample_1", "sample_2"), zeros),
        "island_prior_kernel": (("island", "sample_1", "sample_2"), zeros),
        "island_log_weight": (("island", "power"), np.zeros((count, 2))),
        "island_ess": (("island", "stage"), np.full((count, 2), 0.6)),
        "island_acceptance": (("island", "stage"), np.tile([0.8, np.nan], (count, 1))),
        "beta": ("stage", [0.5, 1.0]),
        "step": ("stage", [0.4, 0.0]),
    }
    values |= {name: (values[name][0], np.array(given)) for name, given in arrays.items()}
    coords = {"island": range(count), "stage": range(2), "power": [1, 2], "sample": range(2), "output": [0]}
    roles = {"role": ("sample", ["train", "test"])}
    attrs = {"network": "{}", "data": "", "schedule": "[]", "device": "cpu", "move": "rotation"}
    attrs["inference"] = json.dumps({"noise": noise, "particles": 10})
    return xr.Dataset(values, {**coords, **roles}, attrs)


def test_covariance_is_that_of_pooled_second_moments() -> None:
    """Islands with the same spread about different means: centred on its own mean, each would miss what lies between."""
    rng = np.random.default_rng(0)
    means, log_Z = rng.normal(size=(6, 2, 1)), rng.normal(size=6)
    second = np.eye(2) + means @ means.transpose(0, 2, 1)
    posterior = combine_posterior([synthetic(log_Z.tolist(), island_mean=means, island_second=second[:, None, None])])
    Z = np.exp(log_Z) / np.exp(log_Z).sum()
    mean = np.einsum("r,rai->ai", Z, means)
    between = np.einsum("r,rab->ab", Z, (means - mean) @ (means - mean).transpose(0, 2, 1))
    np.testing.assert_allclose(posterior["posterior_mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(posterior["posterior_covariance"][0, 0], np.eye(2) + between, rtol=1e-12)
    assert float(posterior["log_evidence"]) == pytest.approx(np.log(np.exp(log_Z).mean()))


def test_errors_are_those_of_the_jackknife() -> None:
    """Equal evidence: the standard error of a mean; and of log Z by hand."""
    rng = np.random.default_rng(1)
    means = rng.normal(size=(9, 2, 1))
    posterior = combine_posterior([synthetic([-1.0] * 9, island_mean=means)])
    np.testing.assert_allclose(posterior["posterior_mean_stderr"], means.std(0, ddof=1) / 3, rtol=1e-12)
    Z = rng.uniform(1, 2, size=9)
    left = np.array([np.log(np.delete(Z, r).mean()) for r in range(9)])
    posterior = combine_posterior([synthetic(np.log(Z).tolist())])
    assert float(posterior["log_evidence_stderr"]) == pytest.approx(np.sqrt(8 * left.var()), rel=1e-10)


WARNINGS = [
    pytest.param(
        {"log_evidence": [0.0, -1.5, 1.5, 0.0]},
        "log Z varies by 1.2 between islands, more than 1: error bars are not to be trusted; take more particles",
        id="spread",
    ),
    pytest.param(
        {"log_evidence": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.5]},
        "2.4 of 8 islands carry the weight, fewer than half; take more particles",
        id="weights",
    ),
    pytest.param(
        {"log_evidence": [0.0] * 3, "island_acceptance": np.tile([0.25, np.nan], (3, 1))},
        "acceptance is 0.25 in stage 0, less than 0.4; take more particles",
        id="acceptance",
    ),
    pytest.param(
        {"log_evidence": [0.0] * 3, "island_ess": np.tile([0.5, 0.05], (3, 1))},
        "0.05 of the particles are effective at the end, less than 0.1; take more particles",
        id="final",
    ),
    pytest.param(
        {"log_evidence": [0.25] * 3},
        "log_evidence = 0.25 exceeds the largest possible, -n_L N_A/2 log(2 pi noise) = 0.232354",
        id="bound",
    ),
]


@pytest.mark.parametrize(("case", "line"), WARNINGS)
def test_every_warning_is_one_line(case: dict[str, Any], line: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "rgflow"):
        posterior = combine_posterior([synthetic(**{"noise": 1e-3 if "0.25 exc" not in line else 0.1, **case})])
    assert line in posterior.attrs["warnings"]
    assert any(line in record.getMessage() for record in caplog.records)


def test_nothing_is_warned_of_without_reason() -> None:
    assert combine_posterior([synthetic([-0.1, 0.0, 0.1])]).attrs["warnings"] == []


def test_moves_without_gradient_are_to_accept_less() -> None:
    posterior = combine_posterior([synthetic([0.0] * 3, island_acceptance=np.tile([0.25, np.nan], (3, 1)))])
    assert posterior_warnings(posterior.assign_attrs(move="crank_nicolson")) == []


def combined_of(*blocks: xr.Dataset) -> None:
    combine_posterior(blocks)


def test_blocks_that_do_not_combine() -> None:
    first = synthetic([0.0, 0.1])
    with pytest.raises(RgflowError, match=r"^no blocks to combine$"):
        combined_of()
    with pytest.raises(RgflowError, match=r"^island 0 is in two blocks$"):
        combined_of(first, first)
    with pytest.raises(RgflowError, match=r"^islands are not 0\.\.1: the posterior has gaps$"):
        combined_of(first.assign_coords(island=[0, 2]))
    with pytest.raises(RgflowError, match=r"^one island has no error bars; at least 2 are needed$"):
        combined_of(first.isel(island=[0]))
    with pytest.raises(RgflowError, match=r"^blocks differ in schedule: "):
        combined_of(first, first.assign_coords(island=[2, 3]).assign_attrs(schedule="other"))


def call(network: Network = NETWORK, task: dict[str, Any] | None = None, **settings: Any) -> None:
    data = {"train_inputs": TASK.train_inputs, "train_targets": TASK.train_targets, "test_inputs": TASK.test_inputs}
    sample_posterior(network, **{**data, **(task or {})}, **{"noise": 0.5, "particles": 8, "seed": 0, **settings})


BAD = [
    ({"noise": -0.1}, "noise = -0.1; it is a variance and must be finite and not negative"),
    ({"noise": float("nan")}, "noise = nan; it must be a finite number"),
    ({"particles": 4}, "particles = 4; allowed: an integer from 8 to 1048576"),
    ({"particles": 8.5}, "particles = 8.5; it must be an integer"),
    ({"islands": 1}, "islands = 1; allowed: an integer from 2 to 1048576"),
    ({"seed": -1}, "seed = -1; allowed: an integer from 0 to 9223372036854775807"),
    ({"dtype": "float16"}, "dtype: 'float16'; allowed: float64, float32"),
    ({"device": "tpu"}, "device = 'tpu'; allowed: auto, cpu, cuda"),
    ({"workers": 0}, "workers = 0; at least 1 is needed"),
    (
        {"noise": 0.0, "network": Network("tanh", (3, 6, 3, 2), 0.1, 1.5)},
        "noise = 0 with 4 train samples needs hidden widths of at least as many; n_2 = 3",
    ),
    (
        {"noise": 0.0, "task": {"train_inputs": TASK.train_inputs[[0, 1, 2, 0]]}},
        "train_inputs are repeated; drop the repeated ones or give noise > 0",
    ),
    (
        {"noise": 0.0, "network": Network("linear", (3, 6, 5, 2), 0.0, 1.5)},
        "the likelihood of the train targets is zero or infinite in every network drawn: drop repeated or parallel train "
        "inputs, or give noise > 0",
    ),
    (
        {"task": {"train_inputs": np.zeros((0, 3)), "train_targets": np.zeros((0, 2))}},
        "train_inputs has shape (0, 3); it must be a non-empty matrix, one row per sample",
    ),
    (
        {"network": Network("tanh", (3, 6, 5, 1), 0.1, 1.5)},
        "targets have 2 components; the network has n_L = 1 outputs",
    ),
    (
        {"network": Network("tanh", (3, 2), 0.1, 1.5)},
        "widths = (3, 2); without a hidden layer bayes_theory is exact, nothing is sampled",
    ),
    (
        {"network": Network("tanh", (3, 2, 2), 0.1, 1.5, xi_2=1.0)},
        "xi_1 = 1, xi_2 = 1: the posterior needs a plain network",
    ),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_bad_input_is_told_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError) as error:
        call(**settings)
    assert str(error.value) == message


def test_memory_is_refused_before_it_is_taken() -> None:
    wide = Network("tanh", (3, 6, 5, 20_000), 0.1, 1.5)
    with pytest.raises(
        RgflowError, match=r"^8 particles on 6 samples with 20000 outputs need .* GiB; a process may use"
    ):
        call(wide, {"train_targets": np.zeros((4, 20_000))})
    with pytest.raises(RgflowError, match=r"GiB; a process may use 0\.00 GiB$"):
        pilot(NETWORK, TASK, EASY, memory=1e6)


def test_a_schedule_of_another_posterior_is_refused() -> None:
    schedule = pilot(NETWORK, TASK, EASY)
    with pytest.raises(
        RgflowError, match=r"^schedule: the pilot is of another network, other data, settings or device$"
    ):
        sample_posterior_block(NETWORK, TASK, HARD, schedule, range(2))
    with pytest.raises(RgflowError, match=r"^islands = range\(2, 2\); a block must be a non-empty range"):
        sample_posterior_block(NETWORK, TASK, EASY, schedule, range(2, 2))


def test_without_noise_the_posterior_passes_through_the_targets() -> None:
    posterior = combine_posterior([block(Inference(0.0, 64, 2), range(4))])
    np.testing.assert_allclose(posterior["posterior_mean"][:4], TASK.train_targets, rtol=1e-6)
    np.testing.assert_allclose(posterior["posterior_covariance"][..., :4, :4], 0.0, atol=1e-6)


def test_variables_are_registered(hard: xr.Dataset) -> None:
    registry = library()
    for dataset in (hard, combine_posterior([hard]), pilot(NETWORK, TASK, HARD)):
        registry.validate(dataset, "posterior")


def test_an_activation_without_gradient_is_sampled(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import torch\ndef stairs(z): return torch.floor(2 * z) / 2\n")
    network = Network(f"{tmp_path / 'mine.py'}:stairs", (3, 6, 5, 2), 0.1, 1.5)
    schedule = pilot(network, TASK, HARD)
    posterior = combine_posterior([sample_posterior_block(network, TASK, HARD, schedule, range(4))])
    assert posterior.attrs["move"] == "crank_nicolson"
    assert posterior.sizes["stage"] > 1
    assert ((posterior["acceptance"][:-1] > 0.15) & (posterior["acceptance"][:-1] < 0.6)).all()


def test_diagnostics_find_moves_that_forget() -> None:
    data = (TASK.train_inputs, TASK.train_targets, TASK.test_inputs)
    found = posterior_diagnostics(NETWORK, *data, noise=0.1, islands=8, particles=16, draws=20, seed=1)
    assert found["quantity"].values.tolist()[:3] == ["log_weight", "alignment", "trace"]
    assert found["quantity"].values.tolist()[3:] == [f"mean[{a}, {i}]" for a in (4, 5) for i in (0, 1)]
    assert float(found["rhat_nested"].max()) < 1.02
    assert float(found["ess_bulk"].min()) > 500
    posterior = sample_posterior(NETWORK, *data, noise=0.1, islands=32, particles=64, seed=2)
    means = posterior["posterior_mean"].values[4:].ravel()
    error = np.hypot(found["mcse"].values[3:], posterior["posterior_mean_stderr"].values[4:].ravel())
    assert (abs(found["mean"].values[3:] - means) / error).max() < 4.0


def test_diagnostics_tell_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import arviz_stats

    monkeypatch.delattr(arviz_stats, "rhat_nested")  # as where the extra is not installed
    with pytest.raises(RgflowError, match=r"needs arviz-stats: pip install 'arviz-stats\[xarray\]' arviz-base$"):
        diagnostics.posterior_diagnostics(
            NETWORK, TASK.train_inputs, TASK.train_targets, TASK.test_inputs, noise=1, seed=0
        )
