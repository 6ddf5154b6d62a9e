"""The axes of Bayesian learning: the number of train samples and the noise of their targets."""

from __future__ import annotations

from collections.abc import Mapping

from rgflow.chapters.networks.axes import CELL
from rgflow.study.stage import Axis, Config

POSTERIOR = (*CELL, "train", "noise")
WIDE_POSTERIOR = (*POSTERIOR, "width")
BLOCK_POSTERIOR = (*WIDE_POSTERIOR, "block")
DATA = ("activation", "train", "noise")


def _counts(config: Config, _section: str) -> Mapping[str, int]:
    return {str(count): count for count in config.bayes.train} if config.bayes else {}


def _variances(config: Config, _section: str) -> Mapping[str, float]:
    return {repr(noise): noise for noise in config.bayes.noise} if config.bayes else {}


AXES = (Axis("train", r"\d+", _counts), Axis("noise", r"[^/~]+", _variances))
