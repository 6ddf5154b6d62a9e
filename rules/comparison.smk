# Comparison: z-scores and the trend in 1/n of every quantity, all widths of a cell together.
#   in:  theory and ensembles (initialization), kernel prediction and trained ensembles (training)
#   out: comparison/initialization, comparison/training,
#        comparison/dntk (where the study asks for it),
#        comparison/exact (where a law holds at every width), comparison/exponents (deep networks only)


rule comparison_initialization:
    input:
        theory=f"{ROOT}/theory/initialization/{CELL}.json",
        theory_store=ancient(f"{ROOT}/theory/initialization/{CELL}.zarr"),
        experiment=study.over_widths(f"{ROOT}/ensemble/{CELL}", ".json"),
        experiment_stores=ancient(study.over_widths(f"{ROOT}/ensemble/{CELL}", ".zarr")),
    output:
        manifest=f"{ROOT}/comparison/initialization/{CELL}.json",
        store=directory(f"{ROOT}/comparison/initialization/{CELL}.zarr"),
    log:
        f"{LOGS}/comparison/initialization/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/comparison/initialization/{CELL}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=study.spec("comparison/initialization"),
        code=study.code("comparison/initialization"),
    message:
        "Comparison at initialization: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow comparison initialization --spec {params.spec:q} --input theory {input.theory:q}"
        " --input experiment {input.experiment:q} --output {output.manifest:q} > {log:q} 2>&1"


rule comparison_dntk:
    input:
        theory=f"{ROOT}/theory/dntk/{CELL}.json",
        theory_store=ancient(f"{ROOT}/theory/dntk/{CELL}.zarr"),
        experiment=study.over_widths(f"{ROOT}/dntk/{CELL}", ".json"),
        experiment_stores=ancient(study.over_widths(f"{ROOT}/dntk/{CELL}", ".zarr")),
    output:
        manifest=f"{ROOT}/comparison/dntk/{CELL}.json",
        store=directory(f"{ROOT}/comparison/dntk/{CELL}.zarr"),
    log:
        f"{LOGS}/comparison/dntk/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/comparison/dntk/{CELL}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=study.spec("comparison/dntk"),
        code=study.code("comparison/dntk"),
    message:
        "Comparison of the dNTK: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow comparison dntk --spec {params.spec:q} --input theory {input.theory:q}"
        " --input experiment {input.experiment:q} --output {output.manifest:q} > {log:q} 2>&1"


rule comparison_exact:
    input:
        inputs=f"{ROOT}/inputs.json",
        hyperparameters=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        stores=ancient(
            [f"{ROOT}/inputs.zarr", f"{ROOT}/theory/hyperparameters/{CELL}.zarr"]
        ),
        experiment=study.over_widths(f"{ROOT}/ensemble/{CELL}", ".json"),
        experiment_stores=ancient(study.over_widths(f"{ROOT}/ensemble/{CELL}", ".zarr")),
    output:
        manifest=f"{ROOT}/comparison/exact/{CELL}.json",
        store=directory(f"{ROOT}/comparison/exact/{CELL}.zarr"),
    log:
        f"{LOGS}/comparison/exact/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/comparison/exact/{CELL}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=partial(study.spec, "comparison/exact"),
        code=study.code("comparison/exact"),
    message:
        "Exact laws: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow comparison exact --spec {params.spec:q} --input inputs {input.inputs:q}"
        " --input hyperparameters {input.hyperparameters:q}"
        " --input experiment {input.experiment:q} --output {output.manifest:q} > {log:q} 2>&1"


rule comparison_exponents:
    input:
        theory=f"{ROOT}/theory/initialization/{CELL}.json",
        theory_store=ancient(f"{ROOT}/theory/initialization/{CELL}.zarr"),
        experiment=study.over_widths(f"{ROOT}/ensemble/{CELL}", ".json"),
        experiment_stores=ancient(study.over_widths(f"{ROOT}/ensemble/{CELL}", ".zarr")),
    output:
        manifest=f"{ROOT}/comparison/exponents/{CELL}.json",
        store=directory(f"{ROOT}/comparison/exponents/{CELL}.zarr"),
    log:
        f"{LOGS}/comparison/exponents/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/comparison/exponents/{CELL}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=study.spec("comparison/exponents"),
        code=study.code("comparison/exponents"),
    message:
        "Exponents of depth: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow comparison exponents --spec {params.spec:q} --input theory {input.theory:q}"
        " --input experiment {input.experiment:q} --output {output.manifest:q} > {log:q} 2>&1"


rule comparison_training:
    input:
        theory=f"{ROOT}/theory/training/{CELL}.json",
        theory_store=ancient(f"{ROOT}/theory/training/{CELL}.zarr"),
        experiment=study.over_widths(f"{ROOT}/training/{CELL}", ".json"),
        experiment_stores=ancient(study.over_widths(f"{ROOT}/training/{CELL}", ".zarr")),
    output:
        manifest=f"{ROOT}/comparison/training/{CELL}.json",
        store=directory(f"{ROOT}/comparison/training/{CELL}.zarr"),
    log:
        f"{LOGS}/comparison/training/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/comparison/training/{CELL}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=study.spec("comparison/training"),
        code=study.code("comparison/training"),
    message:
        "Comparison of training: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow comparison training --spec {params.spec:q} --input theory {input.theory:q}"
        " --input experiment {input.experiment:q} --output {output.manifest:q} > {log:q} 2>&1"


Z_SCORES = [
    *study.manifests("comparison/initialization", study.initialization_depths),
    *study.manifests("comparison/dntk", study.dntk_depths),
    *study.manifests("comparison/training", study.training_depths),
]
EXACT = [f"{ROOT}/comparison/exact/{cell}.json" for cell in study.exact_cells]
EXPONENTS = study.manifests("comparison/exponents", study.exponent_depths)


rule comparison:
    input:
        Z_SCORES,
        EXACT,
        EXPONENTS,
