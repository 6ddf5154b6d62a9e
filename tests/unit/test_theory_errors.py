"""What is asked wrongly ends in one line that says what, where and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rgflow.activations.registered import names
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.criticality.critical import critical
from rgflow.theory.infinite_width.kernels import infinite_width_theory
from rgflow.theory.initialization.tensors import initialization_theory

X = np.random.default_rng(0).normal(size=(2, 4))
WIDTHS = (4, 8, 8, 8)


def theory(activation: str = "tanh", x: object = X, C_W: float = 1.3, **options: object) -> object:
    return initialization_theory(Network(activation, WIDTHS, 0.1, C_W), x, **options)  # type: ignore[arg-type]


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "nan input": (lambda: theory(x=[[1.0, 2.0, np.nan, 0.0]]), r"inputs\[0, 2\] = nan; it must be finite"),
    "infinite input": (lambda: theory(x=[[1.0, 2.0, 0.0, np.inf]]), r"inputs\[0, 3\] = inf"),
    "text as input": (lambda: theory(x=[["a", "b", "c", "d"]]), "inputs: strings where real numbers are needed"),
    "too few features": (lambda: theory(x=X[:, :3]), r"shape \(2, 3\); \(sample, feature\) with 4 features"),
    "no inputs": (lambda: theory(x=X[:0]), r"shape \(0, 4\)"),
    "zero width": (lambda: Network("tanh", (4, 0, 8), 0.0, 1.0), r"widths = \(4, 0, 8\).* all positive"),
    "no layers": (lambda: Network("tanh", (4,), 0.0, 1.0), r"at least \(n_0, n_1\) is needed"),
    "fractional width": (
        lambda: Network("tanh", (4, 8.5), 0.0, 1.0),
        r"widths = \(4, 8.5\); it must be a sequence of integers",
    ),  # type: ignore[arg-type]
    "negative C_W": (lambda: theory(C_W=-1.0), "C_W at layer 1 is -1.0; it must not be negative"),
    "zero C_W": (lambda: theory(C_W=0.0), "C_W at layer 1 is 0; it must be positive"),
    "nan C_b": (
        lambda: Network("tanh", WIDTHS, np.nan, 1.0),
        "C_b = nan; it must be a finite number or a sequence of finite numbers",
    ),
    "one C_b too few": (lambda: Network("tanh", WIDTHS, [0.1, 0.1], 1.0), "C_b has 2 values for 3 layers"),
    "near miss": (lambda: theory("tahn"), "unknown activation 'tahn' .did you mean 'tanh'"),
    "near miss, critical": (lambda: critical("swich"), "unknown activation 'swich' .did you mean 'swish'"),
    "no such file": (lambda: theory("file.py:f"), "no file 'file.py'"),
    "unknown tensor": (lambda: theory(tensors=("K", "Kappa")), "allowed are K, G1, V"),
    "unreachable accuracy": (lambda: theory(rtol=1e-30), r"tanh at max K .* exceeds rtol = 1.0e-30"),
    "no convergence, broad": (lambda: theory(C_W=1e8), "layer 2: .* need more than 4000 nodes; choose C_b and C_W"),
    "no convergence, many inputs": (
        lambda: infinite_width_theory(Network("tanh", WIDTHS, 0.0, 1e6), X),
        "pair averages of tanh at K = .* need more than 1200 powers",
    ),
    "precision": (
        lambda: infinite_width_theory(Network("tanh", WIDTHS, 0.0, 1.0), X, "float16"),  # type: ignore[arg-type]
        "precision = 'float16'; allowed: float32, float64",
    ),
    "overflow": (lambda: theory("monomial", C_W=1e200), "layer 2: Gaussian means of monomial"),
    "jump": (lambda: theory("perceptron"), r"perceptron does not exist: sigma jumps"),
    "dependent inputs": (lambda: theory("elu", np.outer([1.0, 2.0], X[0]), C_W=1e-9), "nearly dependent inputs"),
}


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_one_clear_line(mistake: str) -> None:
    make, message = MISTAKES[mistake]
    with pytest.raises(RgflowError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("C_b", [0.0, 0.3])
@pytest.mark.parametrize("name", [name for name in names() if name != "perceptron"])
def test_every_activation_has_a_theory_with_its_error(name: str, C_b: float) -> None:
    result = initialization_theory(Network(name, WIDTHS, C_b, 1.3, 0.2), X)
    assert all(np.isfinite(array).all() for array in result.data_vars.values())
    assert float(result["quadrature_error"].max()) <= 1e-10


def test_kernel_and_vertex_exist_for_an_activation_that_jumps() -> None:
    """theta(z): <theta_1 theta_2> by the arcsine law, <theta^4> - <theta^2>^2 = 1/4."""
    result = initialization_theory(Network("perceptron", (4, 8, 8), 0.1, 1.3), X, tensors=("K", "V", "G1"))
    K = result["K"][0].to_numpy()
    overlap = 0.25 + np.arcsin(K[0, 1] / np.sqrt(K[0, 0] * K[1, 1])) / (2 * np.pi)
    assert float(result["K"][1, 0, 1]) == pytest.approx(0.1 + 1.3 * overlap, rel=1e-10)
    assert float(result["V"][1, 0, 0, 0, 0]) == pytest.approx(1.3**2 / 4, rel=1e-10)
