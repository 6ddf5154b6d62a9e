# Report: Snakemake's own report, one self-contained page with all figures, captions and run statistics.
#   in:  all figures
#   out: study.yaml (the configuration with its defaults), report.html


rule study_file:
    output:
        f"{ROOT}/study.yaml",
    params:
        config=study.yaml(),
    localrule: True
    log:
        f"{LOGS}/study.log",
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
    localrule: True
    log:
        f"{LOGS}/report.log",
    message:
        "Report"
    shell:
        "snakemake figures --configfile {input.study:q} --report {output:q} --nolock > {log:q} 2>&1"
