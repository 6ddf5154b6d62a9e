"""The chapter ``networks``: the sweep of a study and the hyperparameters of every layer."""

from __future__ import annotations

from rgflow.chapters.networks.axes import AXES, CELL
from rgflow.chapters.networks.section import Networks
from rgflow.errors import RgflowError
from rgflow.study.stage import Chapter, Config, Stage
from rgflow.variables.networks import VARIABLES


def require(config: Config) -> None:
    """Stop before any job if an activation is unknown, or critical is asked of what has no critical point."""
    from rgflow.activations.registry import activation
    from rgflow.theory.criticality.critical import critical

    networks = config.networks
    for axis in AXES[:2]:
        axis.values(config, "")  # labels must differ
    for choice in AXES[0].values(config, "").values():
        chosen = activation(choice["name"], **choice["parameters"])
        if "critical" in networks.initialization and critical(chosen).universality_class == "none":
            raise RgflowError(
                f"config: networks.initialization = 'critical': {chosen.label} has no critical point; give C_b and C_W"
            )
    _require_skip(config)


def _require_skip(config: Config) -> None:
    networks = config.networks
    if networks.residual is None:
        return
    if networks.learning_rates == "equivalence":
        raise RgflowError(
            "config: networks.learning_rates = 'equivalence': known of plain networks; give lambda_b and lambda_W"
        )
    if "critical" in networks.initialization and abs(networks.residual.xi_2) >= 1.0:
        raise RgflowError(
            f"config: networks.residual.xi_2 = {networks.residual.xi_2:g}: not critical for any C_W; give |xi_2| < 1"
        )


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
