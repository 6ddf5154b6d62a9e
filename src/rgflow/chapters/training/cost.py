"""What the stages of training take."""

from __future__ import annotations

from rgflow.activations.registry import activation
from rgflow.chapters.initialization.cost import by_layer, whole
from rgflow.chapters.networks.architecture import is_plain
from rgflow.study.stage import Cell, Config, Cost, Piece, Spec

_FEW_STEPS = 20
_FEW_MEMBERS = 128  # a multiple of any chunk
_WIDE = 1000  # few weights cost as much as a thousand
_CERTIFIED = 6  # samples whose tensors are integrated, not sampled on nodes
_NODES = 2**15
_TENSORS, _PRODUCTS, _RANDOMIZATIONS = 11, 14, 8
_ARRAYS = 91  # of all samples to the fourth that are held at once
_PER_ENTRY = 400.0  # operations
_PER_RECORD = 60.0


def _samples(cell: Cell, config: Config) -> int:
    return int(cell["train"] + config.inputs.test)


def _block(config: Config) -> int:
    return int(config.training.block or config.training.members)


def _steps(config: Config) -> int:
    steps = config.training.steps
    return int(steps if isinstance(steps, int) else steps[-1])


def _records(config: Config) -> int:
    steps = config.training.steps
    return int(config.training.records if isinstance(steps, int) else len(steps))


def _outputs(config: Config) -> int:
    """Components of the output, as far as the configuration tells: targets may be values."""
    return 1 if len(config.inputs.classes) == 2 else len(config.inputs.classes)


def _descent(config: Config, cell: Cell) -> float:
    """Members x steps x 6 operations per weight and sample: forward, backward, gradient."""
    weights = cell["depth"] * cell["width"] ** 2 + _WIDE
    return float(_block(config) * _steps(config) * 6 * weights * cell["train"])


def _recorded(config: Config, cell: Cell) -> float:
    """Numbers kept of a group of trained members at the recorded steps."""
    training, pairs = config.training, _samples(cell, config) ** 2
    kinds = 1 + 2 * _outputs(config) ** 2 * training.control_variates
    ntk = _records(config) if training.ntk_steps == "all" else 2
    return float(kinds * (_records(config) + ntk) * pairs)


def _of_members(config: Config, cell: Cell, members: int) -> float:
    outputs = _records(config) * _samples(cell, config) * _outputs(config)
    return float(
        _recorded(config, cell) * members / config.training.group + min(members, config.training.keep) * outputs
    )


def reaches_next_order(config: Config, cell: Cell) -> bool:
    """Whether theory goes to order 1/n in a cell."""
    training = config.training
    plain = training.loss == "mse" and training.optimizer == "gd" and not training.momentum and not training.batch_size
    smooth = not activation(cell["activation"]["name"], **cell["activation"]["parameters"]).kinks
    return bool(plain and smooth and training.order == "next" and is_plain(config))


def _theory_work(config: Config, cell: Cell) -> float:
    """Tensors of all samples: matrix products of pairs over nodes, and the recursions; then every recorded step."""
    if not reaches_next_order(config, cell):
        return float(by_layer(config, cell))
    N, nodes = _samples(cell, config), config.training.nodes or _NODES
    if N <= _CERTIFIED:
        return float(1e6 * cell["depth"] * N**4)
    products = _PRODUCTS * (N * (N + 1) / 2) ** 2 * nodes
    entries = _RANDOMIZATIONS * N**4 * _PER_ENTRY
    steps = _RANDOMIZATIONS * _records(config) * N * cell["train"] ** 3 * _PER_RECORD
    return float((cell["depth"] - 1) * (products + _TENSORS * entries) + steps)


def theory_bytes(config: Config, cell: Cell) -> float:
    """Bytes of the tensors of all samples and of what is made of them."""
    return 8.0 * _ARRAYS * _samples(cell, config) ** 4 if reaches_next_order(config, cell) else 0.0


def _few_steps(config: Config, _cell: Cell, spec: Spec) -> Piece:
    """A few steps of a few members; what is recorded of a member is nearly all that is stored."""
    members, steps = min(_FEW_MEMBERS, _block(config)), min(_FEW_STEPS, _steps(config))
    settings = {**spec["training"], "steps": steps}
    few = {**spec, "block": {"first": 0, "count": members}, "training": settings}
    return Piece(few, _steps(config) / steps * _block(config) / members, _block(config) / members)


RATE = Cost(work=by_layer, piece=whole)
THEORY = Cost(
    work=_theory_work,
    numbers=lambda config, cell: 10.0 * _records(config) * _samples(cell, config) ** 2 * _outputs(config) ** 2,
    drawn=theory_bytes,
)
BLOCK = Cost(work=_descent, numbers=lambda config, cell: _of_members(config, cell, _block(config)), piece=_few_steps)
COMBINE = Cost(numbers=lambda config, cell: _of_members(config, cell, config.training.members))
