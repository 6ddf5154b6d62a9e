"""Training speed of ensembles: ours against vmap(grad), a loop over modules and the rate of batched matrix products.

Run alone on one core: python tests/benchmarks/bench_training.py. Prints ratios of one run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

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
SECONDS = 1.0
RATE = 1e-5


def seconds_per_call(call: Callable[[], object]) -> float:
    """CPU seconds per call after a warm-up call."""
    call()
    calls, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < SECONDS:
        call()
        calls += 1
    return elapsed / calls


def random_task(widths: tuple[int, ...], samples: int) -> Task:
    """Standard normal data."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, widths[0])), rng.normal(size=(samples, widths[-1]))
    return Task(x, y, x[:1])


def ours(network: Network, task: Task) -> float:
    """Seconds per member and step."""
    chunk = Chunk(network, task, TrainingSpec(seed=0, learning_rate=RATE, steps=(0,)), 0, torch.device("cpu"))
    updates = chunk._updates()
    return seconds_per_call(lambda: next(updates)) / chunk.size


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


def vmap_grad(widths: tuple[int, ...], task: Task, members: int) -> float:
    """Seconds per member and step of torch.func.vmap(grad) with in-place updates."""
    x, y = (torch.as_tensor(values, dtype=torch.float32) for values in (task.train_inputs, task.train_targets))
    parameters = random_parameters(widths, members)

    def loss(one: list[torch.Tensor]) -> torch.Tensor:
        return 0.5 * (output(one, x) - y).square().sum()

    gradients = torch.func.vmap(torch.func.grad(loss))

    def step() -> None:
        for parameter, gradient in zip(parameters, gradients(parameters), strict=True):
            parameter.sub_(gradient, alpha=RATE)

    return seconds_per_call(step) / members


def module_loop(widths: tuple[int, ...], task: Task) -> float:
    """Seconds per member and step of a Python loop over members with autograd and SGD."""
    x, y = (torch.as_tensor(values, dtype=torch.float32) for values in (task.train_inputs, task.train_targets))
    parameters = [parameter.requires_grad_() for parameter in random_parameters(widths)]
    optimizer = torch.optim.SGD(parameters, lr=RATE)

    def step() -> None:
        optimizer.zero_grad()
        (0.5 * (output(parameters, x) - y).square().sum()).backward()
        optimizer.step()

    return seconds_per_call(step)


def products(widths: tuple[int, ...], samples: int, members: int) -> float:
    """Seconds per member and step of the matrix products alone: the bound set by bmm on the same shapes."""
    total = 0.0
    for layer, (n_in, n_out) in enumerate(pairwise(widths)):
        weight, cotangent = torch.randn(members, n_out, n_in), torch.randn(members, n_out, samples)
        signal = torch.randn(members, n_in, samples)
        total += seconds_per_call(lambda w=weight, s=signal: torch.bmm(w, s))
        total += seconds_per_call(lambda w=weight, c=cotangent, s=signal: w.baddbmm_(c, s.mT, alpha=-RATE))
        if layer:
            total += seconds_per_call(lambda w=weight, c=cotangent: torch.bmm(w.mT, c))
    return total / members


def main() -> None:
    """Print one line per size."""
    torch.set_num_threads(1)
    print("training, tanh, float32, one thread; times in us per member and step, ratios to ours")
    print(f"{'widths':>22} {'samples':>8} {'chunk':>6} {'ours':>8} {'vmap':>6} {'loop':>6} {'bound by bmm':>13}")
    for widths, samples in SIZES:
        task, network = random_task(widths, samples), Network("tanh", widths, 0.0, 1.0, lambda_b=1.0)
        members = members_per_chunk(network, samples)
        time_ours = ours(network, task)
        peers = (vmap_grad(widths, task, members), module_loop(widths, task), products(widths, samples, members))
        vmap, loop, bound = (peer / time_ours for peer in peers)
        label = "-".join(map(str, widths))
        print(
            f"{label:>22} {samples:8} {members:6} {1e6 * time_ours:8.1f} {vmap:6.2f} {loop:6.2f} {bound:13.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
