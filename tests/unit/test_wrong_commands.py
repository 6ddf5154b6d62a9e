"""Wrong command lines, generated: each exits with 2 and one line on standard error, and writes nothing."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from rgflow.cli import main
from rgflow.study.catalogue import stages

LOOKING = ("inspect", "check", "summary", "estimate")
PLACES = ("nowhere", "", "file.txt", "config.txt", "folder", "s3://bucket/x", "nowhere/x.zarr", "file.txt/x", "x" * 300)
ACTIVATIONS = (
    "", "rellu", ":", "tanh:", "tanh:x", "tanh:x=1", "leaky_relu:slope=", "leaky_relu:slope=x", "leaky_relu:slope=nan",
    "leaky_relu:slope=1e300", "leaky_relu:slop=1", "leaky_relu:slope=1,slope", "monomial:power=0.5", "softplus:beta=-1",
    "nowhere.py:f", "own.py:nothing", "own.py:", "broken.py:f", "own.py:random", "own.py:number", "own.py:twice:x=1",
)  # fmt: skip
SPECS = ("", "x", "[]", "3", "null", "{}", '{"inputs": 3}', '{"inputs": {}}', '{"depth": 3}', "{" * 2000, '{"a": NaN}')
OWN = "import torch\ndef twice(z): return torch.tanh(2 * z)\ndef random(z): return torch.rand_like(z)\nnumber = 3\n"


def commands() -> list[list[str]]:
    """Every verb with every kind of mistake."""
    listed = [[verb, place] for verb, place in product(LOOKING, PLACES) if place or verb == "estimate"]
    listed += [[verb, one] for verb, one in product(("critical", "check-activation"), ACTIVATIONS) if one != "tanh:"]
    listed += [["index", place, "--output", "out.json"] for place in PLACES]
    listed += [["report", "--study", place, "--output", "out.html"] for place in PLACES]
    for name in stages():
        job = [*name.split("/"), "--output", "out.json"]
        listed += [[*job, "--spec", spec] for spec in SPECS]
        listed += [[*job, "--spec", "{}", "--input", "nothing", "nowhere.json"]]
    listed += [["figure", name, "--output", "out.png"] for name in ("", "depht", "depth", "images")]
    listed += [["figure", "images", "--input", "inputs", place, "--output", "out.png"] for place in PLACES if place]
    return listed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder to run in, with files that are not what commands look for."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_bytes(b"\x80\x00")
    (tmp_path / "config.txt").write_text(json.dumps({"study": "x", "inputs": {"train": -1}}))
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("def f(:\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_wrong_commands_are_one_line_and_write_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert len(commands()) > 200
    for words in commands():
        try:
            status = main(words)
        except SystemExit as stop:
            status = int(stop.code or 0)
        _, said = capsys.readouterr()
        lines = [line for line in said.splitlines() if not line.startswith(("usage:", " "))]
        assert status == 2, words
        assert len(lines) == 1, (words, said)
        assert "error: " in lines[0], words
        assert "Traceback" not in said
        left = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
        assert sorted(left) == before, words


@pytest.mark.parametrize("name", ["silu", "SiLU", "leaky_relu:slope=0.2", "own.py:twice"])
@pytest.mark.parametrize("verb", ["critical", "check-activation"])
def test_activations_by_name_and_by_file(
    verb: str, name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder.is_dir()
    assert main([verb, name]) == 0
    assert "C_W" in capsys.readouterr().out
