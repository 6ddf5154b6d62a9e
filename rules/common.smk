# Shared by all rules: the study with its paths and specs, and how a stage is called.
#
# Every stage writes one Zarr store and its manifest. Rules take the manifest as input and the store as ancient(): a stage
# that ran again with an equal result leaves what follows idle. Two params decide what reruns: `spec`, exactly the keys of the
# configuration that the stage consumes, and `code`, the digest of the code behind it.
import sys
from functools import partial
from shlex import quote

from snakemake.io import report as report_flag
from snakemake.settings.types import DeploymentMethod

from rgflow.workflow.demand import Demand
from rgflow.workflow.draw import figure_code
from rgflow.workflow.study import CELL, WIDE_CELL, load_study

study = load_study(config)
demand = Demand(study)

ROOT = study.root
LOGS = f"{ROOT}/logs"
BENCHMARKS = f"{ROOT}/benchmarks"

# Jobs run in the environment of this very interpreter, or with --sdm conda in one made from ENVIRONMENT.
ENVIRONMENT = "../envs/rgflow.yaml"
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
PYTHON = "python" if CONDA else quote(sys.executable)
shell.prefix(f'set -euo pipefail; rgflow() {{{{ {PYTHON} -m rgflow "$@"; }}}}; ')


wildcard_constraints:
    activation=r"[^/~]+",
    init=r"[^/~]+",
    depth=r"\d+",
    width=r"\d+",
    block=r"\d{4}",


def pictures(path, chapter, names, category, labels={}, **details):
    """Outputs of a job that draws some figures of a chapter: every .png, for the report, and every .pdf."""
    files = [
        path.replace("{chapter}", chapter).replace("{name}", name) for name in names
    ]
    in_report = [
        report_flag(
            f"{file}.png",
            caption=f"report/{name}.rst",
            category=category,
            labels={"figure": name, **labels},
            **details,
        )
        for file, name in zip(files, names)
    ]
    return in_report + [f"{file}.pdf" for file in files]


def picture_files(path, chapter):
    """The same files for the command line, as a function of wildcards: {name} is left for the name of each figure."""
    return lambda wildcards: [
        path.format(chapter=chapter, name="{name}", **wildcards) + suffix
        for suffix in (".png", ".pdf")
    ]
