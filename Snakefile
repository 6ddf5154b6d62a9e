# rgflow: theory, ensembles and trained networks of one study, and what they say of each other.
#
#   inputs ──┬─> theory ────┐
#            ├─> ensemble ──┼─> comparison ─> figures ─> report
#            └─> training ──┘
#
# Every stage stands in a chapter of src/rgflow/chapters; rules/ makes a rule of each. Families of stages are targets:
# `snakemake theory`. Without a target all stages run, to the report, and whatever is missing is made again.
from functools import partial

from snakemake.utils import min_version

min_version("9.20")


if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


report: "rules/report/workflow.rst"


include: "rules/common.smk"
include: "rules/stages.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
        study.paths(study.wanted, ".json"),
        ancient(study.paths(study.wanted, ".zarr")),
    localrule: True
    message:
        "The study is complete"
