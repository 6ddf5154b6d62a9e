"""Signals and gradients of copies of a module with new weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rgflow.errors import RgflowError
from rgflow.practice.groups import parameter_groups
from rgflow.practice.initialize import initialize_
from rgflow.practice.prediction import Prediction
from rgflow.practice.reading import Reading, read

Array = NDArray[np.float64]

_OUTPUTS = 4  # whose gradients are taken


@dataclass(frozen=True, eq=False)
class Measurement:
    """Samples over networks.

    Attributes
    ----------
    paths
        The modules measured.
    by_layer
        (network, module) by quantity: "K", "overlap", "gradient".
    whole
        (network,) by quantity: after training.
    probes
        Which inputs of the batch were used.
    steps
        Of training.
    """

    paths: tuple[str, ...]
    by_layer: dict[str, Array]
    whole: dict[str, Array]
    probes: tuple[int, ...]
    steps: int


@dataclass(frozen=True, eq=False)
class _Bench:
    """One copy of the module that is initialized again and again, and what is measured on it."""

    reading: Reading
    modules: dict[str, nn.Module]
    signal: Callable[[list[torch.Tensor]], list[torch.Tensor]]
    rates: tuple[tuple[float, float], ...]
    probes: torch.Tensor


def measure(advice: Prediction, reading: Reading, networks: int, steps: int, seed: int) -> Measurement:
    """Measure networks; see :func:`rgflow.practice.check.check`."""
    if advice.batch is None:
        raise RgflowError("check needs inputs: advise(model, inputs)")
    probes = least_alike(advice.batch.inputs)
    bench = _bench(advice, reading, torch.as_tensor(advice.batch.raw[list(probes)]))
    _require_deterministic(bench)
    names = ("K", "overlap", "gradient")
    samples: dict[str, list[Array]] = {name: [] for name in names}
    trained: dict[str, list[float]] = {"loss": [], "NTK change": []} if steps else {}
    for network in range(networks):
        _initialize(bench, advice, seed + network * 0x9E3779B1)
        signals, gradient = _signals(bench), _gradient(bench)
        samples["K"].append(np.array([float((z[0] ** 2).mean()) for z in signals]))
        samples["overlap"].append(np.array([float((z[0] * z[-1]).mean()) for z in signals]))
        samples["gradient"].append(gradient)
        if steps:
            trained["loss"].append(_train(bench, advice, steps))
            trained["NTK change"].append(float(_gradient(bench).sum() / gradient.sum() - 1.0))
    return Measurement(
        tuple(bench.modules),
        {name: np.stack(values) for name, values in samples.items()},
        {name: np.array(values) for name, values in trained.items()},
        probes,
        steps,
    )


def least_alike(inputs: Array) -> tuple[int, ...]:
    """The first input and the one with the smallest absolute correlation to it; one if there is no other."""
    flat = inputs.reshape(len(inputs), -1)
    norm = np.linalg.norm(flat, axis=1)
    if len(flat) < 2 or not norm[0]:
        return (0,)
    similar = np.abs(flat @ flat[0]) / np.maximum(norm * norm[0], np.finfo(float).tiny)
    similar[(norm == 0.0) | (np.arange(len(flat)) == 0)] = np.inf
    return (0, int(np.argmin(similar)))


def _bench(advice: Prediction, reading: Reading, probes: torch.Tensor) -> _Bench:
    twin = copy.deepcopy(reading.model).eval()
    narrow = {torch.bfloat16, torch.float16} & {parameter.dtype for parameter in twin.parameters()}
    twin = twin.float() if narrow else twin
    read_again = read(twin)
    first = read_again.layers[0].module.weight
    probes = probes.to(first.device, first.dtype if probes.is_floating_point() else None)
    if advice.chain is None:
        modules = {path: module for path, module in twin.named_modules() if list(module.parameters(recurse=False))}
        return _Bench(read_again, modules, list, ((1.0, 1.0),) * len(modules), probes)
    layers = read_again.layers
    scales = advice.scales_of(layers)
    rates = tuple((float(bias), float(weight)) for bias, weight in scales.T)
    return _Bench(read_again, {layer.path: layer.module for layer in layers}, _states(read_again), rates, probes)


def _states(reading: Reading) -> Callable[[list[torch.Tensor]], list[torch.Tensor]]:
    """From the outputs of Linear modules to the preactivations of theory: scales and skip connections."""

    def states(outputs: list[torch.Tensor]) -> list[torch.Tensor]:
        found: list[torch.Tensor] = []
        for layer, output in zip(reading.layers, outputs, strict=True):
            own = layer.output_scale * output
            found.append(own + layer.skip * found[-1] if found and layer.skip else own)
        return found

    return states


def _initialize(bench: _Bench, advice: Prediction, seed: int) -> None:
    """New weights: the advised ones, and their own for modules that theory does not know."""
    device = bench.probes.device
    generator = torch.Generator(device).manual_seed(seed)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        known = {id(layer.module) for layer, wanted in zip(bench.reading.layers, advice.wanted, strict=True) if wanted}
        for module in bench.reading.model.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset) and id(module) not in known:
                reset()
    if any(advice.wanted):
        initialize_(bench.reading, advice.wanted, generator)


def _signals(bench: _Bench) -> list[torch.Tensor]:
    """Preactivations of every module on the probes, in float64, (probe, ...) each."""
    with torch.no_grad(), _hooked(bench.modules.values()) as outputs:
        bench.reading.model(bench.probes)
    return [z.double().reshape(len(z), -1) for z in bench.signal([outputs[id(m)] for m in bench.modules.values()])]


@contextmanager
def _hooked(modules: object) -> Iterator[dict[int, torch.Tensor]]:
    outputs: dict[int, torch.Tensor] = {}

    def keep(module: nn.Module, _: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        outputs[id(module)] = output if isinstance(output, torch.Tensor) else output[0]

    handles = [module.register_forward_hook(keep) for module in modules]  # type: ignore[attr-defined]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _gradient(bench: _Bench) -> Array:
    """sum over a module's parameters of rate (d output/d parameter)^2 on the first probe, mean over outputs, (module,)."""
    modules = list(bench.modules.values())
    with _hooked(modules) as outputs:
        result = bench.reading.model(bench.probes[:1])
        values = bench.signal([outputs[id(module)] for module in modules])[-1] if bench.reading.is_chain else result
    flat = values.reshape(-1)[:_OUTPUTS]
    parameters = [(at, p, rate) for at, module in enumerate(modules) for p, rate in _rated(module, bench.rates[at])]
    total = np.zeros(len(modules))
    for at, value in enumerate(flat):
        last = at == len(flat) - 1
        slopes = torch.autograd.grad(value, [p for _, p, _ in parameters], retain_graph=not last, allow_unused=True)
        for (module, _, rate), slope in zip(parameters, slopes, strict=True):
            if slope is not None:
                total[module] += rate * float(slope.double().square().sum()) / len(flat)
    return total


def _rated(module: nn.Module, rates: tuple[float, float]) -> Iterator[tuple[nn.Parameter, float]]:
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.requires_grad:
            yield parameter, rates[0 if name == "bias" else 1]


def _require_deterministic(bench: _Bench) -> None:
    with torch.no_grad():
        first, second = bench.reading.model(bench.probes), bench.reading.model(bench.probes)
    if isinstance(first, torch.Tensor) and not torch.equal(first, second):
        raise RgflowError("the module gives another output when called again, even in eval mode; it cannot be checked")


def _train(bench: _Bench, advice: Prediction, steps: int) -> float:
    """Torch's loss after full-batch steps at the suggested rate."""
    assert advice.batch is not None
    x, y = (torch.as_tensor(values).to(bench.probes) for values in (advice.batch.raw, advice.batch.targets))
    kind = nn.MSELoss if advice.training.loss == "mse" else nn.CrossEntropyLoss
    loss = kind(reduction=advice.training.reduction)
    rate = advice.suggested_rate("critical")
    groups = parameter_groups(bench.reading, advice.scales_of(bench.reading.layers), rate, other=False)
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=advice.training.momentum)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(bench.reading.model(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        return float(loss(bench.reading.model(x), y))
