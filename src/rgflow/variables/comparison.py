"""What is stored of comparisons of theory and experiment: one entry along `component` per distinct component."""

from __future__ import annotations

from collections.abc import Iterator

from rgflow.store.variables import Variable


def _variables() -> Iterator[Variable]:
    one, widths = ("component",), ("width", "component")
    yield Variable("theory", one, "f", "leading order of theory", "t")
    yield Variable("theory_error", one, "f", "numerical error of theory", "0 where theory tells none")
    yield Variable(
        "next_order_error", one, "f", "numerical error of the coefficient of 1/n", "0 where theory tells none"
    )
    yield Variable("degrees_of_freedom", (), "f", "degrees of freedom of standard errors", "groups - 1", True)
    yield Variable("next_order", one, "f", "coefficient of 1/n", "g, of theory where it has it, else the fitted slope")
    yield Variable("next_order_known", one, "b", "whether theory gives the coefficient of 1/n", "")
    yield Variable("experiment", widths, "f", "estimate", "e")
    yield Variable("stderr", widths, "f", "standard error of the estimate", "s")
    yield Variable("exact", widths, "f", "law that holds at this very width", "x")
    yield Variable("intercept", one, "f", "extrapolation to n = infinity", "c_0 of e = c_0 + c_1/n (+ c_2/n^2)")
    yield Variable(
        "fit_coefficient", ("power", "component"), "f", "coefficients of the fit in 1/n", "c_k of e = sum c_k/n^k"
    )
    yield Variable("slope", one, "f", "trend in 1/n", "c_1 of e - t = c_1/n (+ c_2/n^2)")
    for fit in ("fit", "trend"):
        yield Variable(f"{fit}_chi2", one, "f", f"chi^2 of the {fit} in 1/n", "")
        yield Variable(f"{fit}_p_value", one, "f", f"p-value of the {fit} in 1/n", "")
    yield Variable("next_order_shift", widths, "f", "what the next order does to z", "g/(n s)")
    yield Variable("components", ("quantity",), "i", "number of distinct components", "")
    fits = ("ratio", "width")
    yield Variable("depth_exponent", fits, "f", "exponent of a ratio such as V/K^2 in depth", "a (l - 1)^p", True)
    yield Variable("depth_amplitude", fits, "f", "amplitude of a ratio such as V/K^2 in depth", "a (l - 1)^p", True)
    yield Variable("depth_exponent_theory", fits, "f", "the same fit to theory", "a (l - 1)^p", True)
    for name, dims, equation in (
        ("z_leading", widths, "(e - t)/s, as a normal score"),
        ("z_next", widths, "(e - t - g/n)/s where theory gives g, else z_leading"),
        ("z_exact", widths, "(e - x)/s"),
        ("z_intercept", one, "(c_0 - t)/s(c_0)"),
        ("z_slope", one, "(c_1 - g)/s(c_1)"),
    ):
        over = ("quantity", *dims[:-1])
        yield Variable(name, dims, "f", "z-score", equation)
        yield Variable(f"{name}_max", over, "f", f"largest |{name}| of a quantity", "")
        yield Variable(f"{name}_rms", over, "f", f"rms {name} of a quantity", "")
        yield Variable(
            f"{name}_p_value", over, "f", f"p-value of the largest |{name}|, corrected for looking elsewhere", ""
        )


VARIABLES = tuple(_variables())
