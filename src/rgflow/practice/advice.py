"""The advice about a module: its numbers, its words, and what it does to the module."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from rgflow.errors import RgflowError
from rgflow.practice import verdicts
from rgflow.practice.batch import Batch
from rgflow.practice.chain import Chain
from rgflow.practice.choice import Choice, life
from rgflow.practice.columns import rows, text
from rgflow.practice.groups import adam_scales, parameter_groups, sgd_scales
from rgflow.practice.initialize import chain_of, initialize_, measured, same_layers
from rgflow.practice.predict import INITIALIZATIONS
from rgflow.practice.reading import Layer, Reading, read
from rgflow.practice.units import Training
from rgflow.theory.criticality.critical import NONE, critical

if TYPE_CHECKING:
    from rgflow.practice.check import Check

Array = NDArray[np.float64]

_SIGMAS = 6.0  # of the sampling error of a layer's mean square


@dataclass(frozen=True, eq=False)
class Advice:
    """What theory says of a module; prints as a table and a few lines.

    Attributes
    ----------
    dataset
        All numbers, with the registry's names, on ``initialization`` ("now", "critical"), ``layer`` and more.
    reading
        The module as it was read; None for a plan of widths.
    chain
        The layers as theory has them; None where they are no chain, and only initializations are advised.
    wanted
        C_b and C_W that each layer should have, None where none is known.
    batch
        The inputs of the first layer and targets; None if there is no chain.
    training
        Loss and optimizer.
    """

    dataset: xr.Dataset
    reading: Reading | None
    chain: Chain | None
    wanted: tuple[Choice | None, ...]
    batch: Batch | None
    training: Training

    @property
    def lines(self) -> tuple[str, ...]:
        """The verdicts, at most five."""
        return tuple(_verdicts(self))

    @property
    def unpredicted(self) -> tuple[str, ...]:
        """What theory says nothing about, a line each: path (Type): reason."""
        if self.reading is None:
            return ()
        trailing = () if self.reading.trailing is None else (self.reading.trailing,)
        return tuple(map(str, (*self.reading.cuts, *trailing)))

    @property
    def healthy(self) -> bool:
        """Whether the initialization now is within a factor e of the critical one, and V/(nK^2) at the output below 1."""
        if self.chain is None:
            return True
        now, best = (self.at(name) for name in INITIALIZATIONS)
        return verdicts.phase(now, best) == "critical" and not verdicts.last_kappa(now) > 1.0

    def raise_if_unhealthy(self) -> None:
        """Raise RgflowError with the first verdicts unless the module is `healthy` as it is."""
        if not self.healthy:
            raise RgflowError(" ".join(self.lines[:1] + self.lines[3:4]))

    def at(self, initialization: str) -> xr.Dataset:
        """The numbers of one initialization, "now" or "critical", without those that could not be had."""
        if initialization not in INITIALIZATIONS:
            raise RgflowError(f"initialization = {initialization!r}; allowed: {', '.join(INITIALIZATIONS)}")
        data = self.dataset.sel(initialization=initialization)
        remark = self.dataset.attrs.get(f"{initialization}_remark", "")
        known = [str(name) for name, array in data.data_vars.items() if not bool(array.isnull().all())]
        return data[known].assign_attrs(remark=remark)

    def initialize_(self, model: nn.Module, generator: torch.Generator | None = None) -> nn.Module:
        """Give a module the critical initialization, in place: weights N(0, C_W/n_in), biases N(0, C_b).

        Parameters
        ----------
        model
            The module that was advised, or one with the same layers.
        generator
            Of torch, on the device of the parameters.

        Returns
        -------
        The module.

        Raises
        ------
        RgflowError
            Another module than the one advised, or a generator on another device; then nothing was written.
        """
        return initialize_(self._fitting(model), self.wanted, generator)

    def parameter_groups(
        self, lr: float | None = None, initialization: str = "critical", other: bool = False
    ) -> list[dict[str, Any]]:
        """Groups for a torch optimizer, with the learning-rate tensor as fixed ratios that schedulers keep.

        Parameters
        ----------
        lr
            The rate that the groups' scales multiply; the suggested one, half the safe limit, if None.
        initialization
            The one the module has when training starts; "now" is what it had when it was advised.
        other
            Whether parameters outside the Linear layers form a last group with `lr` itself.

        Returns
        -------
        One dictionary ``{"params", "lr", "name", "lr_scale"}`` each for the biases and the weights of a layer.

        Raises
        ------
        RgflowError
            A plan without a module; no `lr` where none is predicted, or where the module does not have the initialization that
            it is for; parameters outside the layers.
        """
        if self.reading is None:
            raise RgflowError("the advice is a plan without a module; advise(model, ...) has parameter groups")
        scales = self.scales_of(self.reading.layers)
        if lr is None:
            lr = self.suggested_rate(initialization)
            self._require_initialization(initialization)
        return parameter_groups(self.reading, scales, lr, other)

    def scales_of(self, layers: tuple[Layer, ...]) -> Array:
        """What multiplies the learning rate of the biases and weights of these layers, (2, layer)."""
        if self.training.optimizer == "adam":
            return adam_scales([layer.module.in_features for layer in layers])
        if self.chain is None:
            raise RgflowError(f"no rates are predicted: {self.unpredicted[0]}")
        tensor = np.stack([self.at("critical")[name].values for name in ("layer_lambda_b", "layer_lambda_W")])
        return sgd_scales(layers, tensor)

    def suggested_rate(self, initialization: str) -> float:
        """The learning rate of torch that `parameter_groups` takes by default.

        Raises
        ------
        RgflowError
            None is predicted.
        """
        if self.training.optimizer == "adam":
            raise RgflowError("optimizer = 'adam': no learning rate is predicted; give lr")
        data = self.at(initialization)
        if self.unpredicted or "suggested_rate" not in data:
            raise RgflowError(
                f"no learning rate is predicted ({', '.join(self.unpredicted) or data.attrs['remark']}); give lr"
            )
        return float(data["suggested_rate"].sel(rates="tensor"))

    def check(self, model: nn.Module, networks: int = 32, steps: int = 0, seed: int = 0) -> Check:
        """Measure copies of a module with new critical initializations, and compare with the prediction.

        See :func:`rgflow.practice.check.check`.
        """
        from rgflow.practice.check import check

        return check(self, self._fitting(model), networks, steps, seed)

    def to_dict(self) -> dict[str, Any]:
        """All numbers and lines as what JSON can hold; nan becomes None."""
        plain = self.dataset.to_dict()
        return {
            "lines": list(self.lines),
            "unpredicted": list(self.unpredicted),
            "healthy": self.healthy,
            "training": vars(self.training),
            "dataset": _without_nan(plain),
        }

    def save_report(self, path: str | Path) -> Path:
        """Write one page that opens offline, with the table, the lines and pictures; returns its path."""
        from rgflow.practice.report import save_report

        return save_report(self, Path(path))

    def __str__(self) -> str:
        notes = [f"No prediction: {cut}" for cut in self.unpredicted]
        return "\n".join([text(rows(self.dataset)), "", *self.lines, *notes])

    def _repr_html_(self) -> str:
        from rgflow.practice.report import fragment

        return fragment(self)

    def _fitting(self, model: nn.Module) -> Reading:
        if self.reading is not None:
            return same_layers(self.reading, model)
        found = read(model)
        if not found.is_chain or chain_of(found) != self.chain:
            raise RgflowError("model is not the chain of Linear layers and activations that was planned")
        return found

    def _require_initialization(self, initialization: str) -> None:
        assert self.reading is not None
        if initialization == "now":
            return
        for layer, choice in zip(self.reading.layers, self.wanted, strict=True):
            count = layer.module.weight.numel()
            if choice and abs(measured(layer).C_W / choice.C_W - 1.0) > _SIGMAS * math.sqrt(2.0 / count):
                raise RgflowError(
                    f"{layer.path} (Linear) does not have its critical C_W = {choice.C_W:.4g}: call initialize_ first, "
                    "give lr, or take initialization='now'"
                )


def _verdicts(advice: Advice) -> Iterator[str]:
    if advice.chain is None:
        known = sum(choice is not None for choice in advice.wanted)
        yield f"No chain of Linear layers: initialize_ knows {known} of {len(advice.wanted)} of them, nothing else is predicted."
        return
    now, best = (advice.at(name) for name in INITIALIZATIONS)
    assert advice.batch is not None
    remarks = tuple(dict.fromkeys(choice.remark for choice in advice.wanted if choice and choice.remark))
    yield verdicts.state_line(now, best)
    yield verdicts.remedy_line(best, remarks, _nearest(advice.chain))
    yield verdicts.input_line(advice.batch.mean_square, float(advice.dataset["input_scale"]))
    yield verdicts.depth_line(advice.dataset)
    yield verdicts.learning_line(best, advice.training)


def _nearest(chain: Chain) -> str:
    """Which critical activation is most like one that has no critical point."""
    for sigma in dict.fromkeys(chain.activations):
        if critical(sigma).universality_class == NONE:
            return f"; the critical activation most like {sigma.label} is {life(sigma)[1].label}"
    return ""


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
