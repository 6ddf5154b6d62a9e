# Report: one page that opens offline, with the table theory | experiment | z, all figures and captions, and the jobs.
# (`snakemake --report jobs.html` makes Snakemake's own, with the same figures.)
#   in:  all figures, all comparisons
#   out: study.yaml (the configuration with its defaults), index.json (its stores and what they are made from), report.html


rule study_file:
    output:
        study=f"{ROOT}/study.yaml",
        index=f"{ROOT}/index.json",
    log:
        f"{ROOT}/logs/study.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        config=study.yaml(),
        stores=study.index_digest,
    message:
        "The configuration with its defaults, and the index of its stores"
    shell:
        "printf %s {params.config:q} > {output.study:q} 2> {log:q};"
        " rgflow index {output.study:q} --output {output.index:q} >> {log:q} 2>&1"


rule report:
    input:
        figures=rules.figures.input,
        scores=study.paths([stage for stage in study.wanted if stage.scores], ".json"),
        study=rules.study_file.output.study,
    output:
        f"{ROOT}/report.html",
    log:
        f"{ROOT}/logs/report.log",
    localrule: True
    conda:
        ENVIRONMENT
    message:
        "Report"
    shell:
        "rgflow report --study {input.study:q} --output {output:q} > {log:q} 2>&1"
