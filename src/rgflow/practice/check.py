"""The coordinate check with numbers: copies of a module, newly initialized, against the prediction, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.practice.chain import Chain, Point, flow
from rgflow.practice.columns import text
from rgflow.practice.initialize import effective
from rgflow.practice.learning import loss_after
from rgflow.practice.measure import Measurement, measure
from rgflow.practice.prediction import Prediction
from rgflow.practice.reading import Reading
from rgflow.theory.depth.single_input import single_input_theory
from rgflow.theory.initialization.tensors import initialization_theory

Array = NDArray[np.float64]

QUANTITIES = {
    "K": "mean of z^2 over neurons, first probe",
    "overlap": "mean of z_1 z_2 over neurons, two probes",
    "gradient": "a layer's parameters in the NTK of the outputs, first probe",
    "loss": "torch's loss",
    "NTK change": "relative change of the NTK by training, first probe",
}
_LEVEL = 0.01  # of the test that all z are those of a standard normal


@dataclass(frozen=True)
class Row:
    """One number: `leading` at infinite width, `predicted` with order 1/n; nan what theory does not give.

    `layer` is 0 for the module as a whole.
    """

    quantity: str
    layer: int
    path: str
    measured: float
    stderr: float
    leading: float
    predicted: float
    z: float


@dataclass(frozen=True)
class Check:
    """Measurements with their errors, predictions and z.

    Attributes
    ----------
    rows
        A row per quantity and layer.
    networks
        How many initializations the means are over.
    unpredicted
        Where theory says nothing.
    """

    rows: tuple[Row, ...]
    networks: int
    unpredicted: tuple[str, ...]

    @property
    def z(self) -> Array:
        """All z that there are."""
        values = np.array([row.z for row in self.rows])
        return np.asarray(values[np.isfinite(values)])

    @property
    def rms_z(self) -> float:
        """Their root mean square; 1 is expected."""
        return float(np.sqrt(np.mean(self.z**2))) if self.z.size else math.nan

    @property
    def limit(self) -> float:
        """What |z| exceeds in one check of a hundred that agrees, by the number of rows; at least 3."""
        return max(3.0, float(norm.isf(_LEVEL / 2.0 / max(1, self.z.size))))

    @property
    def verdict(self) -> str:
        """ "agrees ...", "differs at ..." or "not predicted"."""
        if not self.z.size:
            return "not predicted" + "".join(f"; {reason}" for reason in self.unpredicted[:1])
        worst = max((row for row in self.rows if math.isfinite(row.z)), key=lambda row: abs(row.z))
        if abs(worst.z) < self.limit:
            return f"agrees (|z| < {self.limit:.2g}): largest {worst.z:+.2f} of {self.z.size}, rms {self.rms_z:.2f}"
        return f"differs at layer {worst.layer} ({worst.path or 'model'}): {worst.quantity}, z = {worst.z:+.1f}"

    def raise_if_unhealthy(self) -> None:
        """Raise RgflowError if a measurement differs from the prediction."""
        if self.verdict.startswith("differs"):
            raise RgflowError(self.verdict)

    def rows_of(self, quantity: str) -> list[Row]:
        """The rows of one quantity."""
        return [row for row in self.rows if row.quantity == quantity]

    def to_dict(self) -> dict[str, Any]:
        """Everything as what JSON can hold."""
        rows = [
            {key: None if value != value else value for key, value in vars(row).items()}  # nan is not itself
            for row in self.rows
        ]
        return {"networks": self.networks, "verdict": self.verdict, "unpredicted": list(self.unpredicted), "rows": rows}

    def __str__(self) -> str:
        header = ("quantity", "layer", "module", "measured", "+-", "infinite width", "with 1/n", "z")
        lines = [header, *(_cells(row) for row in self.rows)]
        return f"{text(lines)}\n\n{self.networks} networks: {self.verdict}"


def check(advice: Prediction, reading: Reading, networks: int = 32, steps: int = 0, seed: int = 0) -> Check:
    """Measure copies of a module and compare with the advice.

    Every copy gets new weights: those of `initialize_`, other modules by their own ``reset_parameters``. Probes are the first
    input of the batch and the one least like it.

    Parameters
    ----------
    advice
        The prediction.
    reading
        The module, which is not changed.
    networks
        Number of copies, at least 2.
    steps
        Steps of full-batch training after which loss and NTK are measured too; needs targets.
    seed
        Of the weights.

    Raises
    ------
    RgflowError
        Fewer than 2 networks, steps without targets or learning rate, a module whose output changes from call to call.
    """
    if networks < 2:
        raise RgflowError(f"networks = {networks}; at least 2 are needed for an error")
    if steps < 0 or (steps and (advice.batch is None or advice.batch.targets is None)):
        raise RgflowError(f"steps = {steps}; training needs steps >= 0, a predicted chain and targets")
    found = measure(advice, reading, networks, steps, seed)
    rows = _predicted(advice, reading, found) if advice.chain is not None else _unpredicted(found)
    return Check(tuple(rows), networks, advice.unpredicted)


def _unpredicted(found: Measurement) -> Iterator[Row]:
    for quantity, samples in found.by_layer.items():
        for at, path in enumerate(found.paths):
            yield _row(quantity, at + 1, path, samples[:, at])


def _predicted(advice: Prediction, reading: Reading, found: Measurement) -> Iterator[Row]:
    assert advice.chain is not None
    assert advice.batch is not None
    point = effective(reading.layers, advice.wanted)
    probes = advice.batch.inputs[list(found.probes)]
    tensor = np.stack([advice.at("critical")[name].values for name in ("layer_lambda_b", "layer_lambda_W")])
    leading, next_order = _theory(advice.chain, point, probes, tensor)
    after = {"loss": _loss_after(advice, point, tensor, found.steps)}
    for quantity, samples in found.by_layer.items():
        for at, path in enumerate(found.paths):
            yield _row(quantity, at + 1, path, samples[:, at], leading[quantity][at], next_order[quantity][at])
    for quantity, sample in found.whole.items():
        yield _row(quantity, 0, "", sample, after.get(quantity, math.nan))


def _loss_after(advice: Prediction, point: Point, tensor: Array, steps: int) -> float:
    """Infinite width's mean loss after training; nan where it is not known."""
    assert advice.chain is not None
    assert advice.batch is not None
    targets = advice.batch.targets
    if targets is None or advice.training.loss != "mse":
        return math.nan
    return loss_after(
        advice.chain, flow(advice.chain, point, advice.batch.gram), tensor, targets, advice.training, steps
    )


def _theory(chain: Chain, point: Point, probes: Array, tensor: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """Infinite width, and with order 1/n (nan where it is not known), by quantity and layer."""
    infinite = flow(chain, point, probes @ probes.T / probes.shape[1])
    leading = {
        "K": infinite.K[:, 0, 0],
        "overlap": infinite.K[:, 0, -1],
        "gradient": infinite.contributions(*tensor)[:, 0, 0],
    }
    if not chain.is_plain:
        unknown = np.full(chain.depth, np.nan)
        return leading, {"gradient": unknown, **_pair(chain.residual_network(point), probes, chain.depth)}
    n = np.array(chain.widths[:-1], dtype=np.float64)
    mean_square = float(np.mean(probes[0] ** 2))
    one = single_input_theory(chain.network(point, *tensor), mean_square)
    return leading, {
        "K": one["K"] + one["G1"] / n,
        "overlap": _pair(chain.network(point, *tensor), probes, chain.depth)["overlap"],
        "gradient": np.array([_part(chain, point, mean_square, tensor, layer) for layer in range(chain.depth)]),
    }


def _pair(network: Network | None, probes: Array, depth: int) -> dict[str, Array]:
    """E[z_1^2] and E[z_1 z_2] with order 1/n, (layer,); nan beyond the network, and where averages cannot be had."""
    found = {name: np.full(depth, np.nan) for name in ("K", "overlap")}
    if network is None:
        return found
    with suppress(RgflowError):
        pair = initialization_theory(network, probes, ("K", "G1"), rtol=1e-6)
        n = np.array(network.widths[:-1], dtype=np.float64)
        for name, other in (("K", 0), ("overlap", -1)):
            found[name][: network.depth] = pair["K"].values[:, 0, other] + pair["G1"].values[:, 0, other] / n
    return found


def _part(chain: Chain, point: Point, mean_square: float, tensor: Array, layer: int) -> float:
    """A layer's part in the NTK with order 1/n: the NTK is linear in the rates, so that of a network that trains it alone."""
    alone = np.zeros_like(tensor)
    alone[:, layer] = tensor[:, layer]
    one = single_input_theory(chain.network(point, *alone), mean_square)
    return float(one["Theta"][-1] + one["Theta1"][-1] / chain.widths[-2])


def _row(
    quantity: str, layer: int, path: str, sample: Array, leading: float = math.nan, predicted: float = math.nan
) -> Row:
    """Mean and standard error over networks, and z on the scale of a standard normal."""
    mean, stderr = float(sample.mean()), float(sample.std(ddof=1) / math.sqrt(len(sample)))
    z = math.nan
    if math.isfinite(predicted) and stderr > 0.0:
        z = _normal(mean - predicted, stderr, len(sample) - 1)
    return Row(quantity, layer, path, mean, stderr, leading, predicted, z)


def _normal(difference: float, stderr: float, freedom: int) -> float:
    """The standard normal deviate as likely as Student's t with so many degrees of freedom."""
    tail = max(float(student.sf(abs(difference) / stderr, freedom)), 1e-300)
    return math.copysign(float(norm.isf(tail)), difference)


def _cells(row: Row) -> Sequence[str]:
    numbers = (row.measured, row.stderr, row.leading, row.predicted)
    cells = ["-" if math.isnan(value) else f"{value:.4g}" for value in numbers]
    return (row.quantity, str(row.layer), row.path or "model", *cells, "-" if math.isnan(row.z) else f"{row.z:+.2f}")
