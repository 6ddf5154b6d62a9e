"""A new tensor is its record, its recursion and its estimator; a new data set and a new activation are a file each.

Everything else, from what a study may ask for to what is stored, compared, drawn and described, follows.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import rgflow

from .conftest import Project

pytestmark = pytest.mark.xdist_group("workflow")

# the connected correlator of one neuron, V_(12)(34) + V_(13)(24) + V_(14)(23)
RECORD = """    Tensor(
        "W",
        "W",
        4,
        "connected four-point correlator of one neuron",
        "E[z_i1 z_i2 z_i3 z_i4] - Gaussian = W_1234/n_{l-1}",
        symmetries=((1, 0, 2, 3), (1, 2, 3, 0)),
    ),
    Tensor(
        "V6","""
RECURSION = '''

def over_pairings(V: Array) -> Array:
    """The sum over the three pairings of the slots."""
    return V + V.swapaxes(-3, -2) + V.swapaxes(-3, -1)


def next_W(step: Step, V: Array) -> Array:
    """The sum over pairings of the next vertex."""
    return over_pairings(next_vertex(step, V))
'''
ESTIMATOR = """def _one_neuron(fans: Fans, G: Array, GG: Array) -> Array:
    V = _vertex(fans, G, GG)
    return V + V.swapaxes(-3, -2) + V.swapaxes(-3, -1)


_K = Estimator("""
SOURCE = '''"""Points on a line."""

import numpy as np

from rgflow.data.source import Source


def _draw(selection):
    x = np.linspace(-1.0, 1.0, selection.count)
    return np.stack([x, np.ones_like(x)], axis=1), (x > 0).astype(int)


SOURCE = Source("points on a line", _draw, labels=(0, 1))
'''
ACTIVATION = "import torch\n\n\ndef softer(z):\n    return torch.tanh(z / 2)\n"


def edit(file: Path, *replacements: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in replacements:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text)


def add(project: Project) -> None:
    package = project.folder / "src/rgflow"
    edit(package / "tensors.py", ('    Tensor(\n        "V6",', RECORD))
    theory = package / "theory/initialization"
    vertex = theory / "vertex.py"
    vertex.write_text(vertex.read_text() + RECURSION)
    edit(
        theory / "tensors.py",
        ("    V=next_vertex,\n", "    V=next_vertex,\n    W=next_W,\n"),
        ("import next_vertex\n", "import next_vertex, next_W\n"),
    )
    entry = '        "V": Estimator(("mean_G", "mean_GG"), _vertex),\n'
    edit(
        package / "sampling/estimators.py",
        ("_K = Estimator(", ESTIMATOR),
        (entry, f'{entry}        "W": Estimator(("mean_G", "mean_GG"), _one_neuron),\n'),
    )
    (package / "data/sources/line.py").write_text(SOURCE)
    (project.folder / "softer.py").write_text(ACTIVATION)


def test_what_is_new_runs_to_the_report(fresh: Project) -> None:
    before = {path: path.read_bytes() for path in (fresh.folder / "src").rglob("*.py")}
    add(fresh)
    changed = [path.name for path in before if path.read_bytes() != before[path]]
    assert sorted(changed) == ["estimators.py", "tensors.py", "tensors.py", "vertex.py"]
    config = {
        "study": "tiny",
        "inputs": {"source": "line", "train": 6, "test": 4, "probes": 2},
        "networks": {"activation": "softer.py:softer", "width": [8, 16]},
        "ensemble": {"depth": [3], "members": 5_000, "block": 5_000, "tensors": ["K", "V", "W"]},
        "training": None,
    }
    (fresh.folder / "config.yaml").write_text(yaml.safe_dump(config))
    result = fresh.snakemake()
    assert result.returncode == 0, result.stdout + result.stderr
    found = rgflow.open_results(fresh.results)
    W, V = (found["theory/initialization"][name].squeeze() for name in ("W", "V"))
    np.testing.assert_allclose(W.sel(sample_1=0, sample_2=0, sample_3=0, sample_4=0), 3 * V[..., 0, 0, 0, 0])
    compared = found["comparison/initialization"].to_dataset().squeeze()
    assert 0.0 < float(compared["z_intercept_max"].sel(quantity="W")) < 4.5
    assert int(compared["components"].sel(quantity="W")) == 10  # five of two inputs in each of layers 2 and 3
    table = fresh.call([sys.executable, "-m", "rgflow", "summary", str(fresh.results)]).stdout
    assert re.search(r"^\S+ initialization +W +layer", table, flags=re.MULTILINE), table
    assert found["ensemble"]["W"].attrs["long_name"] == "connected four-point correlator of one neuron"
