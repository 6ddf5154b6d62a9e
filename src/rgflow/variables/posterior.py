"""What is stored of Bayesian learning."""

from __future__ import annotations

from collections.abc import Iterator

from rgflow.store.variables import Variable


def _posterior_variables() -> Iterator[Variable]:
    pair, outputs = ("sample_1", "sample_2"), ("output_1", "output_2")
    yield Variable("posterior_mean", ("sample", "output"), "f", "posterior mean of an output", "E[f_i;a | y]")
    yield Variable(
        "posterior_covariance", pair, "f", "posterior covariance of outputs", "Cov(f_i;1, f_j;2 | y), noiseless"
    )
    yield Variable("log_evidence", (), "f", "log evidence", "log p(y), y = f + noise, of all outputs together")
    yield Variable("hidden_kernel", pair, "f", "posterior kernel of the last hidden layer", "E[Ghat_12 | y]")
    yield Variable("prior_hidden_kernel", pair, "f", "prior kernel of the last hidden layer", "E[Ghat_12]")
    yield Variable(
        "hidden_kernel_change", pair, "f", "what the last hidden layer learns", "E[Ghat_12 | y] - E[Ghat_12]"
    )
    yield Variable("effective_sample_size", (), "f", "effective particles at the end", "(sum Z W)^2 / sum (Z W)^2")
    yield Variable(
        "effective_sample_fraction", (), "f", "effective fraction of reweighted prior draws", "(mean w)^2 / mean w^2"
    )
    yield Variable("beta", ("stage",), "f", "inverse temperature after a stage", "pi_b(u) ~ w(u)^b N(u; 0, 1)")
    yield Variable("step", ("stage",), "f", "step of the move of a stage, an angle", "last stage: 0, no move")
    yield Variable("ess", ("stage",), "f", "effective fraction of the particles before resampling", "mean over islands")
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


VARIABLES = tuple(_posterior_variables())
