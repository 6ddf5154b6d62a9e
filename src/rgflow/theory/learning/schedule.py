"""What is asked of training: the optimizer, its speed, and the times at which to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rgflow.errors import RgflowError
from rgflow.task import recorded_steps
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.dynamics import Dynamics, singular

OPTIMIZERS = ("gradient descent", "newton")


@dataclass(frozen=True)
class Schedule:
    """Steps of gradient descent or times of gradient flow, checked as far as possible without a kernel.

    Parameters
    ----------
    steps
        Recorded steps, strictly increasing from 0.
    times
        Recorded times of gradient flow, strictly increasing from 0 on; only with ``learning_rate`` 0.
    step_fraction
        Step size in units of the stability limit, between 0 and 1.
    learning_rate
        The step size itself; 0 is gradient flow. At most one of the two is given; neither is a step fraction of 1/2.
    optimizer
        "gradient descent", or "newton": a step along lambda grad z Theta_AA^{-1} eps, which moves every mode equally fast.
    """

    steps: Sequence[int] | None
    times: Sequence[float] | None
    step_fraction: float | None
    learning_rate: float | None
    optimizer: str

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise RgflowError(f"optimizer = {self.optimizer!r}; allowed are {', '.join(OPTIMIZERS)}")
        if self.step_fraction is not None and self.learning_rate is not None:
            raise RgflowError("step_fraction and learning_rate are both given; they are two ways to say one thing")
        wanted, other = ("times", self.steps) if self.flow else ("steps", self.times)
        if getattr(self, wanted) is None or other is not None:
            why = "learning_rate = 0 is gradient flow" if self.flow else "gradient descent goes in steps"
            raise RgflowError(
                f"{why}: give {wanted} and nothing else (times belong to gradient flow, learning_rate = 0)"
            )

    @property
    def flow(self) -> bool:
        """Whether time is continuous."""
        return self.learning_rate == 0

    @property
    def records(self) -> tuple[int, ...] | tuple[float, ...]:
        """The checked steps or times."""
        if self.steps is not None:
            return recorded_steps(self.steps)
        return recorded_times(self.times or ())

    def dynamics(self, theta: Array) -> Dynamics:
        """The motion of modes with these eigenvalues, ascending.

        Raises
        ------
        RgflowError
            A step that is not stable, or a Newton-like step in a direction that is never learned.
        """
        kappa = self._kappa(theta)
        return Dynamics(theta, kappa if self.flow else self.eta(theta) * kappa, self.flow)

    def eta(self, theta: Array) -> float:
        """The step size; 0 of gradient flow.

        Raises
        ------
        RgflowError
            It is not stable.
        """
        fastest = float((self._kappa(theta) * theta).max())
        if self.learning_rate is None:
            return step_size(fastest, 0.5 if self.step_fraction is None else self.step_fraction)
        if not 0.0 <= self.learning_rate * fastest < 2.0:
            raise RgflowError(
                f"learning_rate = {self.learning_rate:g} is unstable; allowed are 0 to {2.0 / fastest:.6g} = 2 / theta_max"
            )
        return float(self.learning_rate)

    def _kappa(self, theta: Array) -> Array:
        if self.optimizer != "newton":
            return np.ones_like(theta)
        if singular(theta)[0]:
            raise RgflowError(f"newton: the NTK of the train samples is singular (smallest eigenvalue {theta[0]:.2g})")
        return 1.0 / theta


def step_size(theta_max: float, step_fraction: float) -> float:
    """Return eta = step_fraction * 2 / theta_max, rounded to six digits so that it does not follow theory's last bits."""
    if not 0 < step_fraction < 1:
        raise RgflowError(f"step_fraction = {step_fraction}; it must lie between 0 and 1, the stability limit")
    return float(f"{step_fraction * 2.0 / theta_max:.6g}")


def recorded_times(times: Sequence[float]) -> tuple[float, ...]:
    """Return the recorded times of gradient flow as a tuple of floats.

    Raises
    ------
    RgflowError
        Unless they are finite, not negative, and increase strictly.
    """
    try:
        numbers = tuple(float(time) for time in times)
    except (TypeError, ValueError):
        raise RgflowError(f"times = {times!r}; they must be numbers") from None
    increasing = all(later > earlier for earlier, later in pairwise(numbers))
    if not numbers or numbers[0] < 0.0 or not increasing or not np.isfinite(numbers).all():
        raise RgflowError(f"times = {list(numbers)}; they must be finite, not negative, and increase strictly")
    return numbers
