# The stages: one rule each, generated from the chapters. `snakemake --list` shows what each does and reads.
#
# Every stage writes one Zarr store and its manifest. Two params decide what reruns: `spec`, exactly what the job consumes of
# the configuration, and `code`, the digest of the code behind it. (A shell command in a loop is read after the loop's end, so
# all that differs between rules stands in params.)
#   in:  manifests of what it reads (their stores as ancient)
#   out: <stage>/<cell>.json and .zarr
for stage in study.stages:

    rule:
        name:
            stage.rule
        input:
            **study.sources(stage, ".json"),
            **ancient_stores(stage),
        output:
            manifest=study.pattern(stage, ".json"),
            store=directory(study.pattern(stage, ".zarr")),
        log:
            study.place(stage, f"logs/{stage.folder}", ".log"),
        benchmark:
            study.place(stage, f"benchmarks/{stage.folder}", ".tsv")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=requests.mem_mb(stage.name),
            runtime=requests.runtime(stage.name),
            dask="local",
            attempt=attempt_number,
        params:
            spec=partial(study.spec, stage.name),
            code=stage.code,
            verb=stage.name.split("/"),
            reads=given(stage.reads),
        message:
            of_cell(stage.summary.capitalize(), stage.axes)
        shell:
            "rgflow {params.verb} --spec {params.spec:q} {params.reads:q}"
            " --workers {threads} --memory {resources.mem_mb} --cluster {resources.dask:q}"
            " --attempt {resources.attempt}"
            " --output {output.manifest:q} > {log:q} 2>&1"

    workflow.get_rule(stage.rule).docstring = stage.summary + (
        f" (reads {', '.join(stage.reads.values())})" if stage.reads else ""
    )


# Targets: the stages of a family (theory, ensemble, training, comparison, ...), and stages that are made only when asked for.
for family, stages in study.targets.items():

    rule:
        name:
            family
        input:
            f"{ROOT}/index.json",
            study.paths(stages, ".json"),
            ancient(study.paths(stages, ".zarr")),

    workflow.get_rule(family).docstring = ", ".join(stage.name for stage in stages)
