"""The memory of a chunk: what is estimated beforehand bounds what is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import numpy as np
from rgflow.compute.machine import peak_memory, resident_memory
from rgflow.network import Network
from rgflow.sampling.blocks import sample_groups
from rgflow.sampling.chunks import chunk_members, footprint_of, make_target
from rgflow.compute.machine import find_device
from rgflow.sampling.spec import SamplingSpec

x = np.random.default_rng(0).standard_normal(({inputs}, 8))
network, ensemble = Network("gelu", (8, *[{width}] * 5, 2), 0.0, 2.0), SamplingSpec(1, {tensors}, "{sampler}", dtype="float32")
footprint = footprint_of(make_target(network, x, ensemble, find_device("cpu")), ensemble)
sample_groups(Network("gelu", (8, 4, 2), 0.0, 2.0), x, range(1), ensemble)  # all code is loaded
before = resident_memory()
sample_groups(network, x, range(1), ensemble)
print(peak_memory() - before, footprint.chunk_bytes(chunk_members(footprint.largest_array, "cpu")))
"""


@pytest.mark.parametrize(
    ("sampler", "width", "inputs", "tensors"),
    [
        ("marginal", 128, 3, ("K", "V", "Theta", "A", "B")),
        ("marginal", 16, 6, ("K", "V", "Theta", "D", "F")),
        ("marginal", 64, 12, ("K", "Theta", "A")),
        ("marginal", 128, 40, ("K", "Theta")),
        ("weights", 400, 2, ("K", "Theta")),
    ],
)
def test_peak_memory_stays_below_its_estimate(sampler: str, width: int, inputs: int, tensors: tuple[str, ...]) -> None:
    script = PROBE.format(sampler=sampler, width=width, inputs=inputs, tensors=tensors)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    used, estimated = map(int, result.stdout.split())
    assert used < 1.2 * estimated + 50e6  # what the interpreter and the allocator take besides
    assert estimated < 20 * max(used, 10e6)
