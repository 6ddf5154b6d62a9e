"""What theory says of a module: its numbers and its words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.errors import RgflowError
from rgflow.practice import verdicts
from rgflow.practice.batch import Batch
from rgflow.practice.chain import Chain
from rgflow.practice.choice import Choice, life
from rgflow.practice.groups import adam_scales, sgd_scales
from rgflow.practice.predict import INITIALIZATIONS
from rgflow.practice.reading import Layer, Reading
from rgflow.practice.units import Training
from rgflow.theory.criticality.critical import NONE, critical

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What theory says of a module: numbers, and their words.

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

    def at(self, initialization: str) -> xr.Dataset:
        """The numbers of one initialization, "now" or "critical", without those that could not be had."""
        if initialization not in INITIALIZATIONS:
            raise RgflowError(f"initialization = {initialization!r}; allowed: {', '.join(INITIALIZATIONS)}")
        data = self.dataset.sel(initialization=initialization)
        remark = self.dataset.attrs.get(f"{initialization}_remark", "")
        known = [str(name) for name, array in data.data_vars.items() if not bool(array.isnull().all())]
        return data[known].assign_attrs(remark=remark)

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


def _verdicts(found: Prediction) -> Iterator[str]:
    if found.chain is None:
        known = sum(choice is not None for choice in found.wanted)
        yield f"No chain of Linear layers: initialize_ knows {known} of {len(found.wanted)} of them, nothing else is predicted."
        return
    now, best = (found.at(name) for name in INITIALIZATIONS)
    assert found.batch is not None
    remarks = tuple(dict.fromkeys(choice.remark for choice in found.wanted if choice and choice.remark))
    yield verdicts.state_line(now, best)
    yield verdicts.remedy_line(best, remarks, _nearest(found.chain))
    yield verdicts.input_line(found.batch.mean_square, float(found.dataset["input_scale"]))
    yield verdicts.depth_line(found.dataset)
    yield verdicts.learning_line(best, found.training)


def _nearest(chain: Chain) -> str:
    """Which critical activation is most like one that has no critical point."""
    for sigma in dict.fromkeys(chain.activations):
        if critical(sigma).universality_class == NONE:
            return f"; the critical activation most like {sigma.label} is {life(sigma)[1].label}"
    return ""
