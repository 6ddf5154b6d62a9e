"""Writing an initialization into a module, after everything was checked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.practice.chain import Chain, Point
from rgflow.practice.choice import Choice, choose, skip_factor
from rgflow.practice.reading import Layer, Reading, read, widths

_LINEAR = activation("linear")


def choices(reading: Reading) -> tuple[Choice | None, ...]:
    """C_b and C_W that each layer should have, in units of its own weights; None where theory knows none.

    A layer follows the activation in front of it, the first one that behind it.
    """
    skipping = sum(1 for layer in reading.layers if layer.skip) + 1
    return tuple(_choice(layer, skipping) if layer.known else None for layer in reading.layers)


def initialize_(
    reading: Reading, wanted: Sequence[Choice | None], generator: torch.Generator | None = None
) -> nn.Module:
    """Draw weights from N(0, C_W/n_in) and biases from N(0, C_b), in place; other parameters are left as they are.

    Parameters
    ----------
    reading
        The module.
    wanted
        Variances of each layer; None leaves a layer alone.
    generator
        Of torch, on the device of the parameters; the default one if None. Drawn in float32, or float64 for float64, so the
        same generator gives the same numbers in all narrower types.

    Returns
    -------
    The module.

    Raises
    ------
    RgflowError
        Variances that do not fit the layers, or a generator on another device; then nothing was written.
    """
    plan = [(layer, choice) for layer, choice in zip(reading.layers, wanted, strict=True) if choice is not None]
    if not plan:
        raise RgflowError("nothing to initialize: no Linear stands behind an activation that is known")
    _check_generator(plan, generator)
    with torch.no_grad():
        for layer, choice in plan:
            _fill_(layer.module.weight, choice.C_W / layer.module.in_features, generator)
            if layer.module.bias is not None:
                _fill_(layer.module.bias, choice.C_b, generator)
    return reading.model


def same_layers(reading: Reading, model: nn.Module) -> Reading:
    """The reading of a module, which must have the same layers as the one that was advised.

    Raises
    ------
    RgflowError
        Other paths, shapes or activations, naming the first.
    """
    other = reading if model is reading.model else read(model)
    if len(other.layers) != len(reading.layers):
        raise RgflowError(f"model has {len(other.layers)} Linear layers; the advice is for {len(reading.layers)}")
    for ours, theirs in zip(reading.layers, other.layers, strict=True):
        if _description(ours) != _description(theirs):
            raise RgflowError(f"model has {_description(theirs)}; the advice is for {_description(ours)}")
    return other


def chain_of(reading: Reading) -> Chain:
    """The layers of a chain as theory has them."""
    layers = reading.layers
    activations = tuple(layer.before for layer in layers[1:] if layer.before is not None)
    skips = tuple(layer.skip for layer in layers)
    return Chain(widths(layers), activations, skips, tuple(layer.module.bias is not None for layer in layers))


def effective(layers: Sequence[Layer], chosen: Sequence[Choice | None]) -> Point:
    """Variances with the fixed numbers beside each Linear; all are known in a chain."""
    pairs = [(layer, choice) for layer, choice in zip(layers, chosen, strict=True) if choice is not None]
    C_b = tuple(choice.C_b * layer.output_scale**2 for layer, choice in pairs)
    return Point(C_b, tuple(choice.C_W * layer.weight_scale**2 for layer, choice in pairs))


def measured(layer: Layer) -> Choice:
    """C_b and C_W of a layer as it is: mean squares of biases, and of weights times their number per neuron."""
    weight, bias = layer.module.weight.detach().double(), layer.module.bias
    C_W = float(weight.square().mean()) * layer.module.in_features
    C_b = 0.0 if bias is None else float(bias.detach().double().square().mean())
    if not math.isfinite(C_W + C_b):
        raise RgflowError(f"{layer.path} (Linear): has weights that are not finite")
    return Choice(C_b, C_W)


def _choice(layer: Layer, skipping: int) -> Choice:
    sigma = layer.before or layer.behind or _LINEAR
    plain = choose(sigma, layer.module.bias is not None)
    factor = skip_factor(layer.skip, skipping)
    remark = plain.remark or (
        "" if abs(layer.skip) < 1.0 else f"skip connection of {layer.skip:g}: C_W is times 1/{skipping}"
    )
    bias, weight = factor / layer.output_scale**2, factor / layer.weight_scale**2
    return Choice(plain.C_b * bias, plain.C_W * weight, remark)


def _description(layer: Layer) -> str:
    sigma = "the data" if layer.before is None else layer.before.label
    module = layer.module
    bias = "" if module.bias is not None else " without biases"
    return f"{layer.path} (Linear {module.in_features} -> {module.out_features}{bias}) behind {sigma}"


def _check_generator(plan: list[tuple[Layer, Choice]], generator: torch.Generator | None) -> None:
    if generator is None:
        return
    for layer, _ in plan:
        device = layer.module.weight.device
        if device.type != generator.device.type:
            raise RgflowError(f"generator is on {generator.device}, {layer.path} (Linear) on {device}; give one there")


def _fill_(parameter: torch.Tensor, variance: float, generator: torch.Generator | None) -> None:
    wide = torch.float64 if parameter.dtype == torch.float64 else torch.float32
    drawn = torch.randn(parameter.shape, dtype=wide, device=parameter.device, generator=generator)
    parameter.copy_(drawn.mul_(math.sqrt(variance)))
