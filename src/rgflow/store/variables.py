"""The variable registry: every stored array is named, shaped and explained here, once.

A :class:`Variable` validates a dataset before it is published, documents it (``long_name``, ``equation``) and fixes how it
is encoded. Estimates of a registered variable may be accompanied by ``<name>_stderr``, its standard error, and
``<name>_covariance``, the covariance between layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rgflow.errors import RgflowError
from rgflow.tensors import TENSORS

if TYPE_CHECKING:
    import xarray as xr

STDERR = "_stderr"
COVARIANCE = "_covariance"


@dataclass(frozen=True)
class Variable:
    """One named array.

    Attributes
    ----------
    name : str
        Name in code, store and figures.
    dims : tuple of str
        Trailing dimensions; a dataset may add sweep dimensions (``width``, ``group``, ...) in front.
    kind : str
        numpy kind of the values: ``"f"``, ``"i"``, ``"b"`` or ``"U"``.
    long_name : str
        What it is, in a few words.
    equation : str
        The defining equation, normalization included.
    may_be_missing : bool
        Whether NaN is allowed, as "does not exist here"; everywhere else it stops the stage.
    """

    name: str
    dims: tuple[str, ...]
    kind: str
    long_name: str
    equation: str
    may_be_missing: bool = False

    def check(self, array: xr.DataArray, where: str) -> None:
        """Raise one line if ``array`` does not have the registered trailing dims and kind."""
        tail = tuple(str(d) for d in array.dims[array.ndim - len(self.dims) :])
        if tail != self.dims:
            raise RgflowError(f"{where}: variable {array.name!r} has dims {array.dims}, must end with {self.dims}")
        kind = {"O": "U", "T": "U", "u": "i"}.get(array.dtype.kind, array.dtype.kind)
        if kind != self.kind:
            raise RgflowError(
                f"{where}: variable {array.name!r} has dtype {array.dtype}, must be of kind {self.kind!r}"
            )

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes written with the array."""
        return {"long_name": self.long_name, "equation": self.equation}


_PAIR = ("layer", "sample_1", "sample_2")
_TRIPLE = ("layer", "sample_1", "sample_2", "sample_3")
_QUAD = ("layer", "sample_1", "sample_2", "sample_3", "sample_4")


def _input_variables() -> Iterator[Variable]:
    yield Variable("x", ("sample", "feature"), "f", "input", "x_{j;a}, after normalization")
    yield Variable("y", ("sample", "output"), "f", "target", "y_{i;a}")
    yield Variable("probe", ("sample",), "b", "input used for theory and ensembles at initialization", "")


def _criticality_variables() -> Iterator[Variable]:
    plane, law = ("C_b", "C_W"), ("quantity", "source")
    yield Variable("K_star", plane, "f", "kernel that the flow from K = 1 tends to", "K* = C_b + C_W <s^2>_K*", True)
    yield Variable("chi_parallel", plane, "f", "parallel susceptibility at K*", "C_W <s'^2 + s s''>", True)
    yield Variable("chi_perp", plane, "f", "perpendicular susceptibility at K*", "C_W <s'^2>", True)
    yield Variable("xi_parallel", plane, "f", "correlation depth of the norm", "-1/ln chi_parallel", True)
    yield Variable("xi_perp", plane, "f", "correlation depth of two inputs", "-1/ln chi_perp", True)
    yield Variable("critical_C_b", (), "f", "critical bias variance", "NaN: none", True)
    yield Variable("critical_C_W", (), "f", "critical weight variance", "NaN: none", True)
    yield Variable("critical_K", (), "f", "critical kernel", "NaN: any (scale-invariant) or none", True)
    yield Variable("chi_parallel_slope", (), "f", "d chi_parallel / dK at the critical kernel", "", True)
    yield Variable("chi_perp_slope", (), "f", "d chi_perp / dK at the critical kernel", "", True)
    yield Variable("layer_C_b", ("layer",), "f", "bias variance", "b ~ N(0, C_b)")
    yield Variable("layer_C_W", ("layer",), "f", "weight variance", "W ~ N(0, C_W/n_{l-1})")
    yield Variable("layer_lambda_b", ("layer",), "f", "learning rate of biases", "lambda_b")
    yield Variable("xi_1", (), "f", "strength of the branch of a residual network", "z' = xi_1 (b + W s) + xi_2 z")
    yield Variable("xi_2", (), "f", "strength of the skip connection", "z' = xi_1 (b + W s) + xi_2 z")
    yield Variable("layer_lambda_W", ("layer",), "f", "learning rate of weights", "lambda_W/n_{l-1}")
    yield Variable("coefficient", law, "f", "coefficient a of the law a l^p in depth l", "predicted, and fitted", True)
    yield Variable("flow", ("quantity", "layer"), "f", "one critical input in depth", "recursion, at large widths")
    yield Variable("flow_predicted", ("quantity", "layer"), "f", "predicted law of the flow", "a l^-p (1 + b ln(l)/l)")
    yield Variable("exponent", law, "f", "exponent p of the law a l^p in depth l", "predicted, and fitted", True)


def _initialization_variables() -> Iterator[Variable]:
    for tensor in TENSORS.values():
        yield Variable(tensor.name, tensor.dims, "f", tensor.long_name, tensor.equation)
    yield Variable(
        "preactivation", ("member", "layer", "output_1", "sample_1"), "f", "preactivations of one network", "z_{i;1}"
    )
    yield Variable(
        "ntk", ("member", "layer", "output_1", "output_2", "sample_1", "sample_2"), "f", "NTK of one network", "H_ij;12"
    )
    yield Variable("mean_G", _PAIR, "f", "group mean of the metric", "mean of G_12 = C_b + C_W/n sum_j s_j1 s_j2")
    yield Variable("mean_GG", _QUAD, "f", "group mean", "mean of G_12 G_34")
    yield Variable("mean_GGG", ("layer", "sample_1"), "f", "group mean, one input", "mean of G_11^3")
    yield Variable(
        "mean_z", ("layer", "sample_1"), "f", "group mean of the skip connection", "mean of xi_2/n sum_i z_i1"
    )
    yield Variable("mean_zG", _TRIPLE, "f", "group mean", "mean of (xi_2/n sum_i z_i1) G_23")
    yield Variable("mean_zG_same", _TRIPLE, "f", "group mean, equal neurons", "mean of Cov_i(xi_2 z_i1, G_i23)/(n - 1)")
    yield Variable("mean_GG_same", _QUAD, "f", "group mean, equal neurons", "mean of Cov_i(G_i12, G_i34)/(n - 1)")
    yield Variable("mean_H", _PAIR, "f", "group mean of the NTK", "mean of H_ii;12")
    yield Variable("mean_GH", _QUAD, "f", "group mean", "mean of G_12 H_ii;34")
    yield Variable("mean_zzH", _QUAD, "f", "group mean, slots of F", "mean of z_i1 z_j2 H_ij;34")
    yield Variable("mean_H11", _PAIR, "f", "group mean of the NTK of output 1", "mean of H_11;12")
    yield Variable("mean_H22", _PAIR, "f", "group mean of the NTK of output 2", "mean of H_22;12")
    yield Variable("mean_H11H22", _QUAD, "f", "group mean", "mean of H_11;12 H_22;34")
    yield Variable("mean_H12H12", _QUAD, "f", "group mean, slots of B", "mean of H_12;12 H_12;34")
    yield Variable("quadrature_error", ("layer",), "f", "largest estimated relative quadrature error", "")


def _training_variables() -> Iterator[Variable]:
    mean, covariance, loss = ("step", "sample", "output"), ("step", "sample_1", "sample_2"), ("step",)
    ntk = ("ntk_step", "ntk_sample_1", "ntk_sample_2")
    pair, scalar = ("sample_1", "sample_2"), ()
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
    yield Variable("K_output", pair, "f", "infinite-width kernel of the outputs", "K^(L)")
    yield Variable("Theta_output", pair, "f", "infinite-width NTK of the outputs", "Theta^(L)")
    yield Variable(
        "theta_eigenvalue", ("mode",), "f", "eigenvalues of the train NTK, ascending", "Theta_AA e = theta e"
    )
    yield Variable("theta_max", scalar, "f", "largest eigenvalue of the train NTK", "stability: eta < 2/theta_max")
    yield Variable("learning_rate", scalar, "f", "step size", "eta = step_fraction * 2/theta_max")


def _comparison_variables() -> Iterator[Variable]:
    one, widths = ("component",), ("width", "component")
    yield Variable("theory", one, "f", "leading order of theory", "t")
    yield Variable("next_order", one, "f", "coefficient of 1/n", "g, of theory where it has it, else the fitted slope")
    yield Variable("next_order_known", one, "b", "whether theory gives the coefficient of 1/n", "")
    yield Variable("experiment", widths, "f", "estimate", "e")
    yield Variable("stderr", widths, "f", "standard error of the estimate", "s")
    yield Variable("exact", widths, "f", "law that holds at this very width", "x")
    yield Variable("intercept", one, "f", "extrapolation to n = infinity", "c_0 of e = c_0 + c_1/n (+ c_2/n^2)")
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
        ("z_leading", widths, "(e - t)/s"),
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


def _practice_variables() -> Iterator[Variable]:
    layer, scalar = ("layer",), ()
    yield Variable(
        "layer_chi_parallel", layer, "f", "parallel susceptibility to the next layer", "at the mean kernel", True
    )
    yield Variable("layer_chi_perp", layer, "f", "perpendicular susceptibility to the next layer", "C_W <s'^2>", True)
    yield Variable("correlation", layer, "f", "mean correlation of two inputs", "K_12/sqrt(K_11 K_22)", True)
    yield Variable("kappa", layer, "f", "normalized vertex of one input", "V/(n_{l-1} K^2)", True)
    yield Variable("metric_shift", layer, "f", "relative shift of the metric at order 1/n", "G1/(n_{l-1} K)", True)
    yield Variable("ntk_variance", layer, "f", "relative variance of the NTK", "A/(n_{l-1} Theta^2)", True)
    yield Variable("ntk_shift", layer, "f", "relative shift of the NTK at order 1/n", "Theta1/(n_{l-1} Theta)", True)
    yield Variable(
        "ntk_share", layer, "f", "part of a layer's parameters in the NTK of the outputs", "mean over inputs", True
    )
    yield Variable(
        "safe_rate", scalar, "f", "largest safe learning rate of torch", "2/(c h theta_max), half with momentum", True
    )
    yield Variable("suggested_rate", scalar, "f", "suggested learning rate of torch", "half the safe one", True)
    yield Variable("steps_to_learn", scalar, "f", "steps to learn the slowest kept mode by 1/e", "1/(eta theta)", True)
    yield Variable(
        "initial_spread", scalar, "f", "deviation of outputs over seeds at the start", "sqrt(mean K_aa)", True
    )
    yield Variable("final_spread", scalar, "f", "the same of held-out inputs after training", "infinite width", True)
    yield Variable("initial_loss", scalar, "f", "mean of torch's loss over seeds at the start", "", True)
    yield Variable("initial_loss_spread", scalar, "f", "its deviation over seeds", "vertex included", True)
    yield Variable("aspect_ratio", scalar, "f", "depth over width", "L mean(1/n)")
    yield Variable("optimal_aspect_ratio", scalar, "f", "where the expansion turns", "4/((20 + 3 n_L) nu)", True)
    yield Variable("input_scale", scalar, "f", "factor on inputs that starts at K*", "", True)
    cell, run = ("activation", "depth", "recipe"), ("activation", "depth", "recipe", "optimizer", "rate", "seed")
    yield Variable("signal_correlation", cell, "f", "mean correlation of inputs at the outputs", "infinite width", True)
    yield Variable("signal_K", cell, "f", "mean kernel of the outputs", "infinite width", True)
    yield Variable("signal_Theta", cell, "f", "mean NTK of the outputs, all rates 1", "infinite width", True)
    yield Variable("signal_kappa", cell, "f", "normalized vertex of the outputs", "V/(n K^2)", True)
    for role in ("train", "test"):
        yield Variable(f"contest_{role}_loss", run, "f", f"{role} loss after training", "mean square error; inf: diverged")


GROUPS: dict[str, tuple[Variable, ...]] = {
    "inputs": tuple(_input_variables()),
    "hyperparameters and criticality": tuple(_criticality_variables()),
    "initialization": tuple(_initialization_variables()),
    "training": tuple(_training_variables()),
    "comparison": tuple(_comparison_variables()),
    "practice": tuple(_practice_variables()),
}

REGISTRY: dict[str, Variable] = {variable.name: variable for group in GROUPS.values() for variable in group}


def lookup(name: str) -> Variable:
    """Return the registered variable behind ``name``.

    ``<name>_stderr`` stands for the standard error of ``name``, ``<name>_covariance`` for the covariance between layers of
    its components of a single input.

    Raises
    ------
    RgflowError
        If nothing of that name is registered.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    base = name.removesuffix(STDERR)
    if base != name and base in REGISTRY:
        of = REGISTRY[base]
        return Variable(
            name,
            of.dims,
            "f",
            f"standard error of {of.long_name}",
            f"standard error of the estimate {base}",
            of.may_be_missing,
        )
    base = name.removesuffix(COVARIANCE)
    if base != name and base in REGISTRY:
        legs = "1" * (len(REGISTRY[base].dims) - 1)
        return Variable(
            name,
            ("sample_1", "layer", "layer_2"),
            "f",
            f"covariance between layers of the estimate {base}",
            f"Cov({base}_{legs} in layer, {base}_{legs} in layer_2)",
        )
    raise RgflowError(f"variable {name!r} is not in the registry (rgflow.store.variables)")


def validate(dataset: xr.Dataset, where: str) -> None:
    """Raise one line naming ``where`` unless every variable of ``dataset`` is registered and shaped as registered."""
    if not dataset.data_vars:
        raise RgflowError(f"{where}: the dataset holds no variables")
    for name, array in dataset.data_vars.items():
        lookup(str(name)).check(array, where)


def document(dataset: xr.Dataset) -> xr.Dataset:
    """Return ``dataset`` with the registry's attributes on every variable."""
    documented = dataset.copy(deep=False)
    for name in documented.data_vars:
        documented[name].attrs = lookup(str(name)).attrs
    return documented
