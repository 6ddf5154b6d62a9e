"""The advice about a module: a prediction, and what it does to the module."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rgflow.errors import RgflowError
from rgflow.practice.check import Check, check
from rgflow.practice.columns import KEY, rows, text
from rgflow.practice.groups import parameter_groups
from rgflow.practice.initialize import chain_of, initialize_, measured, same_layers
from rgflow.practice.prediction import Prediction
from rgflow.practice.reading import Reading, read

_SIGMAS = 6.0  # of the sampling error of a layer's mean square


class Advice(Prediction):
    """A prediction for a module that acts on it; prints as a table and a few lines."""

    def raise_if_unhealthy(self) -> None:
        """Raise RgflowError with the first verdicts unless the module is `healthy` as it is."""
        if not self.healthy:
            raise RgflowError(" ".join(self.lines[:1] + self.lines[3:4]))

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

    def check(self, model: nn.Module, networks: int = 32, steps: int = 0, seed: int = 0) -> Check:
        """Measure copies of a module with new critical initializations, and compare with the prediction.

        See :func:`rgflow.practice.check.check`.
        """
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
        return "\n".join([text(rows(self.dataset)), KEY, "", *self.lines, *notes])

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


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
