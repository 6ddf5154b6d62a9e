# Shared by all rules: the study, and how a stage is called.
#
# The study derives from the chapters (src/rgflow/chapters) and the configuration: which stages it has, for which cells, what
# each reads and consumes, where its stores are, what it asks of a cluster.
import sys
from shlex import quote

from snakemake.io import report as report_flag
from snakemake.settings.types import DeploymentMethod

from rgflow.study.catalogue import axes, caption
from rgflow.study.plan import load_study
from rgflow.study.requests import Requests

study = load_study(config)
requests = Requests(study)

ROOT = study.root

# Jobs run in the environment of this very interpreter, or with --sdm conda in one made from ENVIRONMENT.
ENVIRONMENT = "../envs/rgflow.yaml"
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
PYTHON = "python" if CONDA else quote(sys.executable)
shell.prefix(f'set -euo pipefail; rgflow() {{{{ {PYTHON} -m rgflow "$@"; }}}}; ')


wildcard_constraints:
    **{axis.name: axis.pattern for axis in axes().values()},


def of_cell(what, labels):
    """Words for a job: what it does and the labels of its cell as wildcards."""
    return ", ".join(
        [f"{what}: {{wildcards.{labels[0]}}}" if labels else what]
        + [f"{label} {{wildcards.{label}}}" for label in labels[1:]]
    )


def attempt_number(wildcards, attempt):
    """How often a job was started: what a stage has refused, it refuses again at once."""
    return attempt


def given(reads):
    """Options of the command line for what a job reads, as a function of its inputs, which carry the names of the roles."""
    roles = tuple(reads)
    return lambda wildcards, input: [
        word
        for role in roles
        for word in ("--input", role, *as_list(getattr(input, role)))
    ]


def as_list(files):
    """One file or several."""
    return [files] if isinstance(files, str) else list(files)


def ancient_stores(item):
    """The stores of what a job reads. Rules follow the manifests: a result that was made again and is equal reruns nothing."""
    return {
        f"{role}_store": ancient(source)
        for role, source in study.sources(item, ".zarr").items()
    }


def picture(drawing, name, suffix):
    """Path of one picture, with a wildcard for each axis."""
    return study.place(
        drawing.as_figure(), f"figures/{drawing.chapter.name}/{name}", suffix
    )


def in_report(drawing, figure):
    """A picture with its place in the report."""
    labels = {axis: f"{{{axis}}}" for axis in drawing.axes}
    return report_flag(
        picture(drawing, figure.name, ".png"),
        caption=str(caption(drawing.chapter, figure)),
        category=drawing.chapter.title,
        subcategory=(", ".join(f"{axis} {{{axis}}}" for axis in drawing.axes) or None),
        labels={"figure": figure.name, **labels},
    )


def files_of(drawing):
    """The same files for the command line, as a function of wildcards: {name} is left for the name of each figure."""
    return lambda wildcards: [
        picture(drawing, "{name}", suffix).format(name="{name}", **wildcards)
        for suffix in (".png", ".pdf")
    ]
