"""The axis of a sweep over tasks: the number of train samples, the first of the inputs each."""

from __future__ import annotations

from collections.abc import Mapping

from rgflow.study.stage import Axis, Config


def _train_counts(config: Config, section: str) -> Mapping[str, int]:
    """Those of a section with a key ``train``, all train samples if it is null; without a section, those of all."""
    chosen = [section] if section in _sections(config) else _sections(config)
    counts = {count for name in chosen for count in getattr(config, name).train or [config.inputs.train]}
    return {str(count): count for count in sorted(counts)}


def _sections(config: Config) -> list[str]:
    return [name for name in type(config).model_fields if name != "inputs" and hasattr(getattr(config, name), "train")]


AXES = (Axis("train", r"\d+", _train_counts),)
