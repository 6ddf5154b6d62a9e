"""K and Theta at infinite width in arithmetic of 60 digits, from the textbook formulas: nothing cancels there."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np

from rgflow.network import Network

DIGITS = 60


def scale_invariant(slopes: tuple[float, float], x: Any, y: Any, c: Any) -> tuple[Any, Any]:
    mean, jump = (mp.mpf(slopes[1]) + slopes[0]) / 2, (mp.mpf(slopes[1]) - slopes[0]) / 2
    if not (x and y):
        at = [mp.mpf(slopes[0]) if not v else mean for v in (x, y)]  # sigma'(0), and the mean of sigma'
        return mp.mpf(0), at[0] * at[1]
    rho = max(min(c / mp.sqrt(x * y), mp.mpf(1)), mp.mpf(-1))
    ss = mean**2 * c + jump**2 * 2 / mp.pi * mp.sqrt(x * y) * (mp.sqrt(1 - rho**2) + rho * mp.asin(rho))
    return ss, mean**2 + jump**2 * 2 / mp.pi * mp.asin(rho)


def erf(x: Any, y: Any, c: Any) -> tuple[Any, Any]:
    norm = (1 + 2 * x) * (1 + 2 * y)
    return 2 / mp.pi * mp.asin(2 * c / mp.sqrt(norm)), 4 / mp.pi / mp.sqrt(norm - 4 * c**2)


def gelu(x: Any, y: Any, c: Any) -> tuple[Any, Any]:
    D = (1 + x) * (1 + y) - c**2
    q = 1 / (2 * mp.pi * mp.sqrt(D))
    A = mp.mpf(1) / 4 + mp.asin(c / mp.sqrt((1 + x) * (1 + y))) / (2 * mp.pi)
    inverse = 1 / (1 + x) + 1 / (1 + y)
    return c * A + q * (x * y + c**2 * (inverse - 1)), A + c * q * (inverse + 1 / D)


def sin(x: Any, y: Any, c: Any) -> tuple[Any, Any]:
    scale = mp.exp(-(x + y) / 2)
    return scale * mp.sinh(c), scale * mp.cosh(c)


def cos(x: Any, y: Any, c: Any) -> tuple[Any, Any]:
    return sin(x, y, c)[::-1]


FORMS = {"erf": erf, "gelu": gelu, "sin": sin, "cos": cos}


def exact_kernels(network: Network, x: Any) -> tuple[Any, Any]:
    """(N, N) object arrays K, Theta of the last layer for inputs taken to be exact."""
    slopes = network.activation.slopes
    form = FORMS[network.activation.name] if slopes is None else lambda *K: scale_invariant(slopes, *K)
    with mp.workdps(DIGITS):
        exact = np.vectorize(mp.mpf, otypes=[object])(np.asarray(x, dtype=np.float64))
        gram = exact @ exact.T / x.shape[1]
        K, Theta = network.C_b[0] + network.C_W[0] * gram, network.lambda_b[0] + network.lambda_W[0] * gram
        for layer in range(2, network.depth + 1):
            C_b, C_W, lambda_b, lambda_W = map(mp.mpf, network.hyperparameters(layer))
            skip = mp.mpf(network.xi_2) ** 2
            variance = K.diagonal()
            ss, dd = np.vectorize(form, otypes=[object, object])(variance[:, None], variance, K)
            K, Theta = C_b + C_W * ss + skip * K, lambda_b + lambda_W * ss + (C_W * dd + skip) * Theta
    return K, Theta


def relative_error(found: Any, exact: Any) -> float:
    """Largest error of a kernel in units of the root of the product of its diagonals."""
    with mp.workdps(DIGITS):
        root = [mp.sqrt(value) for value in exact.diagonal()]
        pairs = np.ndindex(exact.shape)
        return float(max(abs(mp.mpf(float(found[a, b])) - exact[a, b]) / (root[a] * root[b] or 1) for a, b in pairs))
