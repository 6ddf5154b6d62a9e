"""Speed of the theory at initialization: infinite width against neural-tangents, and all tensors of order 1/n.

    python tests/benchmarks/bench_theory.py [--quick]

One thread; times are CPU seconds of one warm call, each case in a process of its own, which also gives its peak memory.
neural-tangents runs in its own environment, .venv-peer, which is made on first use; without it the ratios are left out.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rgflow.network import Network
from rgflow.streaming import stream_infinite_width
from rgflow.theory.criticality.critical import critical
from rgflow.theory.infinite_width.kernels import infinite_width_theory
from rgflow.theory.initialization.finite_width import finite_width_cost, finite_width_tensors
from rgflow.theory.initialization.tensors import initialization_theory

PROJECT = Path(__file__).parents[2]
PEER = PROJECT / ".venv-peer"
PEER_PACKAGES = (
    "neural-tangents==0.6.5",
    "jax==0.4.30",
    "jaxlib==0.4.30",
    "numpy<2",
    "scipy<1.13",
    "tf2jax==0.3.6",
)
FEATURES, DEPTH = 784, 16
TENSOR_DEPTH, RTOL = 32, 1e-8
LARGEST_PEER = {"tanh": 300}  # inputs; its quadrature is far slower than closed forms


def kernels_case(activation: str, count: int) -> None:
    """Print CPU seconds of K and Theta, and the peak memory of this process in bytes."""
    x = np.random.default_rng(0).normal(size=(count, FEATURES)).astype(np.float32)
    network = Network(activation, (FEATURES, *[1] * DEPTH), 0.0, 1.44)
    infinite_width_theory(network, x[:64], "float32")
    start = time.process_time()
    infinite_width_theory(network, x, "float32")
    print(time.process_time() - start, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def stream_case(precision: str, count: int) -> None:
    """Print CPU seconds of K and Theta written to a store, digest and check of positivity included, and the peak memory."""
    x = np.random.default_rng(0).normal(size=(count, FEATURES))
    network = Network("relu", (FEATURES, *[1] * DEPTH), 0.0, 2.0)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        stream_infinite_width(network, x, Path(folder) / "kernels.zarr", precision)
        print(time.process_time() - start, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def tensors_case(activation: str, count: int) -> None:
    """Print CPU seconds of all tensors, and their largest estimated error."""
    point, x = critical(activation), np.random.default_rng(0).normal(size=(count, 16))
    network = Network(activation, (16, *[8] * TENSOR_DEPTH), point.C_b, point.C_W)
    start = time.process_time()
    error = float(initialization_theory(network, x, rtol=RTOL)["quadrature_error"].max())
    print(time.process_time() - start, error)


def nodes_network(activation: str, depth: int) -> Network:
    point = critical(activation)
    return Network(activation, (16, *[8] * depth), point.C_b, point.C_W)


def nodes_case(activation: str, shape: str) -> None:
    """Print CPU seconds of all fifteen tensors on nodes, N x depth, and the largest rms error of one of its largest entry."""
    count, depth = map(int, shape.split("x"))
    network, x = nodes_network(activation, depth), np.random.default_rng(0).normal(size=(count, 16))
    finite_width_tensors(network, x[:8], nodes=128)
    start = time.process_time()
    tensors = finite_width_tensors(network, x)
    seconds = time.process_time() - start
    errors = {str(name) for name in tensors if str(name).endswith("_error")} - {"quadrature_error"}
    relative = [float((tensors[e] ** 2).mean() ** 0.5 / abs(tensors[e.removesuffix("_error")]).max()) for e in errors]
    print(seconds, max(relative))


def measured(*command: object) -> tuple[float, float]:
    """The two numbers that a process with one thread reports last."""
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    finished = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, env=environment)
    first, second = finished.stdout.split()[-2:]
    return float(first), float(second)


def peer_python() -> Path | None:
    """The interpreter of the environment of neural-tangents; None, and the reason printed, if it cannot be made."""
    python = PEER / "bin" / "python"
    if python.exists() and not subprocess.run([python, "-c", "import neural_tangents"], capture_output=True).returncode:
        return python
    print(f"making {PEER} for neural-tangents", flush=True)
    subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEER_PACKAGES]
    failed = subprocess.run(pip, capture_output=True, text=True)
    if failed.returncode:
        print(f"neural-tangents is left out: {failed.stderr.strip().splitlines()[-1]}")
        return None
    return python


def infinite_width(counts: tuple[int, ...]) -> None:
    python = peer_python()
    print(f"\nK and Theta of N inputs x {FEATURES}, depth {DEPTH}, float32; nt: neural-tangents")
    print("activation     N   ours [s]  ours [GiB]     nt [s]    nt [GiB]   nt/ours")
    for activation in ("relu", "erf", "gelu", "tanh"):
        for count in (300, *counts) if activation == "tanh" else counts:
            seconds, memory = measured(sys.executable, __file__, "--case", "kernels", activation, count)
            row = f"{activation:10} {count:5} {seconds:10.2f} {memory / 2**30:11.2f}"
            if python and count <= LARGEST_PEER.get(activation, count):
                script = Path(__file__).with_name("peer_neural_tangents.py")
                peer_seconds, peer_memory = measured(python, script, activation, count, FEATURES, DEPTH)
                row += f" {peer_seconds:10.2f} {peer_memory / 2**30:11.2f} {peer_seconds / seconds:9.2f}"
            print(row, flush=True)


def streamed(counts: tuple[int, ...]) -> None:
    print(
        f"\nK and Theta of N inputs x {FEATURES} streamed to a store, ReLU, depth {DEPTH}; both: two matrices of N x N"
    )
    print("precision      N   CPU [s]   peak [GiB]   both [GiB]")
    for count in counts:
        for precision in ("float32", "float64"):
            seconds, memory = measured(sys.executable, __file__, "--case", "stream", precision, count)
            both = 2 * count**2 * np.dtype(precision).itemsize
            print(f"{precision:10} {count:5} {seconds:9.1f} {memory / 2**30:12.2f} {both / 2**30:12.2f}", flush=True)


def all_tensors(counts: tuple[int, ...]) -> None:
    print(f"\nK, G1, V, Theta, Theta1, D, F, A, B of N inputs at depth {TENSOR_DEPTH}, rtol {RTOL:g}")
    print("activation     N   CPU [s]   growth   largest estimated error")
    for activation in ("relu", "tanh", "gelu"):
        before = None
        for count in counts:
            seconds, error = measured(sys.executable, __file__, "--case", "tensors", activation, count)
            growth = f"{seconds / before:8.1f}" if before else " " * 8
            print(f"{activation:10} {count:5} {seconds:9.2f} {growth}   {error:.1e}", flush=True)
            before = seconds


def many_on_nodes(shapes: tuple[str, ...]) -> None:
    print("\nall fifteen tensors of N inputs in the last layer, on nodes; planned: the estimate given before")
    print("activation     N x depth   CPU [s]   planned/CPU   largest rms error")
    for activation in ("tanh", "gelu"):
        for shape in shapes:
            count, depth = map(int, shape.split("x"))
            planned = finite_width_cost(nodes_network(activation, depth), count).seconds
            seconds, error = measured(sys.executable, __file__, "--case", "nodes", activation, shape)
            print(f"{activation:10} {shape:>13} {seconds:9.2f} {planned / seconds:13.2f}   {error:.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer inputs")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)  # one case, in a process of its own
    options = parser.parse_args()
    if options.case:
        kind, activation, size = options.case
        if kind == "nodes":
            nodes_case(activation, size)
        else:
            {"kernels": kernels_case, "stream": stream_case, "tensors": tensors_case}[kind](activation, int(size))
        return
    infinite_width((300,) if options.quick else (1000, 3000))
    streamed((1000,) if options.quick else (3000, 10000))
    all_tensors((2, 4) if options.quick else (2, 4, 8))
    many_on_nodes(("16x4",) if options.quick else ("24x4", "40x4", "32x8"))


if __name__ == "__main__":
    main()
