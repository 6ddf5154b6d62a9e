"""One case of neural-tangents, in its own environment: python peer_neural_tangents.py ACTIVATION INPUTS FEATURES DEPTH.

Prints CPU seconds of a warm call and the peak memory in bytes. Called by bench_theory.py.
"""

import os
import resource
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
from neural_tangents import stax

QUADRATURE = 16  # Gauss-Hermite nodes for tanh, which has no closed form: accurate to about 1e-4
NONLINEARITIES = {
    "relu": lambda: stax.Relu(),
    "erf": lambda: stax.Erf(),
    "gelu": lambda: stax.Gelu(),
    "tanh": lambda: stax.ElementwiseNumerical(jnp.tanh, deg=QUADRATURE),
}


def kernel_function(activation, depth):
    hidden = [layer for _ in range(depth - 1) for layer in (stax.Dense(1, W_std=1.2), NONLINEARITIES[activation]())]
    return jax.jit(stax.serial(*hidden, stax.Dense(1, W_std=1.2))[2], static_argnames="get")


def main():
    activation, (count, features, depth) = sys.argv[1], map(int, sys.argv[2:])
    x = np.random.default_rng(0).normal(size=(count, features)).astype(np.float32)
    kernel = kernel_function(activation, depth)
    for _ in range(2):  # the first call compiles
        start = time.process_time()
        jax.block_until_ready(tuple(kernel(x, get=("nngp", "ntk"))))
        seconds = time.process_time() - start
    print(seconds, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
