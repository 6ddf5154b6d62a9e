"""Seconds and errors of posteriors at finite width, on digits 0 and 1; the effective sample size beside its prediction.

    python tests/benchmarks/bench_posterior.py [--quick]

One thread; times are CPU times of this process for the pilot and all islands. ``bound`` is the error of the log evidence to be
met in the seconds beside it. ``worst`` is the largest error of a mean test output in units of its posterior standard
deviation. Then plain reweighting: what fraction of prior draws counts, measured and as exp(-c/n) predicts it.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np
import xarray as xr

from rgflow.data.select import select_inputs
from rgflow.data.source import Selection
from rgflow.network import Network
from rgflow.posterior.blocks import sample_posterior
from rgflow.theory.learning.bayes import bayes_theory

CRITICAL = {"relu": (0.0, 2.0), "tanh": (0.0, 1.0), "gelu": (0.172922, 1.9830583)}
NOISE = 0.1


class Cell(NamedTuple):
    """One row of the table: hidden layers of width n, train images, islands and particles; error and seconds to meet."""

    activation: str
    depth: int
    n: int
    images: int
    noise: float
    islands: int
    particles: int
    bound: float = np.inf
    seconds: float = np.inf


TABLE = [
    Cell("tanh", 3, 64, 24, 0.1, 8, 128, 0.06, 2.0),
    Cell("relu", 3, 128, 100, 0.1, 16, 32, 0.12, 10.0),
    Cell("relu", 3, 16, 24, 0.1, 8, 128, 0.08, 2.3),
    Cell("relu", 3, 64, 24, 0.1, 8, 128, 0.030, 1.3),
    Cell("relu", 3, 256, 24, 0.1, 8, 128, 0.014, 1.1),
    Cell("tanh", 3, 16, 24, 0.1, 8, 128, 0.04, 1.1),
    Cell("gelu", 3, 64, 24, 0.1, 8, 128, 0.026, 1.6),
    Cell("tanh", 4, 64, 24, 0.1, 8, 128, 0.06, 3.3),
    Cell("tanh", 3, 64, 24, 0.01, 8, 128, 0.05, 5.0),
    Cell("relu", 3, 16, 24, 0.01, 8, 128, 0.07, 9.9),
    Cell("relu", 3, 16, 100, 0.1, 8, 32, 0.3, 31.0),
    Cell("tanh", 3, 64, 100, 0.1, 8, 32, 0.19, 7.4),
    Cell("gelu", 3, 512, 100, 0.1, 6, 16, 0.12, 1.0),
]


def digits(images: int, test: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train inputs and targets, and test inputs."""
    chosen = select_inputs(Selection("digits", [0, 1], images, test, 2, 64, "sphere", 0))
    x, y = chosen["x"].values, chosen["y"].values
    return x[:images], y[:images], x[images:]


def network(activation: str, depth: int, n: int) -> Network:
    return Network(activation, (64, *[n] * (depth - 1), 1), *CRITICAL[activation])


def sample(cell: Cell, dtype: str) -> tuple[xr.Dataset, float]:
    """A posterior and the CPU seconds it took."""
    start = time.process_time()
    posterior = sample_posterior(
        network(cell.activation, cell.depth, cell.n),
        *digits(cell.images),
        noise=cell.noise,
        islands=cell.islands,
        particles=cell.particles,
        seed=0,
        dtype=dtype,
    )
    return posterior, time.process_time() - start


def print_table(cells: list[Cell], dtype: str) -> None:
    print(
        f"{dtype}\nactivation  L    n images noise  R x P  stages | log evidence   error (bound)   CPU s (bound)  worst"
    )
    for cell in cells:
        posterior, seconds = sample(cell, dtype)
        variance = np.diagonal(posterior["posterior_covariance"][0, 0])
        test = posterior["role"].values == "test"
        worst = float((posterior["posterior_mean_stderr"].values[:, 0] / np.sqrt(variance))[test].max())
        print(
            f"{cell.activation:10s} {cell.depth:2d} {cell.n:4d} {cell.images:6d} {cell.noise:5g} "
            f"{cell.islands:3d}x{cell.particles:<4d} {posterior.sizes['stage']:4d}  | {float(posterior['log_evidence']):12.3f} "
            f"{float(posterior['log_evidence_stderr']):7.3f} ({cell.bound:5g}) {seconds:8.2f} ({cell.seconds:5g}) {worst:8.3f}",
            *posterior.attrs["warnings"],
        )


def print_fractions(widths: tuple[int, ...], images: int = 8) -> None:
    print(f"effective fraction of prior draws, {images} images, noise {NOISE}: measured (predicted)")
    for activation in CRITICAL:
        row = []
        for n in widths:
            net, data = network(activation, 3, n), digits(images)
            predicted = float(bayes_theory(net, *data, noise=NOISE)["effective_sample_fraction"])
            posterior = sample_posterior(net, *data, noise=NOISE, islands=16, particles=128, seed=0)
            measured, error = (float(posterior[f"effective_sample_fraction{end}"]) for end in ("", "_stderr"))
            row.append(f"n={n}: {measured:.3f}±{error:.3f} ({predicted:.3f})")
        print(f"{activation:6s}", "  ".join(row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the first rows only")
    quick = parser.parse_args().quick
    sample(TABLE[0]._replace(islands=2, particles=8), "float64")  # compilation and imports
    print_table(TABLE[: 2 if quick else None], "float64")
    print_table(TABLE[:2], "float32")
    if not quick:
        print_fractions((32, 64, 128, 256))


if __name__ == "__main__":
    main()
