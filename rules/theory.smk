# Theory: what the effective theory predicts. It does not depend on the overall width.
#   in:  inputs
#   out: theory/criticality:    critical point, phase diagram, power laws of each activation
#        theory/hyperparameters: C_b, C_W, lambda_b, lambda_W of every layer; all networks are made from these
#        theory/initialization: K, G1, V, Theta, ... on (layer, sample_1 ...)
#        theory/dntk:           P, Q, R, S, T, U of the differentials of the NTK
#        theory/infinite_width: K and Theta of all inputs in the last layer; only on demand
#        theory/learning_rate:  the step size of training, from the largest eigenvalue of Theta
#        theory/training:       mean and covariance of the outputs at every recorded step


rule theory_criticality:
    output:
        manifest=f"{ROOT}/theory/criticality/activation~{{activation}}.json",
        store=directory(f"{ROOT}/theory/criticality/activation~{{activation}}.zarr"),
    log:
        f"{LOGS}/theory/criticality/activation~{{activation}}.log",
    benchmark:
        f"{BENCHMARKS}/theory/criticality/activation~{{activation}}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=partial(study.spec, "theory/criticality"),
        code=study.code("theory/criticality"),
    message:
        "Criticality: {wildcards.activation}"
    shell:
        "rgflow theory criticality --spec {params.spec:q} --output {output.manifest:q} > {log:q} 2>&1"


rule theory_hyperparameters:
    output:
        manifest=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        store=directory(f"{ROOT}/theory/hyperparameters/{CELL}.zarr"),
    log:
        f"{LOGS}/theory/hyperparameters/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/theory/hyperparameters/{CELL}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=partial(study.spec, "theory/hyperparameters"),
        code=study.code("theory/hyperparameters"),
    message:
        "Hyperparameters: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow theory hyperparameters --spec {params.spec:q} --output {output.manifest:q} > {log:q} 2>&1"


rule theory_initialization:
    input:
        inputs=f"{ROOT}/inputs.json",
        hyperparameters=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        stores=ancient(
            [f"{ROOT}/inputs.zarr", f"{ROOT}/theory/hyperparameters/{CELL}.zarr"]
        ),
    output:
        manifest=f"{ROOT}/theory/initialization/{CELL}.json",
        store=directory(f"{ROOT}/theory/initialization/{CELL}.zarr"),
    log:
        f"{LOGS}/theory/initialization/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/theory/initialization/{CELL}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=demand.mem_mb("theory/initialization"),
        runtime=demand.runtime("theory/initialization"),
    params:
        spec=partial(study.spec, "theory/initialization"),
        code=study.code("theory/initialization"),
    message:
        "Theory at initialization: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow theory initialization --spec {params.spec:q} --input inputs {input.inputs:q}"
        " --input hyperparameters {input.hyperparameters:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


rule theory_dntk:
    input:
        inputs=f"{ROOT}/inputs.json",
        hyperparameters=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        stores=ancient(
            [f"{ROOT}/inputs.zarr", f"{ROOT}/theory/hyperparameters/{CELL}.zarr"]
        ),
    output:
        manifest=f"{ROOT}/theory/dntk/{CELL}.json",
        store=directory(f"{ROOT}/theory/dntk/{CELL}.zarr"),
    log:
        f"{LOGS}/theory/dntk/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/theory/dntk/{CELL}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=partial(study.spec, "theory/dntk"),
        code=study.code("theory/dntk"),
    message:
        "Theory of the dNTK: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow theory dntk --spec {params.spec:q} --input inputs {input.inputs:q}"
        " --input hyperparameters {input.hyperparameters:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


rule theory_infinite_width:
    input:
        inputs=f"{ROOT}/inputs.json",
        hyperparameters=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        stores=ancient(
            [f"{ROOT}/inputs.zarr", f"{ROOT}/theory/hyperparameters/{CELL}.zarr"]
        ),
    output:
        manifest=f"{ROOT}/theory/infinite_width/{CELL}.json",
        store=directory(f"{ROOT}/theory/infinite_width/{CELL}.zarr"),
    log:
        f"{LOGS}/theory/infinite_width/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/theory/infinite_width/{CELL}.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=demand.mem_mb("theory/infinite_width"),
        runtime=demand.runtime("theory/infinite_width"),
    params:
        spec=partial(study.spec, "theory/infinite_width"),
        code=study.code("theory/infinite_width"),
    message:
        "Infinite width: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow theory infinite_width --spec {params.spec:q} --input inputs {input.inputs:q}"
        " --input hyperparameters {input.hyperparameters:q} --workers {threads}"
        " --output {output.manifest:q} > {log:q} 2>&1"


rule theory_learning_rate:
    input:
        inputs=f"{ROOT}/inputs.json",
        hyperparameters=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        stores=ancient(
            [f"{ROOT}/inputs.zarr", f"{ROOT}/theory/hyperparameters/{CELL}.zarr"]
        ),
    output:
        manifest=f"{ROOT}/theory/learning_rate/{CELL}.json",
        store=directory(f"{ROOT}/theory/learning_rate/{CELL}.zarr"),
    log:
        f"{LOGS}/theory/learning_rate/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/theory/learning_rate/{CELL}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=partial(study.spec, "theory/learning_rate"),
        code=study.code("theory/learning_rate"),
    message:
        "Learning rate: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow theory learning_rate --spec {params.spec:q} --input inputs {input.inputs:q}"
        " --input hyperparameters {input.hyperparameters:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


rule theory_training:
    input:
        inputs=f"{ROOT}/inputs.json",
        hyperparameters=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        stores=ancient(
            [f"{ROOT}/inputs.zarr", f"{ROOT}/theory/hyperparameters/{CELL}.zarr"]
        ),
    output:
        manifest=f"{ROOT}/theory/training/{CELL}.json",
        store=directory(f"{ROOT}/theory/training/{CELL}.zarr"),
    log:
        f"{LOGS}/theory/training/{CELL}.log",
    benchmark:
        f"{BENCHMARKS}/theory/training/{CELL}.tsv"
    conda:
        ENVIRONMENT
    params:
        spec=partial(study.spec, "theory/training"),
        code=study.code("theory/training"),
    message:
        "Kernel prediction of training: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow theory training --spec {params.spec:q} --input inputs {input.inputs:q}"
        " --input hyperparameters {input.hyperparameters:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


THEORY = [
    *study.criticality_manifests,
    *study.manifests("theory/initialization", study.initialization_depths),
    *study.manifests("theory/dntk", study.dntk_depths),
    *study.manifests("theory/learning_rate", study.training_depths),
    *study.manifests("theory/training", study.training_depths),
]


rule theory:
    input:
        THEORY,
        ancient(study.stores(THEORY)),


# Not part of a study: K and Theta of all its inputs, for those who go on with them.
rule infinite_width:
    input:
        study.manifests(
            "theory/infinite_width",
            study.training_depths or study.initialization_depths,
        ),
