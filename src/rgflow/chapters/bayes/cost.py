"""What the stages of Bayesian learning take."""

from __future__ import annotations

from rgflow.chapters.initialization.cost import whole
from rgflow.study.stage import Cell, Config, Cost, Piece, Spec

_FEW_ISLANDS = 4
_STAGES = 3  # of tempering, in the middle range
_GRADIENT = 10  # steps of a move, each a forward and a backward pass
_COPIES = 12  # of the activations of a particle: u, gradients and momenta before and after a move, layers on the way
_BYTES = 8


def _samples(config: Config, cell: Cell) -> int:
    return int(cell["train"] + config.bayes.test)


def _outputs(config: Config) -> int:
    classes = len(config.inputs.classes)
    return 1 if classes == 2 else classes


def _block(config: Config) -> int:
    return int(config.bayes.block or config.bayes.islands)


def _tensors(config: Config, cell: Cell) -> float:
    """A recursion over layers with the vertex of all samples."""
    return float(cell["depth"] * _samples(config, cell) ** 4)


def _particle(cell: Cell) -> float:
    """Work of a particle: kernels between the train samples and factors of them in every layer, and the moves."""
    train = cell["train"]
    return float(cell["depth"] * _STAGES * _GRADIENT * (train**2 * cell["width"] + train**3))


def _islands(config: Config, cell: Cell) -> float:
    return float(_block(config) * config.bayes.particles * _particle(cell))


def _pilot(config: Config, cell: Cell) -> float:
    """Twice the particles of an island, some trials of moves."""
    return float(6 * config.bayes.particles * _particle(cell))


def _moments(config: Config, cell: Cell) -> float:
    """Numbers of an island: the second moment of all outputs, and two kernels."""
    samples = _samples(config, cell)
    return float((samples * _outputs(config)) ** 2 + 2 * samples**2)


def _drawn(config: Config, cell: Cell) -> float:
    """Bytes of the particles of the pilot."""
    return float(2 * config.bayes.particles * _COPIES * _samples(config, cell) * cell["width"] * cell["depth"] * _BYTES)


def _few_islands(config: Config, _cell: Cell, spec: Spec) -> Piece:
    """A few islands; a block that is the only one finds its stages itself, in either case."""
    count, few = _block(config), min(_FEW_ISLANDS, _block(config))
    return Piece({**spec, "block": {"first": 0, "count": few}}, count / few, count / few)


def _grid(config: Config, cell: Cell) -> float:
    evidence = config.bayes.evidence
    points = len(evidence.C_b) * len(evidence.C_W)
    return float(points * cell["train"] ** 4)


def _one_point(_config: Config, _cell: Cell, spec: Spec) -> Piece:
    """A point in the middle of the grid, at all depths: larger initializations take more nodes."""
    grid = spec["bayes"]["evidence"]
    one = {**grid, **{name: [grid[name][len(grid[name]) // 2]] for name in ("C_b", "C_W")}}
    points = len(grid["C_b"]) * len(grid["C_W"])
    return Piece({**spec, "bayes": {**spec["bayes"], "evidence": one}}, points, points)


THEORY = Cost(work=_tensors, numbers=lambda config, cell: 3.0 * _samples(config, cell) ** 4, piece=whole)
PILOT = Cost(work=_pilot, drawn=_drawn, piece=whole)
BLOCK = Cost(
    work=_islands,
    numbers=lambda config, cell: _block(config) * _moments(config, cell),
    drawn=_drawn,
    piece=_few_islands,
)
COMBINE = Cost(
    numbers=lambda config, cell: 3 * len(config.networks.width) * config.bayes.islands * _moments(config, cell)
)
EVIDENCE = Cost(work=_grid, piece=_one_point)
