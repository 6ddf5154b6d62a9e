"""Wrong configurations, generated: each ends in one line for each mistake, at once; what passes can be planned.

Every entry of a whole configuration is replaced by every value of a list of strange ones, every mapping gets keys that it has
not and loses those that it needs, and files are damaged as files are. Which strange values are meant well is written down, so
that nothing is accepted in silence.
"""

from __future__ import annotations

import copy
import datetime
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rgflow.errors import RgflowError
from rgflow.settings.plain import read_yaml
from rgflow.study.plan import Study

WHOLE: dict[str, Any] = {
    "study": "whole",
    "inputs": {
        "source": "gaussian",
        "classes": [0, 1],
        "train": 6,
        "test": 4,
        "probes": 2,
        "features": 4,
        "normalization": "sphere",
        "seed": 1,
    },
    "networks": {
        "activation": ["tanh", {"name": "leaky_relu", "parameters": {"slope": 0.2}}],
        "initialization": ["critical", {"C_b": 0.1, "C_W": 1.5}],
        "depth": [4],
        "width": [8, 16],
        "learning_rates": {"lambda_b": 0.0, "lambda_W": 1.0},
        "residual": None,
    },
    "infinite_width": {"precision": "float64"},
    "ensemble": {
        "depth": [3],
        "members": 4000,
        "block": 2000,
        "tensors": ["K", "V", "Theta"],
        "sampler": "marginal",
        "dtype": "float32",
        "kept": 10,
        "seed": 1,
    },
    "dntk": None,
    "training": {
        "depth": [2],
        "members": 8,
        "block": 4,
        "group": 2,
        "keep": 8,
        "antithetic": False,
        "control_variates": False,
        "loss": "mse",
        "optimizer": "gd",
        "momentum": 0.0,
        "batch_size": None,
        "step_fraction": 0.5,
        "steps": 20,
        "records": 4,
        "ntk_steps": "none",
        "ntk_samples": None,
        "kernel_steps": "none",
        "dtype": "float32",
        "seed": 1,
    },
}
STRANGE: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, True, False, -1, 0, -0.0, 2.5, 10**30, 1e300, 1e-300,
    "", "nan", "1", "x" * 3000, "x" * 10_000, "a\0b", "a\nb", "é\u202e", "../x", "~", "K", b"bytes",
    {}, {"a": {"b": 1}}, {1: 2}, {"a\0": 1}, [], [[]], [None], [True], ["K", "K"], [1, 1], {1, 2}, 3j, None,
    datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1),
)  # fmt: skip
WHOLE_NUMBER, NUMBER = (0, -0.0, "1"), (0, -0.0, 2.5, 1e-300, "1")
SWITCH = (True, False, *WHOLE_NUMBER)
# the strange values that mean something: 0 and 1 written otherwise, a section or list left to its defaults
MEANT: dict[str, tuple[Any, ...]] = {
    "study": ("nan", "1", "K"),
    "inputs": ({},),
    "inputs.classes.0": (0, -0.0),
    "inputs.classes.1": ("1",),
    **dict.fromkeys(("inputs.train", "inputs.test", "inputs.probes", "inputs.features"), ("1",)),
    **dict.fromkeys(("inputs.seed", "ensemble.kept", "ensemble.seed", "training.seed"), WHOLE_NUMBER),
    "networks": ({},),
    "networks.activation.1.parameters": ({},),
    "networks.activation.1.parameters.slope": (-1, *NUMBER),
    "networks.initialization.1.C_b": NUMBER,
    "networks.initialization.1.C_W": (2.5, "1"),
    "networks.learning_rates": ({},),
    "networks.learning_rates.lambda_b": NUMBER,
    "networks.learning_rates.lambda_W": (2.5, 1e-300, "1"),
    "networks.residual": (None,),
    "infinite_width": ({},),
    "ensemble": ({}, None),
    **dict.fromkeys(("ensemble.depth", "training.depth", "training.block", "dntk"), (None,)),
    "ensemble.tensors.0": ("K",),
    "training": ({}, None),
    "training.group": ("1",),
    **dict.fromkeys(("training.antithetic", "training.control_variates"), SWITCH),
    "training.momentum": (0, -0.0, 1e-300),
    "training.batch_size": ("1", None),
    "training.step_fraction": (1e-300,),
    "training.steps": ("1",),
    **dict.fromkeys(("training.ntk_steps", "training.kernel_steps"), ([],)),
    "training.ntk_samples": (None, []),
}
_FOREIGN = re.compile(r"Error\b|object at|pydantic|<class|Traceback|NoneType|dictionary|instance of|\[constrained")


def plan(raw: dict[str, Any]) -> Study:
    """A study with all that the workflow asks of it before it runs a job."""
    study = Study(raw)
    for stage in study.stages:
        for labels in study.cells(stage.name):
            study.spec(stage.name, labels)
            study.path(stage.name, labels, ".zarr")
    assert study.drawings is not None
    assert study.index.all
    assert Study(yaml.safe_load(study.yaml())).yaml() == study.yaml()
    return study


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a configuration something stands."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from places(child, (*at, key))


def changed(raw: dict[str, Any], at: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy with another value at a place."""
    result = copy.deepcopy(raw)
    inner: Any = result
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return result


def refusal(raw: dict[str, Any]) -> str | None:
    """What is said of a configuration, in lines a user can read and within a second; None if it can be planned."""
    began = time.process_time()
    said = _said_of(raw)
    assert time.process_time() - began < 2.0, "the answer takes long"
    if said is not None:
        lines = said.splitlines()
        assert 0 < len(lines) == len(set(lines))
        assert all(len(line) < 500 for line in lines), said
        assert not _FOREIGN.search(said), said
    return said


def _said_of(raw: dict[str, Any]) -> str | None:
    try:
        plan(raw)
    except RgflowError as error:
        return str(error)
    return None


def is_among(value: Any, values: tuple[Any, ...]) -> bool:
    return any(type(value) is type(one) and repr(value) == repr(one) for one in values)


def name(at: tuple[Any, ...]) -> str:
    return ".".join(map(str, at))


def test_the_whole_configuration_is_valid() -> None:
    assert refusal(WHOLE) is None
    assert len(list(places(WHOLE))) * len(STRANGE) > 2000


@pytest.mark.parametrize("at", list(places(WHOLE)), ids=name)
def test_a_strange_value_is_refused_in_one_line_where_it_means_nothing(at: tuple[Any, ...]) -> None:
    accepted = [value for value in STRANGE if refusal(changed(WHOLE, at, value)) is None]
    assert list(map(repr, accepted)) == [repr(v) for v in STRANGE if is_among(v, MEANT.get(name(at), ()))]


def test_two_mistakes_are_two_lines() -> None:
    raw = changed(changed(WHOLE, ("inputs", "train"), -1), ("training", "loss"), "hinge")
    first, second = str(refusal(raw)).splitlines()
    assert first.startswith("config: inputs.train = -1:")
    assert second.startswith("config: training.loss = 'hinge':")


@pytest.mark.parametrize("key", ["", "sed", "seeds", "Study", "members ", "é", "x" * 200, "a.b", "0"])
def test_a_key_that_nothing_has_is_refused_everywhere(key: str) -> None:
    for at in [(), *places(WHOLE)]:
        inner: Any = WHOLE
        for step in at:
            inner = inner[step]
        if isinstance(inner, dict):
            assert "unknown" in str(refusal(changed(WHOLE, (*at, key), 1))), at


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("inputs", "classes"), [0, 7], "class 7 has 0 samples in gaussian"),
        (("inputs",), {"classes": [0, 11]}, "class 11 has 0 samples in digits"),
        (("inputs",), {"train": 3000}, "samples in digits"),
        (("inputs",), {"source": "npz"}, "path goes with source idx or npz"),
        (("networks", "initialization"), ["critical", "critical"], "listed twice"),
        (("networks", "activation"), ["relu", "ReLU"], "are one activation"),
        (("networks", "activation"), ["sigmoid"], "no critical point"),
        (("networks", "residual"), {"xi_2": 1.5}, "not critical for any C_W"),
        (("networks",), {"activation": "elu", "residual": {"xi_2": 0.5}}, "networks.residual"),
        (("networks",), {"residual": {"xi_2": 0.5}, "learning_rates": "equivalence"}, "known of plain networks"),
        (("networks",), {"activation": "cos", "learning_rates": "equivalence"}, "no critical point"),
        (("networks", "learning_rates"), {"lambda_W": 0.0}, "nothing would be learned"),
        (("ensemble", "members"), 2000, "three groups"),
        (("ensemble", "members"), 10**12, "at most 10000 blocks"),
        (("training", "members"), 10**12, "at most 10000 blocks"),
        (("ensemble", "depth"), [3, 3], "listed twice"),
        (("ensemble", "tensors"), ["K", "T3"], "'T3' vanishes in a plain network"),
        (("ensemble", "tensors"), ["K", "K"], "listed twice"),
        (("training", "members"), 4, "errors need at least"),
        (("training", "steps"), [5, 3], "increase strictly"),
        (("training", "ntk_samples"), [1, 1], "ntk_samples = [1, 1]; each may be listed once"),
        (("training", "ntk_samples"), [3, 10], "training.ntk_samples = [3, 10]; they must lie within 0 and 9"),
        (("training", "kernel_steps"), [2, 1, 2], "kernel_steps = [2, 1, 2]; each may be listed once"),
        (("training", "batch_size"), 7, "training.batch_size = 7; there are 6 train samples"),
        (("training",), {"train": [4, 6], "batch_size": 5}, "training.batch_size = 5; there are 4 train samples"),
        (("dntk",), {}, "needs a smooth activation"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_job(at: tuple[Any, ...], value: Any, message: str) -> None:
    assert message in str(refusal(changed(WHOLE, at, value)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a mapping"),
        (b"study", "must be a mapping"),
        (b"- study: x", "must be a mapping"),
        (b"study: [", "not YAML"),
        (b"study: x\nstudy: y", "given twice"),
        (b"inputs: {seed: 1, seed: 2}", "given twice"),
        (b"a: &a [*a]", "nested"),
        (b"study: !!python/object/apply:os.system [true]", "not YAML"),
        (b"study: *nowhere", "not YAML"),
        (b"\tstudy: x", "not YAML"),
        (b"\x00\x01\x02", "not YAML"),
        (b"\x80\x81\xfe", "not UTF-8"),
        ("study: caf\xe9".encode("latin-1"), "not UTF-8"),
        ("study: x".encode("utf-16"), "not UTF-8"),
        (b"study: x\x00y", "not YAML"),
        (b"a: " + b"[" * 3000, "nested too deeply"),
        (b"a: " + b"{a: " * 15 + b"[[[[[[[1]]]]]]]" + b"}" * 15, "nested more than"),
        (b"study: " + b"x" * 2_000_000, "larger than"),
        (b"study: 0x" + b"f" * 100, "integer below"),
        (b"study: !!binary aGVsbG8=", "a text"),
        (b"study: 2020-01-01", "a text"),
        (b"inputs: {classes: !!set {0, 1}}", "a list"),
        (b"? [1, 2]\n: 3", "not YAML"),
        (b"1: 2", "must be a name"),
    ],
)  # fmt: skip
def test_files_that_are_no_configuration_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(RgflowError, match=re.escape(message)) as caught:
        Study(read_yaml(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", range(0, 600, 20))
def test_a_configuration_cut_short_is_refused_or_whole(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(yaml.safe_dump(WHOLE).encode()[: -cut or None])
    try:
        raw = read_yaml(file)
    except RgflowError as error:
        raw = {"study": str(error)}  # refused: what is said of it is one line
    refusal(raw)


@pytest.mark.parametrize("path", ["", ".", "/", "missing.npz", "missing\0.npz", "~/x.npz", "x" * 300, "config.yaml"])
@pytest.mark.parametrize("source", ["npz", "idx"])
def test_paths_that_lead_to_no_data_are_one_line(source: str, path: str) -> None:
    assert "\n" not in str(refusal({"study": "x", "inputs": {"source": source, "path": path}}))


def test_labels_of_a_file_are_known_before_any_job(tmp_path: Path) -> None:
    file = tmp_path / "some.npz"
    np.savez(file, x=np.zeros((20, 3)), y=np.arange(20) % 2)
    inputs = {"source": "npz", "path": str(file), "train": 8, "test": 8}
    assert refusal({"study": "x", "inputs": inputs}) is None
    assert "class 2 has 0 samples" in str(refusal({"study": "x", "inputs": inputs | {"classes": [0, 2]}}))
    assert "10 samples" in str(refusal({"study": "x", "inputs": inputs | {"train": 20}}))
    file.write_bytes(file.read_bytes()[:-40])
    assert "not a readable .npz file" in str(refusal({"study": "x", "inputs": inputs}))
