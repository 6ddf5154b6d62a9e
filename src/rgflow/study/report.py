"""The report: Snakemake's own, of the figures of a finished study."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rgflow.errors import RgflowError
from rgflow.study.config import load_config, read_yaml


def write_report(study: Path, output: Path) -> None:
    """Have Snakemake write its report of the figures as one page; call it in the folder of the Snakefile.

    The page appears under its name only when it is complete.

    Raises
    ------
    RgflowError
        If the file is no configuration, or Snakemake cannot make the report; its messages are on standard error.
    """
    load_config(read_yaml(study))
    temporary = output.with_name(f".{output.stem}.{os.getpid()}.html")
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "figures",
        "--configfile",
        str(study),
        "--report",
        str(temporary),
        "--nolock",
    ]
    try:
        if subprocess.run(command, check=False).returncode:
            raise RgflowError(f"{output}: snakemake could not make the report, see its messages above")
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
