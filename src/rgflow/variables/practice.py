"""What is stored of advice."""

from __future__ import annotations

from collections.abc import Iterator

from rgflow.store.variables import Variable


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
    yield Variable("input_scale", scalar, "f", "factor on inputs that starts at K*", "", True)
    run = ("optimizer", "rate", "seed")
    yield Variable("signal_K", layer, "f", "mean kernel over inputs", "mean K_aa", True)
    yield Variable(
        "signal_Theta", scalar, "f", "mean NTK of the outputs over inputs", "mean Theta_aa, all rates 1", True
    )
    for role in ("train", "test"):
        equation = "mean square error; inf: diverged"
        yield Variable(f"contest_{role}_loss", run, "f", f"{role} loss after training", equation, True)
    yield Variable(
        "contest_rate", run[:2], "f", "learning rate", "sgd: in units of the largest safe rate; adam: torch's lr"
    )
    yield Variable("contest_zero_loss", scalar, "f", "test loss of the prediction 0", "mean y^2")


VARIABLES = tuple(_practice_variables())
