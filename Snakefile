# rgflow: theory, ensembles and trained networks of one study, and what they say of each other.
#
# Stages, each in its own file under rules/ and each a target of its own:
#   inputs -> theory, ensemble, training -> comparison -> figures -> report
from snakemake.utils import min_version

min_version("9.20")


configfile: "config.yaml"


include: "rules/common.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
