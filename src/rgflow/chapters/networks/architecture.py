"""From the configuration to the architecture of its networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rgflow.architectures.architecture import Architecture
from rgflow.architectures.plain import Plain
from rgflow.architectures.residual import architecture_of
from rgflow.errors import RgflowError


def architecture_from(strengths: Mapping[str, float] | None) -> Architecture:
    """The architecture that ``networks.residual`` gives the strengths of; plain without them."""
    return architecture_of(**strengths) if strengths else Plain()


def architecture(config: Any) -> Architecture:
    """The architecture of the networks of a study."""
    strengths = config.networks.residual
    return architecture_from(strengths and strengths.model_dump())


def is_plain(config: Any) -> bool:
    """Whether the networks of a study are plain."""
    return architecture(config).name == "plain"


def require_plain(config: Any, section: str) -> None:
    """Raise one line that a section is known of plain networks alone, unless these are."""
    if not is_plain(config):
        name = architecture(config).name
        raise RgflowError(f"config: {section}: known of plain networks, not of {name} ones; give {section}: null")
