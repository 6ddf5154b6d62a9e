"""Measurements on copies of a module agree with the advice, and disagree where the module is another."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import rgflow
from rgflow.errors import RgflowError
from rgflow.practice.measure import least_alike

X = np.random.default_rng(4).standard_normal((16, 10))
Y = np.random.default_rng(5).standard_normal((16, 2))


def _model(kind: type[nn.Module] = nn.GELU, width: int = 96) -> nn.Sequential:
    parts = (nn.Linear(10, width), kind(), nn.Linear(width, width), kind(), nn.Linear(width, width), kind())
    return nn.Sequential(*parts, nn.Linear(width, 2))


@pytest.mark.parametrize("kind", [nn.GELU, nn.ReLU, nn.Tanh])
def test_agrees(kind: type[nn.Module]) -> None:
    model = _model(kind)
    check = rgflow.advise(model, X).check(model, networks=64, seed=2)
    assert check.verdict.startswith("agrees")
    assert check.z.size == 12
    assert 0.4 < check.rms_z < 1.6
    check.raise_if_unhealthy()
    assert "agrees" in str(check)
    assert len(json.loads(json.dumps(check.to_dict(), allow_nan=False))["rows"]) == 12


def test_the_order_1_over_n_counts() -> None:
    """At width 12 infinite width is many errors away from the kernel of the last hidden layer, the next order is not."""
    widths = [12] * 7 + [1]
    parts = [part for pair in pairwise(widths) for part in (nn.Tanh(), nn.Linear(*pair))]
    model = nn.Sequential(nn.Linear(10, 12), *parts)
    row = rgflow.advise(model, X).check(model, networks=1500, seed=1).rows_of("K")[-2]
    assert row.measured < row.leading - 3.0 * row.stderr
    assert abs(row.z) < 3.0


def test_another_initialization_is_found() -> None:
    model = _model()
    advice = rgflow.advise(model, X)
    wrong = replace(advice, wanted=tuple(replace(c, C_W=1.5 * c.C_W) for c in advice.wanted))
    rows = advice.check(model, networks=64).rows_of("K")
    others = wrong.check(model, networks=64).rows_of("K")
    assert others[-1].measured > 2.0 * rows[-1].measured  # the prediction is that of the same variances
    assert wrong.check(model, networks=64).verdict.startswith("agrees")


def test_a_module_that_is_not_what_it_says_is_found() -> None:
    model = _model()
    advice = rgflow.advise(model, X)
    handle = model[2].register_forward_hook(lambda _module, _inputs, output: 1.7 * output)
    check = advice.check(model, networks=64)
    handle.remove()
    assert check.verdict.startswith("differs at layer")
    with pytest.raises(RgflowError, match="differs at layer"):
        check.raise_if_unhealthy()


def test_skip_connections_agree_to_order_1_over_n() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Linear(10, 48), nn.Linear(48, 2)
            self.blocks = nn.ModuleList(nn.Linear(48, 48) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            for block in self.blocks:
                x = 0.8 * x + 0.5 * block(torch.relu(x))
            return self.head(torch.relu(x))

    model = Residual()
    check = rgflow.advise(model, X).check(model, networks=200, seed=2)
    assert check.verdict.startswith("agrees")
    assert check.z.size == 8  # K and overlap up to the last block
    head = check.rows_of("K")[-1]
    assert np.isnan(head.predicted)
    assert abs(head.measured - head.leading) < 5 * head.stderr


def test_training_is_measured() -> None:
    model = _model(nn.Tanh, 256)
    check = rgflow.advise(model, X, Y).check(model, networks=12, steps=4)
    (loss,), (change,) = check.rows_of("loss"), check.rows_of("NTK change")
    assert loss.measured == pytest.approx(loss.leading, abs=4 * loss.stderr + 0.03 * loss.leading)
    assert 0.0 < abs(change.measured) < 0.3
    with pytest.raises(RgflowError, match="needs steps >= 0"):
        rgflow.advise(model, X).check(model, steps=2)


def test_what_is_not_predicted_is_measured() -> None:
    parts = (
        nn.Conv1d(1, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 16),
        nn.LayerNorm(16),
        nn.GELU(),
        nn.Linear(16, 2),
    )
    model = nn.Sequential(*parts)
    check = rgflow.advise(model, X[:, None]).check(model, networks=64)
    assert check.verdict.startswith("not predicted; 0 (Conv1d)")
    K = {row.path: row for row in check.rows_of("K")}
    assert set(K) == {"0", "3", "4", "6"}
    assert K["4"].measured == pytest.approx(1.0, abs=1e-4)  # normalized
    default = (
        np.mean([np.sum(X[0, at : at + 3] ** 2) for at in range(8)]) / 9 + 1 / 9
    )  # C_W = 1/3, C_b = 1/(3 n) of torch
    assert abs(K["0"].measured - default) < 4 * K["0"].stderr
    assert all(row.measured > 0 for row in check.rows_of("gradient"))


def test_tokens_are_measured() -> None:
    model = nn.Sequential(nn.Embedding(7, 6), nn.Flatten(), nn.Linear(18, 8), nn.ReLU(), nn.Linear(8, 2))
    check = rgflow.advise(model, np.arange(12).reshape(4, 3) % 7).check(model, networks=8)
    assert [row.path for row in check.rows_of("K")] == ["0", "2", "4"]
    with pytest.raises(RgflowError, match="check needs inputs"):
        rgflow.advise(model).check(model)


def test_dropout_is_off_and_randomness_refused() -> None:
    class Noise(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.rand_like(x)

    quiet = nn.Sequential(nn.Linear(10, 32), nn.Dropout(0.5), nn.ReLU(), nn.Linear(32, 2))
    assert rgflow.advise(quiet, X).check(quiet, networks=8).z.size
    assert quiet.training
    noisy = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 2), Noise())
    with pytest.raises(RgflowError, match="another output when called again"):
        rgflow.advise(noisy, X).check(noisy, networks=8)


def test_a_check_is_reproducible_and_needs_two_networks() -> None:
    model = _model()
    advice = rgflow.advise(model, X)
    first, second = (advice.check(model, networks=3, seed=9).rows for _ in range(2))
    assert first == second
    with pytest.raises(RgflowError, match="networks = 1"):
        advice.check(model, networks=1)


def test_least_alike() -> None:
    x = np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 0.0], [0.3, -3.0], [-1.0, 0.0]])
    assert least_alike(x) == (0, 3)
    assert least_alike(x[:1]) == (0,)
