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


def _next_order_variables() -> Iterator[Variable]:
    """What training adds to ``_variables``: the end of training, bias and variance, and order 1/n with errors."""
    matrix = ("output_1", "output_2", "sample_1", "sample_2")
    losses = {f"{role}_{part}": equation for role in ("train", "test") for part, equation in _LOSS_PARTS.items()}
    for name, equation in losses.items():
        if not name.endswith("loss"):
            yield Variable(name, ("step",), "f", name.replace("_", " "), equation)
        yield Variable(f"{name}_limit", (), "f", f"{name.replace('_', ' ')} at the end of training", equation)
    yield Variable("prediction_mean_limit", ("sample", "output"), "f", "mean output at the end of training", "E z")
    yield Variable(
        "prediction_covariance_limit", ("sample_1", "sample_2"), "f", "covariance of outputs at the end of training", ""
    )
    yield from _next_order("prediction_mean1", ("sample", "output"), "E z", parts=True)
    yield from _next_order("prediction_covariance1", matrix, "Cov(z_i1, z_j2)", parts=True)
    yield from _next_order("NTK1", matrix, "E[H_ij;12]", parts=True)
    for name, equation in losses.items():
        yield from _next_order(f"{name}1", (), equation, parts=False)


_LOSS_PARTS = {"bias": "1/2 sum (E z - y)^2", "variance": "1/2 sum Var z", "loss": "E[1/2 sum (z - y)^2]"}


def _next_order(name: str, dims: tuple[str, ...], of: str, parts: bool) -> Iterator[Variable]:
    """A coefficient of 1/n at every step and at the end of training, in parts, and the errors of all these."""
    what, equation = f"next order of {of}", f"coefficient of 1/n, n = n_(L-1), of {of}"
    for suffix, part in {"": (), "_parts": ("part",)}.items() if parts else [("", ())]:
        for error in ("", "_error"):
            label = f"standard error of the {what}" if error else what
            yield Variable(f"{name}{suffix}{error}", ("step", *part, *dims), "f", label, equation)
            yield Variable(f"{name}_limit{suffix}{error}", (*part, *dims), "f", f"{label}, end of training", equation)


VARIABLES = (*_variables(), *_next_order_variables())
