# Ensembles: networks sampled at initialization, in blocks that are combined to estimates.
#   in:  inputs
#   out: ensemble/.../block~NNNN (sums over groups of members), ensemble/.../width~N (K, V, Theta, ... with standard errors),
#        dntk (P to U of the last layer, by automatic differentiation; only if the study asks for it)


rule ensemble_block:
    input:
        inputs=f"{ROOT}/inputs.json",
        hyperparameters=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        stores=ancient(
            [f"{ROOT}/inputs.zarr", f"{ROOT}/theory/hyperparameters/{CELL}.zarr"]
        ),
    output:
        manifest=f"{ROOT}/ensemble/{WIDE_CELL}/block~{{block}}.json",
        store=directory(f"{ROOT}/ensemble/{WIDE_CELL}/block~{{block}}.zarr"),
    log:
        f"{LOGS}/ensemble/{WIDE_CELL}/block~{{block}}.log",
    benchmark:
        f"{BENCHMARKS}/ensemble/{WIDE_CELL}/block~{{block}}.tsv"
    retries: 1
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=demand.mem_mb("ensemble/block"),
        runtime=demand.runtime("ensemble/block"),
        dask="local",
    params:
        spec=partial(study.spec, "ensemble/block"),
        code=study.code("ensemble/block"),
    message:
        "Ensemble: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}, width {wildcards.width}, block {wildcards.block}"
    shell:
        "rgflow ensemble block --spec {params.spec:q} --input inputs {input.inputs:q}"
        " --input hyperparameters {input.hyperparameters:q}"
        " --workers {threads} --memory {resources.mem_mb} --cluster {resources.dask:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


rule ensemble_combine:
    input:
        blocks=expand(
            f"{ROOT}/ensemble/{WIDE_CELL}/block~{{block}}.json",
            block=study.ensemble_blocks,
            allow_missing=True,
        ),
        stores=ancient(
            expand(
                f"{ROOT}/ensemble/{WIDE_CELL}/block~{{block}}.zarr",
                block=study.ensemble_blocks,
                allow_missing=True,
            )
        ),
    output:
        manifest=f"{ROOT}/ensemble/{WIDE_CELL}.json",
        store=directory(f"{ROOT}/ensemble/{WIDE_CELL}.zarr"),
    log:
        f"{LOGS}/ensemble/{WIDE_CELL}.log",
    benchmark:
        f"{BENCHMARKS}/ensemble/{WIDE_CELL}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=demand.mem_mb("ensemble/combine"),
    params:
        spec=partial(study.spec, "ensemble/combine"),
        code=study.code("ensemble/combine"),
    message:
        "Estimates: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}, width {wildcards.width}"
    shell:
        "rgflow ensemble combine --spec {params.spec:q} --input blocks {input.blocks:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


rule dntk:
    input:
        inputs=f"{ROOT}/inputs.json",
        hyperparameters=f"{ROOT}/theory/hyperparameters/{CELL}.json",
        stores=ancient(
            [f"{ROOT}/inputs.zarr", f"{ROOT}/theory/hyperparameters/{CELL}.zarr"]
        ),
    output:
        manifest=f"{ROOT}/dntk/{WIDE_CELL}.json",
        store=directory(f"{ROOT}/dntk/{WIDE_CELL}.zarr"),
    log:
        f"{LOGS}/dntk/{WIDE_CELL}.log",
    benchmark:
        f"{BENCHMARKS}/dntk/{WIDE_CELL}.tsv"
    retries: 1
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=demand.mem_mb("dntk"),
        runtime=demand.runtime("dntk"),
        dask="local",
    params:
        spec=partial(study.spec, "dntk"),
        code=study.code("dntk"),
    message:
        "dNTK: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}, width {wildcards.width}"
    shell:
        "rgflow dntk --spec {params.spec:q} --input inputs {input.inputs:q}"
        " --input hyperparameters {input.hyperparameters:q}"
        " --workers {threads} --cluster {resources.dask:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


ENSEMBLES = [
    *study.wide_manifests("ensemble", study.initialization_depths),
    *study.wide_manifests("dntk", study.dntk_depths),
]


rule ensemble:
    input:
        ENSEMBLES,
        ancient(study.stores(ENSEMBLES)),
