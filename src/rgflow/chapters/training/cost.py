"""What the stages of training take."""

from __future__ import annotations

from rgflow.study.stage import Cell, Config, Cost, Piece, Spec

_FEW_STEPS = 20
_FEW_MEMBERS = 128  # a multiple of any chunk
_WIDE = 1000  # few weights cost as much as a thousand


def _samples(config: Config) -> int:
    return int(config.inputs.train + config.inputs.test)


def _block(config: Config) -> int:
    return int(config.training.block or config.training.members)


def _steps(config: Config) -> int:
    steps = config.training.steps
    return int(steps if isinstance(steps, int) else steps[-1])


def _descent(config: Config, cell: Cell) -> float:
    """Members x steps x 6 operations per weight and sample: forward, backward, gradient."""
    weights = cell["depth"] * cell["width"] ** 2 + _WIDE
    return float(_block(config) * _steps(config) * 6 * weights * _samples(config))


def _recorded(config: Config) -> float:
    """Numbers kept of one trained member: its outputs at the recorded steps, and two kernels."""
    outputs = max(1, len(config.inputs.classes))
    return float(config.training.records * _samples(config) * outputs + 2 * _samples(config) ** 2)


def _few_steps(config: Config, _cell: Cell, spec: Spec) -> Piece:
    """A few steps of a few members; what is recorded of a member is nearly all that is stored."""
    members, steps = min(_FEW_MEMBERS, _block(config)), min(_FEW_STEPS, _steps(config))
    few = {**spec, "block": {"first": 0, "count": members}, "training": {**spec["training"], "steps": steps}}
    return Piece(few, _steps(config) / steps * _block(config) / members, _block(config) / members)


BLOCK = Cost(work=_descent, numbers=lambda config, _: _recorded(config) * _block(config), piece=_few_steps)
COMBINE = Cost(numbers=lambda config, _: _recorded(config) * config.training.members)
