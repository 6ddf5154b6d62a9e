"""The two descriptions of the environment, for pip and for conda, name the same versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[2]
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)$")


def pins(lines: list[str]) -> dict[str, str]:
    """Name -> version; every line must be a pin."""
    found = [PIN.match(line) for line in lines]
    assert [line for line, match in zip(lines, found, strict=True) if match is None] == []
    return {_normal(match[1]): match[2] for match in found if match}


def requirements(name: str) -> dict[str, str]:
    lines = (PROJECT / "envs" / name).read_text().splitlines()
    return pins([line for line in lines if line and not line.startswith("#")])


def conda() -> list[str | dict[str, list[str]]]:
    environment = yaml.safe_load((PROJECT / "envs" / "rgflow.yaml").read_text())
    dependencies: list[str | dict[str, list[str]]] = environment["dependencies"]
    return dependencies


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_conda_and_pip_environments_agree() -> None:
    (listed,) = [entry["pip"] for entry in conda() if isinstance(entry, dict)]
    assert pins(listed) == requirements("requirements.txt")


def test_the_pins_contain_the_direct_requirements() -> None:
    assert requirements("requirements.in").items() <= requirements("requirements.txt").items()


def test_conda_has_a_python_that_the_package_allows() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    allowed = project["requires-python"].removeprefix(">=")
    (python,) = [entry for entry in conda() if isinstance(entry, str) and entry.startswith("python")]
    assert tuple(map(int, python.split("=")[1].split("."))) >= tuple(map(int, allowed.split(".")))


def test_the_pins_satisfy_what_the_package_asks_for() -> None:
    from packaging.requirements import Requirement

    pinned = requirements("requirements.txt")
    asked = map(Requirement, tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"])
    assert [str(one) for one in asked if not one.specifier.contains(pinned[_normal(one.name)])] == []
