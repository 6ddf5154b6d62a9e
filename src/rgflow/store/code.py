"""Code digests: one digest per stage, over the syntax trees of all modules that the stage's module imports.

Comments, docstrings and layout do not enter, so only an edit that can change a result changes the digest. The closure is
followed without importing anything: ``import`` statements are read wherever they stand, inside functions too, but for those
of ``if TYPE_CHECKING``, whose ``else`` counts. Relative imports count; modules loaded by name do not, so only the few that
find chapters, data sets and public names may do that (``tests/unit/test_house.py``). A package's
``__init__`` counts as part of it, the lazy public names of ``rgflow`` itself do not. Where an ``__init__`` imports
``pkgutil``, the package finds its modules itself, and all of them count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from rgflow.errors import RgflowError

_PACKAGE = "rgflow"
_ROOT = Path(__file__).resolve().parent.parent


def code_digest(module: str) -> str:
    """Digest of the import closure of ``module`` (for example ``rgflow.chapters.inputs.stage``)."""
    content = hashlib.sha256()
    for name in sorted(import_closure(module)):
        content.update(f"{name}:{_syntax(name)}\n".encode())
    return content.hexdigest()[:16]


def import_closure(module: str) -> set[str]:
    """Names of the modules of the package that ``module`` needs, itself included.

    Raises
    ------
    RgflowError
        If there is no such module.
    """
    if _file(module) is None:
        raise RgflowError(f"no module {module!r} in the package")
    found: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(_imports(name))
    return found


@cache
def _syntax(module: str) -> str:
    tree = _parse(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _has_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


@cache
def _imports(module: str) -> frozenset[str]:
    """Modules of the package that ``module`` names in import statements, with the packages around them."""
    named = {name for node in _runtime_nodes(_parse(module)) for name in _imported_names(node, module)}
    existing = {name for name in named if _file(name) is not None}
    if _finds_modules(module):
        existing |= {f"{module}.{file.stem}" for file in _ROOT.joinpath(*module.split(".")[1:]).glob("[!_]*.py")}
    around = {".".join(name.split(".")[:depth]) for name in existing for depth in range(2, name.count(".") + 1)}
    return frozenset((existing | around) - {_PACKAGE})


def _finds_modules(module: str) -> bool:
    file = _file(module)
    imported = (alias.name for node in _parse(module).body if isinstance(node, ast.Import) for alias in node.names)
    return file is not None and file.name == "__init__.py" and "pkgutil" in imported


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree, leaving out what ``if TYPE_CHECKING`` guards: what only annotations need cannot change a result."""
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for statement in node.orelse:
            yield from _runtime_nodes(statement)
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _runtime_nodes(child)


def _imported_names(node: ast.AST, module: str) -> Iterator[str]:
    """Names in the package that an import statement of ``module`` may mean: modules, or what they define."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] == _PACKAGE)
    elif isinstance(node, ast.ImportFrom):
        home = _home(node, module)
        if home.split(".")[0] == _PACKAGE:
            yield home
            yield from (f"{home}.{alias.name}" for alias in node.names)


def _home(node: ast.ImportFrom, module: str) -> str:
    """The module that ``from ... import`` reads, relative ones resolved against the ``module`` it stands in."""
    if node.level == 0:
        return str(node.module)
    file = _file(module)
    up = node.level - (file is not None and file.name == "__init__.py")
    around = module.split(".")[: len(module.split(".")) - up]
    return ".".join([*around, node.module] if node.module else around)


@cache
def _parse(module: str) -> ast.Module:
    file = _file(module)
    assert file is not None
    return ast.parse(file.read_text(encoding="utf-8"))


def _file(module: str) -> Path | None:
    parts = module.split(".")[1:]
    for candidate in (_ROOT.joinpath(*parts).with_suffix(".py"), _ROOT.joinpath(*parts, "__init__.py")):
        if candidate.is_file():
            return candidate
    return None
