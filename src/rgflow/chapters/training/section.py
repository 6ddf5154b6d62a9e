"""The section ``training`` of the configuration: the settings of the library's training, and depths."""

from __future__ import annotations

from dataclasses import fields

from rgflow.chapters.networks.section import Ensembles
from rgflow.study.section import section_of
from rgflow.training.spec import TrainingSpec

BLOCK_KEYS = ("members", "block", "step_fraction")  # what no single network depends on
Training = section_of(TrainingSpec, base=Ensembles, without=("learning_rate",))
RECORD_KEYS = ("step_fraction", "steps", "records")
NETWORK_KEYS = tuple(field.name for field in fields(TrainingSpec) if field.name not in (*BLOCK_KEYS, "learning_rate"))
