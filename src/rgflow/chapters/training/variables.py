"""What is stored of training."""

from __future__ import annotations

from collections.abc import Iterator

from rgflow.store.variables import Variable


def _variables() -> Iterator[Variable]:
    mean, covariance, loss = ("step", "sample", "output"), ("step", "sample_1", "sample_2"), ("step",)
    ntk = ("ntk_step", "ntk_sample_1", "ntk_sample_2")
    scalar = ()
    yield Variable("prediction", ("member", *mean), "f", "output of one network", "z_{i;a}(t)")
    yield Variable("prediction_mean", mean, "f", "mean output", "E[z_{i;a}(t)]; theory: M_t y")
    yield Variable(
        "prediction_covariance", covariance, "f", "covariance of outputs", "Cov(z_{i;1}(t), z_{i;2}(t)), mean over i"
    )
    yield Variable(
        "kernel_mean_limit", ("sample", "output"), "f", "kernel prediction at t -> infinity", "Theta Theta_AA^-1 y"
    )
    for role in ("train", "test"):
        yield Variable(f"{role}_loss", loss, "f", f"{role} loss", "1/2 sum (z - y)^2; theory: its expectation")
        yield Variable(f"{role}_loss_mean", loss, "f", f"mean {role} loss", "E[1/2 sum (z - y)^2]")
    yield Variable("NTK", ntk, "f", "NTK of output 0 of one network", "H_00;12(t)")
    yield Variable("NTK_mean", ntk, "f", "mean NTK of output 0", "E[H_00;12(t)]")
    yield Variable(
        "theta_eigenvalue", ("mode",), "f", "eigenvalues of the train NTK, ascending", "Theta_AA e = theta e"
    )
    yield Variable("theta_max", scalar, "f", "largest eigenvalue of the train NTK", "stability: eta < 2/theta_max")
    yield Variable("learning_rate", scalar, "f", "step size", "eta = step_fraction * 2/theta_max")


VARIABLES = tuple(_variables())
