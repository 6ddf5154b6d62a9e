# Inputs: which data the networks see.
#   in:  config.inputs (and the file it names, whose content enters the spec)
#   out: inputs.zarr with x, y, probe over (sample, feature)


rule inputs:
    output:
        manifest=f"{ROOT}/inputs.json",
        store=directory(f"{ROOT}/inputs.zarr"),
    log:
        f"{LOGS}/inputs.log",
    benchmark:
        f"{BENCHMARKS}/inputs.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=study.spec("inputs"),
        code=study.code("inputs"),
    message:
        "Inputs of the study"
    shell:
        "rgflow inputs --spec {params.spec:q} --output {output.manifest:q} > {log:q} 2>&1"
