"""All benchmarks, one after the other, one thread each: python tests/benchmarks/run.py [--quick]. Called by `make bench`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
QUICK = ("bench_sampling.py", "bench_posterior.py", "bench_theory.py")  # these know --quick
BENCHMARKS = ("bench_sampling.py", "bench_posterior.py", "bench_training.py", "bench_theory.py", "planning.py")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def main() -> int:
    """Run all, print each table under its title; the number of benchmarks that failed."""
    quick, failed = "--quick" in sys.argv, 0
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in BENCHMARKS:
        print(f"\n== {name} ==", flush=True)
        options = ["--quick"] if quick and name in QUICK else []
        failed += bool(
            subprocess.run([sys.executable, HERE / name, *options], env={**os.environ, **ONE_THREAD}).returncode
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
