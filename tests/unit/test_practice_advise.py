"""Advice on torch modules: its numbers, what it writes, its groups, its page."""

from __future__ import annotations

import copy
import json
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import rgflow
from rgflow.errors import RgflowError
from rgflow.practice.choice import choose, life
from rgflow.theory.criticality.susceptibility import mean_square

LAYERS, WIDTH = 20, 256


def _pair(n_0: int, correlation: float = 0.9) -> np.ndarray:
    x = np.zeros((2, n_0))
    x[0, 0], x[1, 0], x[1, 1] = 1.0, correlation, math.sqrt(1 - correlation**2)
    return math.sqrt(n_0) * x


def _chain(kind: type[nn.Module], layers: int = LAYERS, width: int = WIDTH, outputs: int = WIDTH) -> nn.Sequential:
    sizes = [width] * layers + [outputs]
    parts = [part for n, m in pairwise(sizes) for part in (nn.Linear(n, m), kind())]
    return nn.Sequential(*parts[:-1])


def _set_exactly_(model: nn.Module, C_W: float) -> nn.Module:
    """Weights whose mean square is C_W/n to rounding, no biases."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.bias.zero_()
                module.weight.normal_()
                module.weight.mul_(math.sqrt(C_W / module.in_features / float(module.weight.square().mean())))
    return model


# correlation after 20 layers, chi_perp of the last step, V/(nK^2), Theta with all rates 1; n = 256, x.x/n_0 = 1, correlation 0.9
PUBLISHED = [
    ("Tanh", 3.576, 0.193, 1.31, 0.0021, 1030),
    ("Tanh", None, 0.869, 0.95, 0.047, 10.8),
    ("GELU", 2.155, 0.873, 1.060, 2.57, 73.8),
    ("GELU", None, 0.964, 0.976, 0.338, 32.2),
    ("SiLU", 2.430, 0.831, 1.069, 13.9, 80),
    ("SiLU", None, 0.993, 0.926, 0.151, 24.6),
    ("SELU", 1.0, 0.781, None, 0.015, 83),
    ("SELU", None, 0.907, None, 0.064, 7.9),
    ("ReLU", 2.0, 0.974, 1.0, 0.371, 40),
    ("ReLU", None, 0.974, 1.0, 0.371, 40),
]


@pytest.mark.parametrize(("kind", "C_W", "correlation", "chi_perp", "kappa", "theta"), PUBLISHED)
def test_the_table_of_initializations(
    kind: str, C_W: float | None, correlation: float, chi_perp: float | None, kappa: float, theta: float
) -> None:
    model = _chain(getattr(nn, kind)).double()
    advice = rgflow.advise(model if C_W is None else _set_exactly_(model, C_W), _pair(WIDTH))
    data = advice.at("critical" if C_W is None else "now")
    assert data["correlation"].values[-1] == pytest.approx(correlation, abs=6e-4)
    assert data["kappa"].values[-1] == pytest.approx(kappa, rel=0.015 if kappa > 0.01 else 0.03)
    assert data["Theta_output"].sel(rates="unit").values[0, 0] == pytest.approx(theta, rel=6e-3)
    if chi_perp is not None:
        assert data["layer_chi_perp"].values[-2] == pytest.approx(chi_perp, abs=6e-3)


def test_chi_perp_of_selu_by_hand() -> None:
    """<sigma'^2>_1 = scale^2 [1/2 + alpha^2 e^2 Phi(-2)] = 1.0717 at C_W = 1, whose K = 1 is fixed."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    by_hand = scale**2 * (0.5 + alpha**2 * math.exp(2.0) * 0.5 * math.erfc(math.sqrt(2.0)))
    advice = rgflow.advise(_set_exactly_(_chain(nn.SELU, 6).double(), 1.0), _pair(WIDTH))
    assert advice.at("now")["layer_chi_perp"].values[:5] == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize(("kind", "C_b", "C_W"), [("GELU", 0.172922, 1.9830583), ("SiLU", 0.555143, 1.9880047)])
def test_critical_points_where_torch_has_no_gain(kind: str, C_b: float, C_W: float) -> None:
    data = rgflow.advise(_chain(getattr(nn, kind), 3, 8), _pair(8)).at("critical")
    assert data["layer_C_b"].values == pytest.approx([C_b] * 3, rel=1e-5)
    assert data["layer_C_W"].values == pytest.approx([C_W] * 3, rel=1e-6)


def test_torch_default_is_ordered() -> None:
    torch.manual_seed(0)
    for kind, chi_perp in ((nn.ReLU, 1 / 6), (nn.GELU, 0.083)):
        advice = rgflow.advise(_chain(kind), _pair(WIDTH))
        now = advice.at("now")
        K = now["K"].values[:, 0, 0]
        assert K[0] == pytest.approx(1 / 3, abs=0.01)
        assert K[4] < 0.003
        assert now["correlation"].values[9] == pytest.approx(1.0, abs=1e-4)
        assert now["layer_chi_perp"].values[-2] == pytest.approx(chi_perp, abs=0.005)
        assert 1.0 < now["Theta_output"].sel(rates="unit").values[0, 0] < 2.9
        assert "Now ordered" in advice.lines[0]
        assert not advice.healthy
        with pytest.raises(RgflowError, match="Now ordered"):
            advice.raise_if_unhealthy()


def test_relu_gain_kills_gelu() -> None:
    advice = rgflow.advise(_set_exactly_(_chain(nn.GELU, 60, 16).double(), 2.0), _pair(16))
    assert advice.at("now")["K"].values[-1, 0, 0] < 1e-14


@pytest.mark.parametrize(("name", "mean_square"), [("gelu", 1.709), ("silu", 6.924), ("mish", 0.783)])
def test_the_input_scale_starts_on_the_fixed_point(name: str, mean_square: float) -> None:
    x = 0.6 * _pair(10)
    advice = rgflow.advise(name, x, widths=[10, 50, 50, 1])
    scale = float(advice.dataset["input_scale"])
    assert scale**2 * 0.36 == pytest.approx(mean_square, rel=6e-4)
    K = rgflow.advise(name, scale * x, widths=[10, 50, 50, 1]).at("critical")["K"].values[:, 0, 0]
    assert np.ptp(K) < 1e-10 * K[0]
    assert math.isnan(rgflow.advise("tanh", widths=[10, 50, 1]).dataset["input_scale"])


@pytest.mark.parametrize(
    ("name", "one", "ten"), [("relu", 0.0348, 0.0160), ("tanh", 0.261, 0.12), ("gelu", 0.0355, 0.0163)]
)
def test_optimal_aspect_ratio(name: str, one: float, ten: float) -> None:
    for outputs, best in ((1, one), (10, ten)):
        advice = rgflow.advise(name, widths=[8, 64, 64, outputs])
        assert float(advice.dataset["optimal_aspect_ratio"]) == pytest.approx(best, rel=6e-3)
        assert "not a promise" in advice.lines[3]
        assert len(advice.lines) == 5


@pytest.mark.parametrize("name", ["sigmoid", "softplus"])
def test_no_critical_point_is_said(name: str) -> None:
    advice = rgflow.advise(name, widths=[8, 64, 64, 64, 1])
    assert "no critical point; differences of inputs live" in advice.lines[1]
    assert "most like" in advice.lines[1]
    assert np.nanmax([advice.at("critical")[f"layer_chi_{kind}"].values for kind in ("parallel", "perp")]) < 1.01


@pytest.mark.parametrize(("name", "alike"), [("sigmoid", "tanh"), ("softplus", "relu")])
def test_the_best_point_of_an_activation_without_a_critical_one(name: str, alike: str) -> None:
    """No other fixed point with K <= 10, C_b >= 0 and susceptibilities up to 1 has a larger chi_perp."""
    sigma = rgflow.activation(name)
    chosen = choose(sigma)
    found = []
    for K in np.geomspace(0.05, 10.0, 23):
        square, slope, parallel = (float(mean_square(sigma, *kind)) for kind in ((0, K), (1, K), (0, K, 1)))
        found.append(slope * min(K / square, 1 / max(slope, abs(parallel))))
    perp = chosen.C_W * float(mean_square(sigma, 1, _fixed_point(sigma, chosen.C_b, chosen.C_W)))
    assert perp >= max(found) - 1e-9
    assert float(re.search(r"live (\S+) layers", chosen.remark)[1]) == pytest.approx(-1 / math.log(perp), rel=6e-3)
    assert life(sigma)[1].name == alike


def _fixed_point(sigma: rgflow.Activation, C_b: float, C_W: float) -> float:
    K = 8.0
    for _ in range(4000):
        K = C_b + C_W * float(mean_square(sigma, 0, K))
    return K


def test_a_layer_without_biases_keeps_the_kernel() -> None:
    model = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 64, bias=False), nn.GELU(), nn.Linear(64, 1))
    advice = rgflow.advise(model, math.sqrt(1.709) * _pair(8))
    assert "needs biases with C_b = 0.172922" in advice.lines[1]
    assert advice.at("critical")["layer_C_b"].values[1] == 0.0
    K = advice.at("critical")["K"].values[:, 0, 0]
    assert K[1] == pytest.approx(K[0], rel=1e-3)
    groups = {group["name"]: group["lr_scale"] for group in advice.parameter_groups(lr=1.0)}
    assert set(groups) == {"0.bias", "0.weight", "2.weight", "4.bias", "4.weight"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_types_of_numbers(dtype: torch.dtype) -> None:
    model = _chain(nn.Tanh, 4, 64, 3).to(dtype)
    advice = rgflow.advise(model, _pair(64))
    returned = advice.initialize_(model, torch.Generator().manual_seed(1))
    assert returned is model
    assert {p.dtype for p in model.parameters()} == {dtype}
    again = rgflow.advise(model, _pair(64)).at("now")
    assert again["layer_C_W"].values == pytest.approx([1.0] * 4, rel=6 * math.sqrt(2 / 192))
    assert again["layer_C_b"].values == pytest.approx([0.0] * 4)
    assert advice.check(model, networks=4).z.size


def test_wide_types_draw_the_same_numbers() -> None:
    drawn = []
    for dtype in (torch.float32, torch.bfloat16):
        model = rgflow.critical_(_chain(nn.GELU, 3, 16).to(dtype), generator=torch.Generator().manual_seed(5))
        drawn.append(model[0].weight.detach().float())
    assert torch.equal(drawn[0].bfloat16().float(), drawn[1])


def test_initialization_is_reproducible_and_leaves_nothing_behind() -> None:
    model = _chain(nn.GELU, 3, 32)
    keys, attributes = list(model.state_dict()), {name: set(vars(m)) for name, m in model.named_modules()}
    x = _pair(32)
    advice = rgflow.advise(model, x)
    before = copy.deepcopy(model.state_dict())
    str(advice), advice._repr_html_(), advice.check(model, networks=2)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    first = copy.deepcopy(advice.initialize_(model, torch.Generator().manual_seed(7)).state_dict())
    second = rgflow.critical_(model, x, generator=torch.Generator().manual_seed(7)).state_dict()
    assert all(torch.equal(first[key], value) for key, value in second.items())
    assert list(second) == keys
    assert attributes == {name: set(vars(m)) for name, m in model.named_modules()}
    assert all(not vars(parameter) for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_everything_is_checked_before_the_first_write() -> None:
    model = _chain(nn.Tanh, 3, 16)
    advice = rgflow.advise(model, _pair(16))
    others = [_chain(nn.Tanh, 4, 16), _chain(nn.Tanh, 3, 17), _chain(nn.ReLU, 3, 16), _chain(nn.Tanh, 3, 16)[:-1]]
    for other in others:
        before = copy.deepcopy(other.state_dict())
        with pytest.raises(RgflowError, match="the advice is for"):
            advice.initialize_(other)
        assert all(torch.equal(before[key], value) for key, value in other.state_dict().items())
    twin = _chain(nn.Tanh, 3, 16)
    advice.initialize_(twin)
    assert float(twin[0].bias.detach().abs().max()) == 0.0


def test_an_unknown_part_is_left_alone() -> None:
    model = nn.Sequential(
        nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 200), nn.LayerNorm(200), nn.Linear(200, 2)
    )
    convolution, last = model[0].weight.clone(), model[5].weight.clone()
    advice = rgflow.advise(model, np.ones((3, 1, 8)))
    assert [choice is not None for choice in advice.wanted] == [True, False]
    assert {cut.split(":")[0] for cut in advice.unpredicted} == {"0 (Conv1d)", "4 (LayerNorm)"}
    advice.initialize_(model)
    assert torch.equal(model[0].weight, convolution)
    assert torch.equal(model[5].weight, last)
    assert float(model[3].weight.detach().square().mean()) * 12 == pytest.approx(2.0, rel=0.2)
    with pytest.raises(RgflowError, match="no rates are predicted"):
        advice.parameter_groups()


def test_fixed_numbers_beside_a_layer_are_taken_into_account() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(16, 300), nn.Linear(300, 300)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.25 * self.b(4.0 * torch.relu(self.a(x)))

    x = np.random.default_rng(0).standard_normal((8, 16))
    model = Scaled()
    advice = rgflow.advise(model, x)
    assert pytest.approx(2.0) == advice.wanted[1].C_W  # 2 / (4 * 0.25)^2
    advice.initialize_(model, torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = model(torch.as_tensor(x, dtype=torch.float32)).double()
    K = np.diagonal(advice.at("critical")["K"].values[-1])
    assert float((outputs**2).mean()) == pytest.approx(K.mean(), rel=0.25)
    scales = {group["name"]: group["lr_scale"] for group in advice.parameter_groups(lr=1.0)}
    assert scales["b.bias"] == pytest.approx(0.5 / 0.25**2)
    assert scales["b.weight"] == pytest.approx(0.5 / 300)


def test_parameter_groups_cover_everything_or_say_what_not() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.PReLU(), nn.Linear(8, 2))
    model[0].bias.requires_grad_(False)
    advice = rgflow.advise(model, _pair(6))
    with pytest.raises(RgflowError, match=r"no rate is known for 1.weight"):
        advice.parameter_groups(lr=0.1)
    groups = advice.parameter_groups(lr=0.1, other=True)
    assert [group["name"] for group in groups] == ["0.weight", "2.bias", "2.weight", "other"]
    covered = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(covered) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert advice.at("critical")["layer_lambda_b"].values[0] == 0.0


def test_the_suggested_rate_is_for_an_initialized_module() -> None:
    model = _chain(nn.ReLU, 3, 32, 2)
    advice = rgflow.advise(model, _pair(32))
    with pytest.raises(RgflowError, match="call initialize_ first"):
        advice.parameter_groups()
    assert advice.parameter_groups(initialization="now")[0]["lr"] > 0
    advice.initialize_(model)
    groups = advice.parameter_groups()
    assert groups[0]["lr"] == pytest.approx(float(advice.at("critical")["suggested_rate"].sel(rates="tensor")) / 3)
    with pytest.raises(RgflowError, match="initialization = 'then'"):
        advice.parameter_groups(initialization="then")
    with pytest.raises(RgflowError, match="'adam': no learning rate"):
        rgflow.advise(model, _pair(32), optimizer="adam").parameter_groups()


def test_schedulers_keep_the_ratios() -> None:
    model = _chain(nn.Tanh, 4, 16, 2)
    groups = rgflow.advise(model, _pair(16)).parameter_groups(lr=0.1)
    ratios = np.array([group["lr_scale"] for group in groups])
    lr = torch.optim.lr_scheduler

    def optimizer() -> torch.optim.SGD:
        return torch.optim.SGD([dict(group) for group in groups], lr=0.1, momentum=0.9)

    makers = (
        lambda o: lr.ReduceLROnPlateau(o, factor=0.3, patience=0),
        lambda o: lr.OneCycleLR(o, max_lr=[10 * group["lr"] for group in o.param_groups], total_steps=9),
        lambda o: lr.CosineAnnealingLR(o, 8),
        lambda o: lr.StepLR(o, 2, 0.5),
    )
    for make in makers:
        own = optimizer()
        scheduler = make(own)
        for _ in range(5):
            own.step()
            scheduler.step(*([1.0] if isinstance(scheduler, lr.ReduceLROnPlateau) else []))
            rates = np.array([group["lr"] for group in own.param_groups])
            assert rates / rates[0] == pytest.approx(ratios / ratios[0])
        assert own.param_groups[0]["lr"] != pytest.approx(0.1 * ratios[0])


def test_the_page_is_whole_and_offline(tmp_path: Path) -> None:
    model = _chain(nn.GELU, 4, 16, 3)
    advice = rgflow.advise(model, _pair(16), np.array([0, 2]))
    page = advice.save_report(tmp_path / "advice.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"https?://|<script|<link", page)
    assert "parameter_groups: lr is safe below" in page
    assert all(f"<td>{layer.path}</td>" in page for layer in advice.reading.layers)
    with pytest.raises(RgflowError, match="ending with"):
        advice.save_report(tmp_path / "advice.pdf")


def test_advice_is_a_frozen_value_with_plain_contents() -> None:
    advice = rgflow.advise("relu", widths=[8, 32, 32, 2])
    with pytest.raises(AttributeError):
        advice.training = None
    plain = json.loads(json.dumps(advice.to_dict(), allow_nan=False))
    assert plain["lines"] == list(advice.lines)
    assert plain["dataset"]["data_vars"]["layer_C_W"]["data"][1] == [2.0, 2.0, 2.0]
    assert "relu" in str(advice)
    with pytest.raises(RgflowError, match="plan without a module"):
        advice.parameter_groups(lr=1.0)
    planned = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    assert advice.initialize_(planned) is planned
    with pytest.raises(RgflowError, match="not the chain"):
        advice.initialize_(nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "l1"}, "loss = 'l1'; allowed: mse, cross_entropy"),
        ({"reduction": "none"}, "reduction = 'none'"),
        ({"optimizer": "lion"}, "optimizer = 'lion'"),
        ({"momentum": 1.0}, "momentum = 1.0"),
        ({"inputs": np.ones((3, 7))}, "do not pass to 0|is needed"),
        ({"inputs": np.full((3, 8), np.nan)}, r"inputs\[0, 0\] is not finite"),
        ({"inputs": "words"}, "inputs are not numbers"),
        ({"inputs": np.zeros((3, 8))}, "inputs are all 0"),
        ({"inputs": None}, "inputs are needed"),
        ({"targets": np.array([0, 1, 2])}, "targets are classes 0 to 2"),
        ({"targets": np.ones((3, 5))}, "targets have shape"),
        ({"targets": np.ones((4, 2))}, "targets have 4 rows, inputs 3"),
    ],
)
def test_bad_input_is_one_line(arguments: dict[str, object], message: str) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    with pytest.raises(RgflowError, match=message) as caught:
        rgflow.advise(model, **{"inputs": np.ones((3, 8)), **arguments})
    assert "\n" not in str(caught.value)


def test_a_module_is_needed() -> None:
    with pytest.raises(RgflowError, match="a torch module is needed"):
        rgflow.advise("gelu", np.ones((2, 3)))


def test_divergent_initialization_is_said() -> None:
    advice = rgflow.advise(_set_exactly_(_chain(nn.ReLU, 100, 8).double(), 400.0), _pair(8))
    assert advice.lines[0].startswith("Now divergent: layer ")
    assert not advice.healthy
    assert "safe_rate" in advice.at("critical")
