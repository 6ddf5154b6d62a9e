# Training: ensembles of networks trained by gradient descent, in blocks that are combined to statistics over members.
#   in:  inputs, theory/learning_rate
#   out: training/.../block~NNNN (every member), training/.../width~N (members and their mean, covariance, standard errors)


rule training_block:
    input:
        inputs=f"{ROOT}/inputs.json",
        hyperparameters=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        stores=ancient(
            [f"{ROOT}/inputs.zarr", f"{ROOT}/theory/hyperparameters/{CELL}.zarr"]
        ),
        learning_rate=f"{ROOT}/theory/learning_rate/{CELL}.json",
        learning_rate_store=ancient(f"{ROOT}/theory/learning_rate/{CELL}.zarr"),
    output:
        manifest=f"{ROOT}/training/{WIDE_CELL}/block~{{block}}.json",
        store=directory(f"{ROOT}/training/{WIDE_CELL}/block~{{block}}.zarr"),
    log:
        f"{LOGS}/training/{WIDE_CELL}/block~{{block}}.log",
    benchmark:
        f"{BENCHMARKS}/training/{WIDE_CELL}/block~{{block}}.tsv"
    retries: 1
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=demand.mem_mb("training/block"),
        runtime=demand.runtime("training/block"),
        dask="local",
    params:
        spec=partial(study.spec, "training/block"),
        code=study.code("training/block"),
    message:
        "Training: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}, width {wildcards.width}, block {wildcards.block}"
    shell:
        "rgflow training block --spec {params.spec:q} --input inputs {input.inputs:q}"
        " --input hyperparameters {input.hyperparameters:q}"
        " --input learning_rate {input.learning_rate:q} --workers {threads} --cluster {resources.dask:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


rule training_combine:
    input:
        blocks=expand(
            f"{ROOT}/training/{WIDE_CELL}/block~{{block}}.json",
            block=study.training_blocks,
            allow_missing=True,
        ),
        stores=ancient(
            expand(
                f"{ROOT}/training/{WIDE_CELL}/block~{{block}}.zarr",
                block=study.training_blocks,
                allow_missing=True,
            )
        ),
    output:
        manifest=f"{ROOT}/training/{WIDE_CELL}.json",
        store=directory(f"{ROOT}/training/{WIDE_CELL}.zarr"),
    log:
        f"{LOGS}/training/{WIDE_CELL}.log",
    benchmark:
        f"{BENCHMARKS}/training/{WIDE_CELL}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=demand.mem_mb("training/combine"),
    params:
        spec=partial(study.spec, "training/combine"),
        code=study.code("training/combine"),
    message:
        "Trained ensemble: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}, width {wildcards.width}"
    shell:
        "rgflow training combine --spec {params.spec:q} --input blocks {input.blocks:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


TRAINED = study.wide_manifests("training", study.training_depths)


rule training:
    input:
        TRAINED,
        ancient(study.stores(TRAINED)),
