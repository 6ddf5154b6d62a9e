"""The chapter ``networks``: the sweep of a study and the hyperparameters of every layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rgflow.chapters.networks.axes import AXES, CELL
from rgflow.chapters.networks.section import Networks, Strengths
from rgflow.errors import RgflowError
from rgflow.study.stage import Chapter, Config, Stage
from rgflow.variables.networks import VARIABLES

if TYPE_CHECKING:
    from rgflow.activations.activation import Activation


def require(config: Config) -> None:
    """Stop before any job if an activation is unknown, or has no such initialization or learning rates."""
    from rgflow.activations.registry import activation

    for axis in AXES[:2]:
        axis.values(config, "")  # labels must differ
    chosen: dict[Activation, str] = {}
    for label, choice in AXES[0].values(config, "").items():
        one = activation(choice["name"], **choice["parameters"])
        if one in chosen:
            raise RgflowError(
                f"config: networks.activation: {chosen[one]} and {label} are one activation; give it once"
            )
        chosen[one] = label
        _require_hyperparameters(config, one)


def _require_hyperparameters(config: Config, chosen: Activation) -> None:
    from rgflow.theory.criticality.critical import critical
    from rgflow.theory.depth.asymptotics import equivalence_learning_rates

    networks, skip = config.networks, config.networks.residual
    if "critical" in networks.initialization and critical(chosen).universality_class == "none":
        raise RgflowError(
            f"config: networks.initialization = 'critical': {chosen.label} has no critical point; give C_b and C_W"
        )
    if networks.learning_rates == "equivalence":
        if skip is not None:
            raise RgflowError(
                "config: networks.learning_rates = 'equivalence': known of plain networks; give lambda_b and lambda_W"
            )
        _reported("config: networks.learning_rates = 'equivalence'", lambda: equivalence_learning_rates(chosen, 1))
    if skip is not None:
        _require_skip(chosen, skip, critical="critical" in networks.initialization)


def _require_skip(chosen: Activation, skip: Strengths, critical: bool) -> None:
    from rgflow.theory.initialization.residual import require_residual_theory

    _reported("config: networks.residual", lambda: require_residual_theory(chosen))
    if critical and abs(skip.xi_2) >= 1.0:
        raise RgflowError(f"config: networks.residual.xi_2 = {skip.xi_2:g}: not critical for any C_W; give |xi_2| < 1")


def _reported(where: str, call: Callable[[], object]) -> None:
    """Call what a job would call, and say where in the configuration its error comes from."""
    try:
        call()
    except RgflowError as error:
        raise RgflowError(f"{where}: {error}") from None


CHAPTER = Chapter(
    name="networks",
    title="Networks",
    place=1,
    section=Networks,
    axes=AXES,
    stages=(
        Stage(
            "theory/hyperparameters",
            run="rgflow.chapters.networks.hyperparameters",
            summary="initialization and learning rates by layer",
            axes=CELL,
            config=("networks.learning_rates", "networks.residual"),
            wanted=False,
        ),
    ),
    variables=VARIABLES,
    require=require,
)
