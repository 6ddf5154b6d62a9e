# Figures: pictures of what is stored, as .png for the report and .pdf for papers.
#   in:  the stores a figure is drawn from
#   out: figures/<chapter>/<name>/<cell>.png and .pdf
CRITICALITY_FIGURES = ["phase_diagram", "kernel_flow", "tensors", "exponent_table"]
INITIALIZATION_FIGURES = ["depth", "extrapolation", "gaussianity"]
if study.config.inputs.probes > 1:
    INITIALIZATION_FIGURES.append("correlation")
TRAINING_FIGURES = ["training_curves", "prediction_paths", "final_predictions"]


wildcard_constraints:
    name=r"[a-z_]+",


rule figure_inputs:
    input:
        inputs=f"{ROOT}/inputs.json",
        store=ancient(f"{ROOT}/inputs.zarr"),
    output:
        report(
            f"{ROOT}/figures/inputs/images.png",
            caption="report/inputs.rst",
            category="Inputs",
            labels={"figure": "images"},
        ),
        f"{ROOT}/figures/inputs/images.pdf",
    log:
        f"{LOGS}/figures/inputs/images.log",
    conda:
        ENVIRONMENT
    params:
        code=figure_code("images"),
    message:
        "Figure: the inputs"
    shell:
        "rgflow figure images --input inputs {input.inputs:q} --output {output:q} > {log:q} 2>&1"


rule figure_initialization:
    input:
        theory=f"{ROOT}/theory/initialization/{CELL}.json",
        ensembles=study.over_widths(f"{ROOT}/ensemble/{CELL}", ".json"),
        comparison=f"{ROOT}/comparison/initialization/{CELL}.json",
        stores=ancient(
            [
                f"{ROOT}/theory/initialization/{CELL}.zarr",
                *study.over_widths(f"{ROOT}/ensemble/{CELL}", ".zarr"),
                f"{ROOT}/comparison/initialization/{CELL}.zarr",
            ]
        ),
    output:
        report(
            f"{ROOT}/figures/initialization/{{name}}/{CELL}.png",
            caption="report/initialization.rst",
            category="Initialization (chapters 2-5, 8)",
            subcategory="{activation}, {init}, depth {depth}",
            labels={
                "figure": "{name}",
                "activation": "{activation}",
                "init": "{init}",
                "depth": "{depth}",
            },
        ),
        f"{ROOT}/figures/initialization/{{name}}/{CELL}.pdf",
    log:
        f"{LOGS}/figures/initialization/{{name}}/{CELL}.log",
    conda:
        ENVIRONMENT
    params:
        code=lambda wildcards: figure_code(wildcards.name),
    message:
        "Figure: {wildcards.name}, {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow figure {wildcards.name} --input theory {input.theory:q} --input ensembles {input.ensembles:q}"
        " --input comparison {input.comparison:q} --output {output:q} > {log:q} 2>&1"


rule figure_exact_law:
    input:
        exact=f"{ROOT}/comparison/exact/{CELL}.json",
        store=ancient(f"{ROOT}/comparison/exact/{CELL}.zarr"),
    output:
        report(
            f"{ROOT}/figures/exact_law/{CELL}.png",
            caption="report/exact_law.rst",
            category="Initialization (chapters 2-5, 8)",
            subcategory="{activation}, {init}, depth {depth}",
            labels={
                "figure": "exact law",
                "activation": "{activation}",
                "init": "{init}",
                "depth": "{depth}",
            },
        ),
        f"{ROOT}/figures/exact_law/{CELL}.pdf",
    log:
        f"{LOGS}/figures/exact_law/{CELL}.log",
    conda:
        ENVIRONMENT
    params:
        code=figure_code("exact_law"),
    message:
        "Figure: exact law, {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow figure exact_law --input exact {input.exact:q} --output {output:q} > {log:q} 2>&1"


rule figure_training:
    input:
        inputs=f"{ROOT}/inputs.json",
        theory=f"{ROOT}/theory/training/{CELL}.json",
        trained=study.over_widths(f"{ROOT}/training/{CELL}", ".json"),
        stores=ancient(
            [
                f"{ROOT}/inputs.zarr",
                f"{ROOT}/theory/training/{CELL}.zarr",
                *study.over_widths(f"{ROOT}/training/{CELL}", ".zarr"),
            ]
        ),
    output:
        report(
            f"{ROOT}/figures/training/{{name}}/{CELL}.png",
            caption="report/training.rst",
            category="Training (chapters 7, 10)",
            subcategory="{activation}, {init}, depth {depth}",
            labels={
                "figure": "{name}",
                "activation": "{activation}",
                "init": "{init}",
                "depth": "{depth}",
            },
        ),
        f"{ROOT}/figures/training/{{name}}/{CELL}.pdf",
    log:
        f"{LOGS}/figures/training/{{name}}/{CELL}.log",
    conda:
        ENVIRONMENT
    params:
        code=lambda wildcards: figure_code(wildcards.name),
    message:
        "Figure: {wildcards.name}, {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow figure {wildcards.name} --input inputs {input.inputs:q} --input theory {input.theory:q}"
        " --input trained {input.trained:q} --output {output:q} > {log:q} 2>&1"


rule figure_criticality:
    input:
        phases=study.criticality_manifests,
        stores=ancient(
            [path.replace(".json", ".zarr") for path in study.criticality_manifests]
        ),
    output:
        report(
            f"{ROOT}/figures/criticality/{{name}}.png",
            caption="report/criticality.rst",
            category="Criticality (chapters 5, 9)",
            labels={"figure": "{name}"},
        ),
        f"{ROOT}/figures/criticality/{{name}}.pdf",
    log:
        f"{LOGS}/figures/criticality/{{name}}.log",
    conda:
        ENVIRONMENT
    params:
        code=lambda wildcards: figure_code(wildcards.name),
    message:
        "Figure: {wildcards.name}"
    shell:
        "rgflow figure {wildcards.name} --input phases {input.phases:q} --output {output:q} > {log:q} 2>&1"


rule figure_z_overview:
    input:
        comparisons=Z_SCORES,
        stores=ancient([path.replace(".json", ".zarr") for path in Z_SCORES]),
    output:
        report(
            f"{ROOT}/figures/overview/z_overview.png",
            caption="report/z_overview.rst",
            category="Overview",
            labels={"figure": "z_overview"},
        ),
        f"{ROOT}/figures/overview/z_overview.pdf",
    log:
        f"{LOGS}/figures/overview/z_overview.log",
    conda:
        ENVIRONMENT
    params:
        code=figure_code("z_overview"),
    message:
        "Figure: all z-scores"
    shell:
        "rgflow figure z_overview --input comparisons {input.comparisons:q} --output {output:q} > {log:q} 2>&1"


rule figure_exponents:
    input:
        exponents=EXPONENTS,
        stores=ancient([path.replace(".json", ".zarr") for path in EXPONENTS]),
    output:
        report(
            f"{ROOT}/figures/overview/exponents.png",
            caption="report/exponents.rst",
            category="Overview",
            labels={"figure": "exponents"},
        ),
        f"{ROOT}/figures/overview/exponents.pdf",
    log:
        f"{LOGS}/figures/overview/exponents.log",
    conda:
        ENVIRONMENT
    params:
        code=figure_code("exponents"),
    message:
        "Figure: exponents of depth"
    shell:
        "rgflow figure exponents --input exponents {input.exponents:q} --output {output:q} > {log:q} 2>&1"


rule figures:
    input:
        rules.figure_inputs.output,
        expand(
            f"{ROOT}/figures/initialization/{{name}}/{{cell}}.png",
            name=INITIALIZATION_FIGURES,
            cell=study.cells(study.initialization_depths),
        ),
        expand(
            f"{ROOT}/figures/training/{{name}}/{{cell}}.png",
            name=TRAINING_FIGURES,
            cell=study.cells(study.training_depths),
        ),
        expand(f"{ROOT}/figures/criticality/{{name}}.png", name=CRITICALITY_FIGURES),
        expand(f"{ROOT}/figures/exact_law/{{cell}}.png", cell=study.exact_cells),
        rules.figure_z_overview.output,
        rules.figure_exponents.output if EXPONENTS else [],
