"""What is stored of Bayesian learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rgflow.store.variables import Variable


def _posterior_variables() -> Iterator[Variable]:
    pair, outputs = ("sample_1", "sample_2"), ("output_1", "output_2")
    yield Variable("posterior_mean", ("sample", "output"), "f", "posterior mean of an output", "E[f_i;a | y]")
    yield Variable(
        "posterior_covariance", pair, "f", "posterior covariance of outputs", "Cov(f_i;1, f_j;2 | y), noiseless"
    )
    yield Variable("log_evidence", (), "f", "log evidence", "log p(y), y = f + noise, all outputs together", True)
    yield Variable("hidden_kernel", pair, "f", "posterior kernel of the last hidden layer", "E[Ghat_12 | y]")
    yield Variable("prior_hidden_kernel", pair, "f", "prior kernel of the last hidden layer", "E[Ghat_12]")
    yield Variable(
        "hidden_kernel_change", pair, "f", "what the last hidden layer learns", "E[Ghat_12 | y] - E[Ghat_12]"
    )
    yield Variable("effective_sample_size", (), "f", "effective particles at the end", "(sum Z W)^2 / sum (Z W)^2")
    yield Variable(
        "effective_sample_fraction", (), "f", "effective fraction of reweighted prior draws", "(mean w)^2 / mean w^2"
    )
    yield Variable("beta", ("stage",), "f", "inverse temperature after a stage", "pi_b(u) ~ w(u)^b N(u; 0, 1)", True)
    yield Variable("step", ("stage",), "f", "step of the move of a stage, an angle", "last stage: 0, no move", True)
    yield Variable(
        "ess", ("stage",), "f", "effective fraction of the particles before resampling", "mean over islands", True
    )
    yield Variable(
        "acceptance", ("stage",), "f", "fraction of the particles that moved", "last stage: NaN, no move", True
    )
    yield Variable("island_log_evidence", ("island",), "f", "log evidence of an island", "log Z_r, E[Z_r] = p(y)")
    yield Variable("island_mean", ("sample", "output"), "f", "island's mean of an output", "sum_p W f_i;a")
    yield Variable("island_second", (*outputs, *pair), "f", "island's second moment of outputs", "sum_p W f_i;1 f_j;2")
    yield Variable("island_kernel", pair, "f", "island's kernel of the last hidden layer", "sum_p W Ghat_12")
    yield Variable("island_prior_kernel", pair, "f", "the same of its prior draws", "mean of Ghat_12")
    yield Variable("island_log_weight", ("power",), "f", "moments of the likelihood of prior draws", "log mean w^power")
    yield Variable(
        "island_ess", ("stage",), "f", "effective fraction of an island's particles", "(sum W)^2 / (N sum W^2)"
    )
    yield Variable("island_acceptance", ("stage",), "f", "fraction of an island's particles that moved", "", True)


def _theory_variables() -> Iterator[Variable]:
    """Of the theory, which shares names with what is sampled: the rest, coefficients of 1/n, and errors of all of them."""
    pair, outputs = ("sample_1", "sample_2"), ("output_1", "output_2")
    for name, dims in _SAMPLED.items():
        yield _error(name, dims)
    for name, (dims, what, equation) in _OF_THEORY.items():
        yield Variable(name, dims, "f", what, equation, name in _MAY_BE_MISSING)
        if name not in _EXACT:
            yield _error(name, dims)
    for name, parts in _PARTS.items():
        dims = _SAMPLED.get(name, pair)
        for part in ("", *parts):
            coupled = name == "posterior_covariance" and part in ("", "_hebbian")
            of_coefficient = (*outputs, *dims) if coupled else dims
            coefficient = f"{name}1{part}"
            label = f"{part[1:]} part of the " if part else ""
            yield Variable(coefficient, of_coefficient, "f", f"{label}coefficient of 1/n of {name}", "", not dims)
            yield _error(coefficient, of_coefficient)


_SAMPLED = {
    "posterior_mean": ("sample", "output"),
    "posterior_covariance": ("sample_1", "sample_2"),
    "log_evidence": (),
    "hidden_kernel": ("sample_1", "sample_2"),
}
_PAIR = ("sample_1", "sample_2")
_OF_THEORY: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "preactivation_kernel": (
        _PAIR,
        "posterior covariance of a preactivation of the last hidden layer",
        "E[z_1 z_2 | y]",
    ),
    "log_weight_variance": ((), "n times the variance of the log likelihood over the prior", "c: Var log w = c/n"),
    "evidence_fit": ((), "what the fit adds to the log evidence", "-1/2 sum_i y_i K~^-1 y_i"),
    "evidence_occam": ((), "what Occam's factor adds to the log evidence", "-n_L/2 log det 2 pi K~"),
    "optimal_scale": ((), "scale of the kernel with the largest evidence", "sum_i y_i K~^-1 y_i/(n_L N_A)"),
    "log_evidence_bound": ((), "largest possible log evidence", "-n_L N_A/2 log(2 pi noise); infinite without noise"),
    "impossible_width": ((), "width below which order 1/n exceeds the bound of the log evidence", "0: none"),
}
_EXACT = ("evidence_fit", "evidence_occam", "optimal_scale", "log_evidence_bound", "impossible_width")
_MAY_BE_MISSING = (
    "evidence_fit",
    "evidence_occam",
    "optimal_scale",
    "log_evidence_bound",
    "impossible_width",
    "log_weight_variance",
)
_PARTS: Mapping[str, tuple[str, ...]] = {
    "posterior_mean": ("_metric", "_vertex"),
    "posterior_covariance": ("_metric", "_vertex", "_hebbian"),
    "log_evidence": ("_metric", "_vertex"),
    "hidden_kernel": ("_learned",),
    "preactivation_kernel": ("_prior", "_same", "_other"),
}


def _error(name: str, dims: tuple[str, ...]) -> Variable:
    return Variable(f"{name}_error", dims, "f", f"numerical error of {name}", "", not dims)


VARIABLES = (*_posterior_variables(), *_theory_variables())
