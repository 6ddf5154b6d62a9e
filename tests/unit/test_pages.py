"""The pages tell the truth: functions, modules and tests they name exist, and tables made from the code are whole."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from rgflow.study.config import config_model, load_config

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CODE = re.compile(r"`([^`]+)`")
DOTTED = re.compile(r"(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*")
SHORT = re.compile(r"[a-z_]\w*")


def named(row: str) -> list[str]:
    """Full names of the functions that a row of theory.md names; a short one stands beside the one before it, or is public."""
    found: list[str] = []
    for text in CODE.findall(row.split(" | ")[1]):
        call, _, _ = text.partition("(")
        if DOTTED.fullmatch(call):
            found.append(call if call.startswith("rgflow.") else f"rgflow.{call}")
        elif SHORT.fullmatch(call):
            homes = [*(name.rpartition(".")[0] for name in found[-1:]), "rgflow"]
            known = [f"{home}.{call}" for home in homes if hasattr(pkgutil.resolve_name(home), call)]
            found += known[:1] or ([f"rgflow.{call}"] if call != text else [])
    return found


def test_every_function_of_the_map_from_the_book_exists() -> None:
    rows = [
        line for line in (DOCS / "theory.md").read_text().splitlines() if line.startswith("| ") and "---" not in line
    ]
    names = {name for row in rows for name in named(row)}
    assert len(names) > 40
    assert {
        "rgflow.advise",
        "rgflow.gaussian.wick.gaussian_moment",
        "rgflow.theory.initialization.exact.deep_linear_six_point",
    } <= names
    for name in names:
        pkgutil.resolve_name(name)


def test_a_function_that_does_not_exist_is_noticed() -> None:
    assert named("| a | `rgflow.nothing_theory(order=)`, `theory.depth.nowhere` | b |") == [
        "rgflow.nothing_theory",
        "rgflow.theory.depth.nowhere",
    ]
    with pytest.raises((ImportError, AttributeError)):
        pkgutil.resolve_name("rgflow.nothing_theory")


def test_every_test_that_backs_the_table_of_practice_exists() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    names = set(re.findall(r"`(test_\w+)`", (DOCS / "practice.md").read_text()))
    assert len(names) > 12
    assert [name for name in names if f"def {name}(" not in tests] == []


def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_key_of_the_configuration_is_on_its_page_with_its_default() -> None:
    page = hooks().configuration_tables()
    filled = load_config({"study": "defaults", "bayes": {}, "dntk": {}}).model_dump()
    tables = {part.partition("`")[0]: part for part in page.split("## `")[1:]}
    for section, keys in filled.items():
        for key in keys if isinstance(keys, dict) else ():
            assert f"| `{key}` | `" in tables[section]
    assert "| `noise` | `[0.1]` |" in tables["bayes"]
    assert "| `residual` | `null` | `{xi_1, xi_2} or null` |" in tables["networks"]
    assert set(config_model().model_fields) - {"study"} == {
        section for section, keys in filled.items() if section != "study"
    }


def test_every_variable_is_on_its_page() -> None:
    page, module = hooks().registry_tables(), hooks()
    assert all(f"| `{v.name}` |" in page for group in module.registry().groups.values() for v in group)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("K' = C_b + C_W <s^2>_K", "K' = C_b + C_W ⟨s^2⟩_K"),
        ("<s> and <d d f>.V, <...>", "⟨s⟩ and ⟨d d f⟩.V, ⟨...⟩"),
        ("See :func:`rgflow.activation`.", "See `rgflow.activation`."),
        ("`<name>_stderr` of ``<study>``", "`<name>_stderr` of ``<study>``"),
        ('a < b, <a href="x">c</a> <!-- d --> <https://e>', 'a < b, <a href="x">c</a> <!-- d --> <https://e>'),
    ],
)
def test_averages_are_no_html(line: str, shown: str) -> None:
    assert hooks().bracketed(line) == shown


def test_every_page_and_notebook_is_in_the_menu() -> None:
    text = re.sub(r"!!\S+", "", (ROOT / "mkdocs.yml").read_text())
    listed = set(re.findall(r"[\w/]+\.(?:md|ipynb)", str(yaml.safe_load(text)["nav"])))
    assert listed == {str(path.relative_to(DOCS)) for path in [*DOCS.glob("*.md"), *DOCS.glob("notebooks/*.ipynb")]}


def test_what_the_site_imports_is_in_its_environment() -> None:
    """The hooks import the registry and the configuration: no package beyond envs/docs.txt."""
    code = (
        "import importlib.metadata as m, importlib.util as u, sys;"
        f" s = u.spec_from_file_location('hooks', {str(DOCS / 'hooks.py')!r}); h = u.module_from_spec(s);"
        " s.loader.exec_module(h); h.registry_tables(); h.configuration_tables();"
        " top = {name.partition('.')[0] for name in sys.modules}; owners = m.packages_distributions();"
        " print(*sorted({owner.lower() for name in top for owner in owners.get(name, ())}))"
    )
    used = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    docs, study = (pinned(name) for name in ("docs.txt", "requirements.txt"))
    assert "pydantic" in used
    assert [name for name in sorted(used & study) if name not in docs] == []


def pinned(name: str) -> set[str]:
    """Packages of an environment."""
    return set(re.findall(r"(?m)^(\S+)==", (ROOT / "envs" / name).read_text().lower()))
