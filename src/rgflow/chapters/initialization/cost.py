"""What the stages of networks at initialization take."""

from __future__ import annotations

from rgflow.sampling.memory import Footprint
from rgflow.sampling.rng import GROUP, chunk_members
from rgflow.study.stage import Cell, Config, Cost, Piece, Spec

OUTPUTS = 2  # neurons that are reported
_TENSORS = 7  # with four sample legs, at most
_BYTES = 8


def _tensor_numbers(config: Config, cell: Cell) -> float:
    """Numbers in all tensors with four sample legs."""
    return float(_TENSORS * cell["depth"] * config.inputs.probes**4)


def by_layer(_config: Config, cell: Cell) -> float:
    """Work of a recursion over layers, in layers: the rest of it is the same in all cells of an activation."""
    return float(cell["depth"])


def whole(_config: Config, _cell: Cell, spec: Spec) -> Piece:
    """A job that is run as it is."""
    return Piece(spec)


def _kept(config: Config, cell: Cell) -> float:
    """Numbers of the members of one ensemble that are kept one by one: preactivations and NTK of two neurons."""
    inputs = config.inputs.probes
    return float(config.ensemble.kept * cell["depth"] * (2 * inputs + 4 * inputs**2))


def _moments(config: Config, cell: Cell, members: int) -> float:
    """Numbers in the moments of all groups, about three for each tensor, and in the members kept one by one."""
    return 3 * _tensor_numbers(config, cell) * members / GROUP + _kept(config, cell)


def _chunk_bytes(config: Config, cell: Cell) -> float:
    """Bytes of a chunk of networks; inputs count as no wider than the network."""
    depth, width = cell["depth"], cell["width"]
    footprint = Footprint(
        widths=(width,) * depth + (OUTPUTS,),
        inputs=config.inputs.probes,
        layers=depth,
        outputs=OUTPUTS,
        tensors=len(config.ensemble.tensors),
        itemsize=_BYTES // 2 if config.ensemble.dtype == "float32" else _BYTES,
        weights=config.ensemble.sampler == "weights",
    )
    return float(footprint.chunk_bytes(chunk_members(footprint.largest_array, "cpu")))


def _sampling(config: Config, cell: Cell) -> float:
    """Members x layers x what a layer costs: n N draws and N^2 n products, or n^2 weights that meet N inputs."""
    inputs, width = config.inputs.probes, cell["width"]
    marginal = width * inputs * (40 + 8 * inputs) + 100 * inputs**4
    weights = width**2 * (10 + 6 * inputs) if config.ensemble.sampler == "weights" else 0
    return float(config.ensemble.block * cell["depth"] * (marginal + weights))


def _one_group(config: Config, _cell: Cell, spec: Spec) -> Piece:
    """The first group of a block, none of its members kept."""
    groups = config.ensemble.block / GROUP
    settings = {**spec["ensemble"], "kept": 0}
    return Piece({**spec, "block": {"first": 0, "count": GROUP}, "ensemble": settings}, groups, groups)


THEORY = Cost(work=by_layer, numbers=_tensor_numbers, piece=whole)
BLOCK = Cost(
    work=_sampling,
    numbers=lambda config, cell: _moments(config, cell, config.ensemble.block),
    drawn=_chunk_bytes,
    piece=_one_group,
)
COMBINE = Cost(numbers=lambda config, cell: _moments(config, cell, config.ensemble.members))
