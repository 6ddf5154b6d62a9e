"""Sampled networks of neural-tangents, in its own environment.

    python peer_neural_tangents_sampling.py WIDTH INPUTS DEPTH FEATURES

Prints networks per CPU second of a warm `monte_carlo_kernel_fn` that gives NNGP and NTK of ReLU networks, and the number of
networks. Called by bench_sampling.py.
"""

import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import neural_tangents as nt
import numpy as np
from neural_tangents import stax

NETWORKS = 64


def main():
    width, count, depth, features = map(int, sys.argv[1:])
    hidden = [layer for _ in range(depth - 1) for layer in (stax.Dense(width, W_std=2**0.5), stax.Relu())]
    init, apply, _ = stax.serial(*hidden, stax.Dense(1, W_std=2**0.5))
    kernel = nt.monte_carlo_kernel_fn(init, apply, jax.random.PRNGKey(0), NETWORKS)
    x = np.random.default_rng(0).normal(size=(count, features)).astype(np.float32)
    for _ in range(2):  # the first call compiles
        start = time.process_time()
        jax.block_until_ready(tuple(kernel(x, None, ("nngp", "ntk"))))
        seconds = time.process_time() - start
    print(NETWORKS / seconds, NETWORKS)


if __name__ == "__main__":
    main()
