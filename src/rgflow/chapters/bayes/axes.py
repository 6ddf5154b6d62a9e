"""The axes of Bayesian learning: the number of train samples, of the chapter of the inputs, and the noise of their targets."""

from __future__ import annotations

from collections.abc import Mapping

from rgflow.chapters.networks.axes import CELL
from rgflow.study.stage import Axis, Config

POSTERIOR = (*CELL, "train", "noise")
WIDE_POSTERIOR = (*POSTERIOR, "width")
BLOCK_POSTERIOR = (*WIDE_POSTERIOR, "block")
DATA = ("activation", "train", "noise")


def _variances(config: Config, _section: str) -> Mapping[str, float]:
    return {repr(noise): noise for noise in config.bayes.noise} if config.bayes else {}


AXES = (Axis("noise", r"[^/~]+", _variances),)
