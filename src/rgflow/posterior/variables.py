"""What is stored of sampled posteriors."""

from __future__ import annotations

from rgflow.store.variables import Variable

_PAIR = ("sample_1", "sample_2")

VARIABLES = (
    Variable("posterior_mean", ("sample", "output"), "f", "posterior mean of an output", "E[f_i;a | y]"),
    Variable("posterior_covariance", _PAIR, "f", "posterior covariance of outputs", "Cov(f_i;1, f_j;2 | y), noiseless"),
    Variable("log_evidence", (), "f", "log evidence", "log p(y), y = f + noise, of all outputs together"),
    Variable("hidden_kernel", _PAIR, "f", "posterior kernel of the last hidden layer", "E[Ghat_12 | y]"),
    Variable("prior_hidden_kernel", _PAIR, "f", "prior kernel of the last hidden layer", "E[Ghat_12]"),
    Variable("hidden_kernel_change", _PAIR, "f", "what the last hidden layer learns", "E[Ghat_12 | y] - E[Ghat_12]"),
    Variable("effective_sample_size", (), "f", "effective particles at the end", "(sum Z W)^2 / sum (Z W)^2"),
    Variable(
        "effective_sample_fraction", (), "f", "effective fraction of reweighted prior draws", "(mean w)^2 / mean w^2"
    ),
    Variable("beta", ("stage",), "f", "inverse temperature after a stage", "pi_b(u) ~ w(u)^b N(u; 0, 1)"),
    Variable("step", ("stage",), "f", "step of the move of a stage, an angle", "last stage: 0, no move"),
    Variable("ess", ("stage",), "f", "effective fraction of the particles before resampling", "mean over islands"),
    Variable("acceptance", ("stage",), "f", "fraction of the particles that moved", "last stage: NaN, no move", True),
    Variable("island_log_evidence", ("island",), "f", "log evidence of an island", "log Z_r, E[Z_r] = p(y)"),
    Variable("island_mean", ("sample", "output"), "f", "island's mean of an output", "sum_p W f_i;a"),
    Variable(
        "island_second",
        ("output_1", "output_2", *_PAIR),
        "f",
        "island's second moment of outputs",
        "sum_p W f_i;1 f_j;2",
    ),
    Variable("island_kernel", _PAIR, "f", "island's kernel of the last hidden layer", "sum_p W Ghat_12"),
    Variable("island_prior_kernel", _PAIR, "f", "the same of its prior draws", "mean of Ghat_12"),
    Variable("island_log_weight", ("power",), "f", "moments of the likelihood of prior draws", "log mean w^power"),
    Variable("island_ess", ("stage",), "f", "effective fraction of an island's particles", "(sum W)^2 / (N sum W^2)"),
    Variable("island_acceptance", ("stage",), "f", "fraction of an island's particles that moved", "", True),
)
