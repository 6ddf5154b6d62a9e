# Report: Snakemake's own report, one self-contained page with all figures, captions and run statistics.
#   in:  all figures
#   out: study.yaml (the configuration with its defaults), report.html


rule study_file:
    output:
        f"{ROOT}/study.yaml",
    log:
        f"{LOGS}/study.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        config=study.yaml(),
    message:
        "The configuration with its defaults"
    shell:
        "printf %s {params.config:q} > {output:q} 2> {log:q}"


rule report:
    input:
        figures=rules.figures.input,
        study=rules.study_file.output,
    output:
        f"{ROOT}/report.html",
    log:
        f"{LOGS}/report.log",
    localrule: True
    conda:
        ENVIRONMENT
    message:
        "Report"
    shell:
        "rgflow report --study {input.study:q} --output {output:q} > {log:q} 2>&1"
