"""Reading of torch modules: what is a chain, what is cut, what is refused, each named by path and type."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import rgflow
from rgflow.errors import UnsupportedModel
from rgflow.practice.reading import read


class Functional(nn.Module):
    """Functions, a method, a composed activation, numbers that multiply."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.last = (nn.Linear(n, m) for n, m in ((6, 8), (8, 8), (8, 8), (8, 2)))
        self.register_buffer("gain", torch.tensor(2.0))

    def forward(self, x: torch.Tensor, factor: float = 3.0) -> torch.Tensor:
        x = F.leaky_relu(self.first(x.flatten(1)), 0.2)
        x = self.second(x * 0.5).relu()
        z = self.third(self.gain * x)
        x = z * torch.sigmoid(1.702 * z)
        return self.last(F.dropout(x, training=self.training)) / factor


class Residual(nn.Module):
    def __init__(self, blocks: int = 2, width: int = 8, branch: float = 0.6, skip: float = 0.8) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(5, width), nn.Linear(width, 2)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.branch, self.skip = branch, skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = self.skip * x + self.branch * block(torch.tanh(x))
        return self.head(torch.tanh(x))


class LongSkip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.up, self.down, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(x + self.down(torch.relu(self.up(torch.relu(x)))))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(4, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0])


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.mix, self.head = nn.Linear(4, 8), nn.MultiheadAttention(8, 2), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.up(x)
        return self.head(self.mix(x, x, x)[0])


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), Gate())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


class Gate(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.tanh(self.layer(x)))


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.layer(x + y)


def test_nested_sequential_is_a_chain() -> None:
    inner = nn.Sequential(nn.Linear(8, 6, bias=False), nn.Dropout(0.5), nn.SiLU())
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.GELU(), inner, nn.Identity(), nn.Linear(6, 3))
    reading = read(model)
    assert reading.is_chain
    assert not reading.cuts
    assert [layer.path for layer in reading.layers] == ["1", "3.0", "5"]
    assert [layer.before and layer.before.name for layer in reading.layers] == [None, "gelu", "swish"]
    assert [layer.behind and layer.behind.name for layer in reading.layers] == ["gelu", "swish", None]


def test_functions_methods_compositions_and_numbers() -> None:
    reading = read(Functional())
    before = [layer.before for layer in reading.layers]
    assert reading.is_chain
    assert before[1].label == "leaky_relu(slope=0.2)"
    assert before[2].name == "relu"
    z = np.linspace(-3, 3, 7)
    assert np.allclose(before[3](z), z / (1 + np.exp(-1.702 * z)))
    assert [layer.input_scale for layer in reading.layers] == [1.0, 0.5, 2.0, 1.0]
    assert reading.layers[-1].output_scale == pytest.approx(1 / 3)


def test_linear_layers_in_a_row_and_a_single_one() -> None:
    reading = read(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)))
    assert reading.is_chain
    assert reading.layers[1].before.name == "linear"
    single = read(nn.Linear(3, 2))
    assert single.is_chain
    assert [layer.path for layer in single.layers] == [""]


def test_activations_of_torch() -> None:
    kinds = (
        nn.ReLU(),
        nn.PReLU(),
        nn.Softplus(),
        nn.Mish(),
        nn.Hardtanh(),
        nn.ELU(0.5),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.SELU(),
    )
    model = nn.Sequential(*(part for kind in kinds for part in (nn.Linear(4, 4), kind)), nn.Linear(4, 1))
    reading = read(model)
    assert reading.is_chain
    assert [layer.before.name for layer in reading.layers[1:]] == [
        "relu", "leaky_relu", "softplus", "mish", "hard_tanh", "elu", "tanh", "sigmoid", "selu",
    ]  # fmt: skip
    assert reading.other_parameters == ("3.weight",)


def test_skip_connections() -> None:
    reading = read(Residual())
    assert reading.is_chain
    assert [layer.skip for layer in reading.layers] == [0.0, 0.8, 0.8, 0.0]
    assert [layer.output_scale for layer in reading.layers] == [1.0, 0.6, 0.6, 1.0]


def test_the_front_is_what_the_first_layer_gets() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(2.0 * x - 1.0)

    front = read(Scaled()).front
    x = torch.rand(4, 2, 3, dtype=torch.float64)
    assert torch.equal(front(x), (2 * x - 1).flatten(1))


@pytest.mark.parametrize(
    ("model", "cut", "known"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)), "0 (Conv2d)", [True]),
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)), "1 (LayerNorm)",
         [True, False, True]),
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1), nn.Linear(4, 2)), "1 (Softmax)", [True, False]),
        (nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2)), "0 (Embedding)", [False]),
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)), "1 (BatchNorm1d)", [True, True]),
        (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.ConvTranspose1d(1, 1, 3), nn.Linear(10, 2)), "2 (ConvTranspose1d)",
         [True, False]),
        (Recurrent(), "rnn (GRU)", [False]),
        (Attending(), "mix (MultiheadAttention)", [True, False]),
        (LongSkip(), "head (Linear): reads something else", [True, True, True, True]),
    ],
)  # fmt: skip
def test_cuts_are_named(model: nn.Module, cut: str, known: list[bool]) -> None:
    reading = read(model)
    assert not reading.is_chain
    assert [layer.known for layer in reading.layers] == known
    assert any(str(found).startswith(cut) for found in reading.cuts)
    assert all("\n" not in str(found) for found in reading.cuts)
    assert reading.cuts


def test_what_stands_behind_the_last_layer_is_named() -> None:
    reading = read(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Sigmoid()))
    assert reading.is_chain
    assert str(reading.trailing).startswith("3 (Sigmoid)")
    assert read(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.LogSoftmax(-1))).trailing is None


def _shared() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    return model


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Sequential(nn.LazyLinear(4), nn.ReLU()), ("0 (LazyLinear)", "lazy")),
        (lambda: nn.Sequential(nn.Linear(4, 4, device="meta")), ("0 (Linear)", "meta")),
        (lambda: nn.Sequential(nn.Linear(4, 4, dtype=torch.complex64)), ("0 (Linear)", "complex")),
        (_shared, ("2 (Linear)", "shares", "0.weight")),
        (Twice, ("layer (Linear)", "called 2 times")),
        (lambda: nn.Sequential(nn.Conv1d(1, 1, 1)), ("model (Sequential)", "no torch.nn.Linear")),
        (Branching, ("inner.1 (Gate)", "control flow")),
        (Two, ("model (Two)", "takes the inputs")),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), ("is parametrized",)),
    ],
)
def test_refusals_name_path_and_type_in_one_line(make: Callable[[], nn.Module], words: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        rgflow.advise(make(), np.ones((2, 4)))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
