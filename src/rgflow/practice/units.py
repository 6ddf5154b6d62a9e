"""From the learning rate of theory to those of torch.

Theory descends L = 1/2 sum over samples and outputs of (z - y)^2, or the sum of cross-entropies, with eta lambda_b for biases
and eta lambda_W/n_{l-1} for weights. Torch's losses are that times a number c: ``MSELoss`` 2/(N n_L), or 2 summed;
``CrossEntropyLoss`` 1/N, or 1. So its rate is eta/c.

A step is stable in the frozen NTK while eta h theta_max < 2 (1 + momentum), theta_max the largest eigenvalue of the NTK on the
batch and h the largest curvature of the loss in the outputs: 1, or 1/2 for the softmax at worst (1/n_L at uniform outputs).
Real networks follow only as far as errors do not grow on the way. Near the limit momentum lets them grow
(1 + momentum)/(1 - momentum)-fold before they fall; they never exceed their start if eta h theta_max <= 2. And momentum takes
away the slack that plain descent has, whose unstable steps end where the NTK is smaller (catapult): so half of it is called safe.
"""

from __future__ import annotations

from dataclasses import dataclass

from rgflow.errors import RgflowError

LOSSES, REDUCTIONS, OPTIMIZERS = ("mse", "cross_entropy"), ("mean", "sum"), ("sgd", "adam")
_CURVATURE = {"mse": 1.0, "cross_entropy": 0.5}


@dataclass(frozen=True)
class Training:
    """How the user trains.

    Attributes
    ----------
    loss
        "mse" or "cross_entropy".
    reduction
        "mean" or "sum", as in torch's losses.
    optimizer
        "sgd" or "adam".
    momentum
        Of SGD without dampening and Nesterov's variant, 0 <= momentum < 1.
    """

    loss: str = "mse"
    reduction: str = "mean"
    optimizer: str = "sgd"
    momentum: float = 0.0

    def __post_init__(self) -> None:
        allowed = {"loss": LOSSES, "reduction": REDUCTIONS, "optimizer": OPTIMIZERS}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise RgflowError(f"{name} = {getattr(self, name)!r}; allowed: {', '.join(values)}")
        if not 0.0 <= self.momentum < 1.0:
            raise RgflowError(f"momentum = {self.momentum!r}; allowed: 0 <= momentum < 1")
        if self.momentum and self.optimizer != "sgd":
            raise RgflowError(f"momentum = {self.momentum}: of {self.optimizer} none is predicted; leave it out")

    def loss_factor(self, samples: int, outputs: int) -> float:
        """Torch's loss over theory's, c."""
        square = 2.0 if self.loss == "mse" else 1.0
        if self.reduction == "sum":
            return square
        return square / (samples * outputs if self.loss == "mse" else samples)

    def rate(self, eta: float, samples: int, outputs: int) -> float:
        """Torch's learning rate of a rate eta of theory, for batches of so many samples."""
        return eta / self.loss_factor(samples, outputs)

    def limit(self, theta_max: float) -> float:
        """Largest eta that is stable in the frozen NTK, 2 (1 + momentum)/(h theta_max)."""
        return 2.0 * (1.0 + self.momentum) / (_CURVATURE[self.loss] * theta_max)

    def safe(self, theta_max: float) -> float:
        """Largest eta called safe, 2/(h theta_max), or half of that with momentum."""
        slack = 0.5 if self.momentum else 1.0
        return slack * 2.0 / (_CURVATURE[self.loss] * theta_max)
