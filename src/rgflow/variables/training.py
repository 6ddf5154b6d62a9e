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
        yield Variable(f"{role}_loss", loss, "f", f"expected {role} loss", "E[1/2 sum (z - y)^2]")
    yield Variable("NTK", ntk, "f", "mean NTK", "E[H_ii;12(t)], mean over i")
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


def _record_variables() -> Iterator[Variable]:
    """Records of groups of trained networks, and what is estimated from them beyond infinite width."""
    mean, one = ("step", "sample", "output"), ("step", "sample_1", "sample_2")
    pair = ("step", "output_1", "output_2", "sample_1", "sample_2")
    ntk_one, ntk = (
        ("ntk_sample_1", "ntk_sample_2"),
        ("ntk_step", "output_1", "output_2", "ntk_sample_1", "ntk_sample_2"),
    )
    kernel = ("kernel_step", "layer", "sample_1", "sample_2")
    change, made = "change of the kernel that a hidden layer makes", "G = C_b + C_W/n_{l-1} sum_j sigma_j1 sigma_j2"
    yield Variable("metric", kernel, "f", "mean kernel that a hidden layer makes", f"E[G(t)], {made}")
    yield Variable("metric_change", kernel, "f", change, "E[G(t) - G(0)]")
    yield Variable(
        "prediction_mean_excess", mean, "f", "mean output beyond infinite width", "n (E[z] - m), n = n_{L-1}"
    )
    yield Variable(
        "prediction_covariance_excess", pair, "f", "covariance beyond infinite width", "n (Cov(z_i1, z_j2) - J K J^T)"
    )
    for role in ("train", "test"):
        loss = f"{role} loss"
        for part, equation in _LOSS_PARTS.items():
            what = f"{role} {part} beyond infinite width"
            yield Variable(f"{role}_{part}_excess", ("step",), "f", what, f"n times {equation} less the leading order")
        yield Variable(f"member_{role}_loss", ("step",), "f", f"{loss} of one network", "1/2 sum (z - y)^2")
        yield Variable(f"mean_{role}_loss", ("step",), "f", f"group mean of the {loss}", "mean of 1/2 sum (z - y)^2")
    yield Variable("NTK_excess", ntk, "f", "NTK beyond infinite width", "n (E[H_ij;12(t)] - Theta_12)")
    yield Variable("mean_prediction", mean, "f", "group mean of the output", "mean of z")
    yield Variable("mean_product", one, "f", "group mean of products of outputs", "mean of z_i1 z_i2, mean over i")
    yield Variable("mean_NTK", ("ntk_step", *ntk_one), "f", "group mean of the NTK", "mean of H_ii;12(t)")
    yield Variable("mean_metric", kernel, "f", "group mean of a hidden layer's kernel", f"mean of {made}")
    yield Variable("mean_metric_change", kernel, "f", f"group mean of the {change}", "mean of G(t) - G(0)")
    yield Variable("residual_mean", mean, "f", "group mean of outputs without their linearization", "z - m - c0 - z1")
    yield Variable("linear_mean", mean, "f", "group mean of the first-order answer to the own NTK", "z1")
    yield Variable("residual_product", pair, "f", "the same of products", "c c' - c0 c0' - c0 z1' - z1 c0', c = z - m")
    yield Variable("linear_product", pair, "f", "the same of products", "c0 z1' + z1 c0', c0 = J z(0)")
    yield Variable("residual_NTK", ntk, "f", "group mean of the change of the NTK", "H_ij;12(t) - H_ij;12(0)")
    yield Variable("start_NTK", ntk_one, "f", "group mean of the NTK at initialization", "H_ii;12(0), mean over i")
    yield Variable(
        "start_product", one[1:], "f", "group mean of products at initialization", "z_i1(0) z_i2(0), mean over i"
    )
    at_start, one_response = "n (E[z_i1(0) z_i2(0)] - K) = G1", "n E[c0 z1' + z1 c0'] of one output"
    for error, label in {"": "", "_error": "standard error of "}.items():
        of = f"{label}what the mean of a control has at order 1/n"
        yield Variable(f"linear_mean1{error}", mean, "f", of, "n E[z1]")
        yield Variable(f"linear_product1{error}", one, "f", of, one_response)
        yield Variable(f"start_product1{error}", one[1:], "f", of, at_start)
        yield Variable(f"start_NTK1{error}", one[1:], "f", of, "n (E[H_ii;12(0)] - Theta) = Theta1")
    yield Variable("target", ("sample", "output"), "f", "target, NaN where none is given", "y_{i;a}", True)
    yield Variable("group_size", (), "i", "members of a group", "")
    yield Variable("last_width", (), "i", "width of the last hidden layer", "n = n_{L-1}")
    yield Variable("pairs", (), "b", "whether members come in antithetic pairs", "W^(L), b^(L) -> -W^(L), -b^(L)")


def _generalization_variables() -> Iterator[Variable]:
    """The expected test loss against depth and width, and against the number of train samples."""
    for part, equation in _LOSS_PARTS.items():
        yield Variable(part, ("depth", "width"), "f", f"test {part} to order 1/n", equation)
        yield Variable(f"{part}_infinite", ("depth",), "f", f"test {part} at infinite width", equation)
        yield Variable(f"{part}_next", ("depth",), "f", f"coefficient of 1/n of the test {part}", equation)
        yield Variable(f"test_{part}_infinite", ("step",), "f", f"test {part} at infinite width", equation)
    for error, dims in {"loss_next_error": ("depth",), "loss_error": ("depth", "width")}.items():
        yield Variable(error, dims, "f", "numerical error of order 1/n of the test loss", "")
    yield Variable("equal_order_width", ("depth",), "f", "width at which order 1/n equals the leading one", "|q1|/q")
    yield Variable("equal_order_ratio", ("depth",), "f", "depth-to-width ratio there", "L |q/q1|")
    yield Variable("vertex_growth", (), "f", "growth of V/K^2 per layer", "nu")


VARIABLES = (*_generalization_variables(), *_variables(), *_next_order_variables(), *_record_variables())
