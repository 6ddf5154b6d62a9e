"""The house: one name per thing, imports that run one way, and what is new in one file."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import rgflow

ROOT = Path(rgflow.__file__).parent
MODULES = {".".join(file.relative_to(ROOT.parent).with_suffix("").parts): file for file in ROOT.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): file for name, file in MODULES.items()}
PROTOCOL = {"run", "draw", "require"}  # what a stage, a figure and a chapter have under one name
TWINS = {"rgflow.sampling.compiled"}  # in numba what others have in torch, under the same name on purpose


def test_a_class_or_function_has_its_name_for_itself() -> None:
    homes = defaultdict(list)
    aliases = defaultdict(list)
    for module, file in MODULES.items():
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and module not in TWINS:
                homes[node.name].append(module)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        aliases[target.id].append(module)
    public = {name: modules for name, modules in homes.items() if not name.startswith("_") and name not in PROTOCOL}
    double = {name: modules + aliases[name] for name, modules in public.items() if len(modules + aliases[name]) > 1}
    assert not double


def test_imports_run_one_way() -> None:
    """Those of annotations and those inside functions too."""
    needs = {module: set(_imports(file)) - {module} for module, file in MODULES.items() if module != "rgflow"}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle of imports: {error.args[1]}") from None


BY_NAME = {  # these may load modules by name; the digest of a stage's code does not follow them
    "rgflow": "public names, on first use",
    "rgflow.activations.user": "a file of the user, which has a digest of its own",
    "rgflow.activations.arrays": "numpy, scipy or torch, by the kind of an array",
    "rgflow.practice.files": "a file of the user, for a command that stores nothing",
    "rgflow.data.sources": "every data set of its folder; all of them count, since it imports pkgutil",
    "rgflow.study.catalogue": "every chapter",
    "rgflow.study.draw": "the function that draws a figure",
    "rgflow.study.stage": "the function that a stage runs, whose own code is digested",
}


def test_only_these_load_modules_by_name() -> None:
    """Code digests read import statements: a module loaded otherwise could change a result that is not made again."""
    loads = ("import_module", "__import__", "exec_module", "spec_from_file_location")
    found = {module for module, file in MODULES.items() if any(word in file.read_text() for word in loads)}
    assert found == set(BY_NAME)


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            full = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            yield from (
                path if path in MODULES else str(node.module) for path in full.values() if node.module in MODULES
            )


COINS = '''"""Coins: one feature, the label whether it is positive."""

import numpy as np

from rgflow.data.source import Source


def _toss(selection):
    x = np.linspace(-1.0, 1.0, selection.count)[:, None]
    return x, (x[:, 0] > 0).astype(int)


SOURCE = Source("tossed coins", _toss, labels=(0, 1))
'''
STUDY = """
import json
from rgflow.study.catalogue import find_stage
from rgflow.study.config import schema_text
from rgflow.study.plan import Study
from rgflow.study.stage import Resources
study = Study({"study": "toy", "inputs": {"source": "coins", "train": 4, "test": 2, "normalization": "none"}})
inputs = find_stage("inputs").load()({}, json.loads(study.spec("inputs", {})), Resources())
choice = json.loads(schema_text())["$defs"]["DataChoice"]["properties"]["source"]
print(json.dumps([inputs["x"].shape, "coins" in choice["enum"], choice["description"], find_stage("inputs").code]))
"""


def test_a_data_set_is_one_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "rgflow", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "rgflow" / "data" / "sources" / "coins.py"
    digests = []
    for text in (COINS, COINS.replace("-1.0, 1.0", "-2.0, 2.0")):
        file.write_text(text)
        made = subprocess.run(
            [sys.executable, "-c", STUDY],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        shape, known, description, code = json.loads(made.stdout)
        assert (shape, known) == ([6, 1], True)
        assert "coins: tossed coins" in description
        digests.append(code)
    assert digests[0] != digests[1]  # an edit of the file runs the stage again
