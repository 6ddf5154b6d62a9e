# rgflow: theory, ensembles and trained networks of one study, and what they say of each other.
#
#   inputs ──┬─> theory ────┐
#            ├─> ensemble ──┼─> comparison ─> figures ─> report
#            └─> training ──┘
#
# Every stage is a file in rules/ and a target: `snakemake theory`. Without a target all of them run, to the report.
from snakemake.utils import min_version

min_version("9.20")


if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


report: "rules/report/workflow.rst"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/theory.smk"
include: "rules/ensemble.smk"
include: "rules/training.smk"
include: "rules/comparison.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
    localrule: True
