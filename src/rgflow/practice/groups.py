"""Parameter groups of torch's optimizers that carry the learning-rate tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rgflow.errors import RgflowError
from rgflow.practice.reading import Layer, Reading

ADAM_WIDTH = 128  # at which all of Adam's groups have the same rate
"""Fan-in at which the scalings for Adam are 1."""


def sgd_scales(layers: tuple[Layer, ...], tensor: NDArray[np.float64]) -> NDArray[np.float64]:
    """What multiplies the learning rate of biases and weights, (2, layer): lambda_b and lambda_W/n_{l-1}.

    Fixed numbers beside a Linear are taken out, so that the NTK has the parts that theory gives it.
    """
    bias = [rate / layer.output_scale**2 for rate, layer in zip(tensor[0], layers, strict=True)]
    weight = [
        rate / layer.module.in_features / layer.weight_scale**2 for rate, layer in zip(tensor[1], layers, strict=True)
    ]
    return np.array([bias, weight])


def adam_scales(fan_in: Sequence[int]) -> NDArray[np.float64]:
    """The same for Adam, whose steps do not shrink with the gradient: 1/n_in for weights behind the first layer, else 1.

    Relative to a width of 128. Only how rates scale with width, not a predicted value (Yang and Hu, arXiv 2203.03466; Yaida,
    2304.02034).
    """
    return np.array([[1.0] * len(fan_in), [1.0, *(ADAM_WIDTH / n for n in fan_in[1:])]])


def parameter_groups(reading: Reading, scales: NDArray[np.float64], lr: float, other: bool) -> list[dict[str, Any]]:
    """One group for the biases and one for the weights of every layer, ``{"params", "lr", "name", "lr_scale"}``.

    Parameters
    ----------
    reading
        The module.
    scales
        What multiplies `lr`, (2, layer).
    lr
        The learning rate.
    other
        Whether trained parameters outside the layers form a last group, "other", with `lr` itself.

    Raises
    ------
    RgflowError
        A rate that is not positive; parameters outside the layers, unless `other`.
    """
    if not (np.isfinite(lr) and lr > 0.0):
        raise RgflowError(f"lr = {lr!r}; it must be positive")
    outside = reading.other_parameters
    if outside and not other:
        raise RgflowError(
            f"no rate is known for {', '.join(outside[:5])}{' ...' if len(outside) > 5 else ''}: other=True gives them lr"
        )
    groups = list(_layer_groups(reading, scales, lr))
    if outside:
        parameters = dict(reading.model.named_parameters())
        groups.append({"params": [parameters[name] for name in outside], "lr": lr, "name": "other", "lr_scale": 1.0})
    return groups


def _layer_groups(reading: Reading, scales: NDArray[np.float64], lr: float) -> Iterator[dict[str, Any]]:
    for at, layer in enumerate(reading.layers):
        for kind, parameter in enumerate((layer.module.bias, layer.module.weight)):
            if parameter is not None and parameter.requires_grad:
                name = ".".join(filter(None, (layer.path, ("bias", "weight")[kind])))
                scale = float(scales[kind, at])
                yield {"params": [parameter], "lr": lr * scale, "name": name, "lr_scale": scale}
