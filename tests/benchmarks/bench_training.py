"""Training speed of ensembles: ours against vmap(grad), a loop over modules and the rate of batched matrix products.

Run on one core: python tests/benchmarks/bench_training.py. All that is compared runs in turn, in short bursts of CPU time, and
ratios are medians over the turns: other work on the machine slows both sides of a ratio alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import numpy as np
import torch

from rgflow.network import Network
from rgflow.task import Task
from rgflow.training.chunk import Chunk, members_per_chunk
from rgflow.training.spec import TrainingSpec

SIZES = [  # widths, train samples
    ((64, 16, 16, 1), 24),
    ((64, 32, 32, 32, 1), 24),
    ((64, 128, 128, 128, 1), 24),
    ((64, 128, 128, 10), 100),
    ((64, 512, 512, 10), 100),
]
TURNS, BURST = 15, 0.03
RATE = 1e-5
Call = Callable[[], object]


def seconds_per_call(call: Call, burst: float) -> float:
    """CPU seconds per call in one burst, after a warm-up call."""
    call()
    calls, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < burst:
        call()
        calls += 1
    return elapsed / calls


def seconds_of(calls: list[Call]) -> float:
    """Seconds of several calls, each in a burst of its own that shares the time of one."""
    return sum(seconds_per_call(call, BURST / len(calls)) for call in calls)


def random_task(widths: tuple[int, ...], samples: int) -> Task:
    """Standard normal data."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, widths[0])), rng.normal(size=(samples, widths[-1]))
    return Task(x, y, x[:1])


def ours(network: Network, task: Task) -> Call:
    """A step of a chunk."""
    spec = TrainingSpec(seed=0, learning_rate=RATE, steps=(0,))
    updates = Chunk(network, task, spec, 0, torch.device("cpu"))._updates()
    return lambda: next(updates)


def output(parameters: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """A tanh network with parameters W1, b1, W2, b2, ... and inputs (sample, feature)."""
    signal = x
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        z = torch.nn.functional.linear(signal, weight, bias)
        signal = torch.tanh(z)
    return z


def random_parameters(widths: tuple[int, ...], *members: int) -> list[torch.Tensor]:
    """Weights and biases of one network, or of a batch."""
    layers = [(torch.randn(*members, m, n) / n**0.5, torch.zeros(*members, m)) for n, m in pairwise(widths)]
    return [parameter for layer in layers for parameter in layer]


def vmap_grad(widths: tuple[int, ...], task: Task, members: int) -> Call:
    """A step of torch.func.vmap(grad) with in-place updates."""
    x, y = (torch.as_tensor(values, dtype=torch.float32) for values in (task.train_inputs, task.train_targets))
    parameters = random_parameters(widths, members)

    def loss(one: list[torch.Tensor]) -> torch.Tensor:
        return 0.5 * (output(one, x) - y).square().sum()

    gradients = torch.func.vmap(torch.func.grad(loss))

    def step() -> None:
        for parameter, gradient in zip(parameters, gradients(parameters), strict=True):
            parameter.sub_(gradient, alpha=RATE)

    return step


def module_loop(widths: tuple[int, ...], task: Task) -> Call:
    """A step of one member in a Python loop over members, with autograd and SGD."""
    x, y = (torch.as_tensor(values, dtype=torch.float32) for values in (task.train_inputs, task.train_targets))
    parameters = [parameter.requires_grad_() for parameter in random_parameters(widths)]
    optimizer = torch.optim.SGD(parameters, lr=RATE)

    def step() -> None:
        optimizer.zero_grad()
        (0.5 * (output(parameters, x) - y).square().sum()).backward()
        optimizer.step()

    return step


def products(widths: tuple[int, ...], samples: int, members: int, rows_are_samples: bool) -> list[Call]:
    """The matrix products of a step alone, each on arrays of its own.

    Signals and cotangents lie in memory as (neuron, sample) or as (sample, neuron); the faster order is the bound.
    """
    calls: list[Call] = []
    for layer, (n_in, n_out) in enumerate(pairwise(widths)):
        w = torch.randn(members, n_out, n_in)
        c, z = (_columns(members, n_out, samples, rows_are_samples) for _ in range(2))
        s, below = (_columns(members, n_in, samples, rows_are_samples) for _ in range(2))
        calls.append(lambda w=w, s=s, z=z: _product(w, s, z, rows_are_samples))
        calls.append(lambda w=w, c=c, s=s: w.baddbmm_(c, s.mT, alpha=-RATE))
        if layer:
            calls.append(lambda w=w, c=c, below=below: _product(w.mT, c, below, rows_are_samples))
    return calls


def _columns(members: int, neurons: int, samples: int, rows_are_samples: bool) -> torch.Tensor:
    """Random (member, neuron, sample), in the chosen order in memory."""
    if rows_are_samples:
        return torch.randn(members, samples, neurons).mT
    return torch.randn(members, neurons, samples)


def _product(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor, transposed: bool) -> None:
    """out = left @ right, asked for in the order of memory."""
    if transposed:
        torch.bmm(right.mT, left.mT, out=out.mT)
    else:
        torch.bmm(left, right, out=out)


def compare(widths: tuple[int, ...], samples: int) -> str:
    """One line of the table."""
    task, network = random_task(widths, samples), Network("tanh", widths, 0.0, 1.0, lambda_b=1.0)
    members = members_per_chunk(network, samples)
    calls = {
        "ours": [ours(network, task)],
        "vmap": [vmap_grad(widths, task, members)],
        "loop": [module_loop(widths, task)],
        "columns": products(widths, samples, members, rows_are_samples=False),
        "rows": products(widths, samples, members, rows_are_samples=True),
    }
    turns = [{name: seconds_of(each) for name, each in calls.items()} for _ in range(TURNS)]
    own = [turn["ours"] for turn in turns]
    vmap = median(turn["vmap"] / turn["ours"] for turn in turns)
    loop = median(members * turn["loop"] / turn["ours"] for turn in turns)
    bound = min(median(turn[order] / turn["ours"] for turn in turns) for order in ("columns", "rows"))
    label = "-".join(map(str, widths))
    return (
        f"{label:>22} {samples:8} {members:6} {1e6 * median(own) / members:8.1f} {vmap:6.2f} {loop:6.2f} {bound:13.0%}"
    )


def main() -> None:
    """Print one line per size."""
    torch.set_num_threads(1)
    print("training, tanh, float32, one thread; times in us per member and step, ratios to ours")
    print(f"{'widths':>22} {'samples':>8} {'chunk':>6} {'ours':>8} {'vmap':>6} {'loop':>6} {'bound by bmm':>13}")
    for widths, samples in SIZES:
        print(compare(widths, samples), flush=True)


if __name__ == "__main__":
    main()
