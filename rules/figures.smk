# Figures: pictures of what is stored, as .png for the report and .pdf for papers. Figures that share their inputs are one job.
#   in:  the stores a figure is drawn from
#   out: figures/<chapter>/<name>/<cell>.png and .pdf
CRITICALITY_FIGURES = ["phase_diagram", "kernel_flow", "tensors", "exponent_table"]
INITIALIZATION_FIGURES = ["depth", "extrapolation", "gaussianity"]
if study.config.inputs.probes > 1:
    INITIALIZATION_FIGURES.append("correlation")
TRAINING_FIGURES = ["training_curves", "prediction_paths", "final_predictions"]

ONE_FIGURE = f"{ROOT}/figures/{{chapter}}/{{name}}"
CELL_FIGURE = f"{ROOT}/figures/{{chapter}}/{{name}}/{CELL}"
CELL_LABELS = {
    "activation": "{activation}",
    "init": "{init}",
    "depth": "{depth}",
}
OF_CELL = {
    "labels": CELL_LABELS,
    "subcategory": "{activation}, {init}, depth {depth}",
}


rule figures_inputs:
    input:
        inputs=f"{ROOT}/inputs.json",
        store=ancient(f"{ROOT}/inputs.zarr"),
    output:
        pictures(ONE_FIGURE, "inputs", ["images"], "Inputs"),
    log:
        f"{LOGS}/figures/inputs.log",
    conda:
        ENVIRONMENT
    params:
        files=picture_files(ONE_FIGURE, "inputs"),
        code=figure_code("images"),
    message:
        "Figure: the inputs"
    shell:
        "rgflow figure images --input inputs {input.inputs:q} --output {params.files:q} > {log:q} 2>&1"


rule figures_criticality:
    input:
        phases=study.criticality_manifests,
        stores=ancient(study.stores(study.criticality_manifests)),
    output:
        pictures(
            ONE_FIGURE,
            "criticality",
            CRITICALITY_FIGURES,
            "Criticality (chapters 5, 9)",
        ),
    log:
        f"{LOGS}/figures/criticality.log",
    conda:
        ENVIRONMENT
    params:
        names=CRITICALITY_FIGURES,
        files=picture_files(ONE_FIGURE, "criticality"),
        code=figure_code(*CRITICALITY_FIGURES),
    message:
        "Figures of criticality"
    shell:
        "rgflow figure {params.names} --input phases {input.phases:q} --output {params.files:q} > {log:q} 2>&1"


rule figures_initialization:
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
        pictures(
            CELL_FIGURE,
            "initialization",
            INITIALIZATION_FIGURES,
            "Initialization (chapters 2-5, 8)",
            **OF_CELL,
        ),
    log:
        f"{LOGS}/figures/initialization/{CELL}.log",
    conda:
        ENVIRONMENT
    params:
        names=INITIALIZATION_FIGURES,
        files=picture_files(CELL_FIGURE, "initialization"),
        code=figure_code(*INITIALIZATION_FIGURES),
    message:
        "Figures at initialization: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow figure {params.names} --input theory {input.theory:q} --input ensembles {input.ensembles:q}"
        " --input comparison {input.comparison:q} --output {params.files:q} > {log:q} 2>&1"


rule figures_exact_law:
    input:
        exact=f"{ROOT}/comparison/exact/{CELL}.json",
        store=ancient(f"{ROOT}/comparison/exact/{CELL}.zarr"),
    output:
        pictures(
            CELL_FIGURE,
            "initialization",
            ["exact_law"],
            "Initialization (chapters 2-5, 8)",
            **OF_CELL,
        ),
    log:
        f"{LOGS}/figures/exact_law/{CELL}.log",
    conda:
        ENVIRONMENT
    params:
        files=picture_files(CELL_FIGURE, "initialization"),
        code=figure_code("exact_law"),
    message:
        "Figure: exact law, {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow figure exact_law --input exact {input.exact:q} --output {params.files:q} > {log:q} 2>&1"


rule figures_dntk:
    input:
        comparison=f"{ROOT}/comparison/dntk/{CELL}.json",
        store=ancient(f"{ROOT}/comparison/dntk/{CELL}.zarr"),
    output:
        pictures(
            CELL_FIGURE,
            "dntk",
            ["dntk"],
            "Representation learning (chapter 11)",
            **OF_CELL,
        ),
    log:
        f"{LOGS}/figures/dntk/{CELL}.log",
    conda:
        ENVIRONMENT
    params:
        files=picture_files(CELL_FIGURE, "dntk"),
        code=figure_code("dntk"),
    message:
        "Figure: dNTK, {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow figure dntk --input comparison {input.comparison:q} --output {params.files:q} > {log:q} 2>&1"


rule figures_training:
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
        pictures(
            CELL_FIGURE,
            "training",
            TRAINING_FIGURES,
            "Training (chapters 7, 10)",
            **OF_CELL,
        ),
    log:
        f"{LOGS}/figures/training/{CELL}.log",
    conda:
        ENVIRONMENT
    params:
        names=TRAINING_FIGURES,
        files=picture_files(CELL_FIGURE, "training"),
        code=figure_code(*TRAINING_FIGURES),
    message:
        "Figures of training: {wildcards.activation}, {wildcards.init}, depth {wildcards.depth}"
    shell:
        "rgflow figure {params.names} --input inputs {input.inputs:q} --input theory {input.theory:q}"
        " --input trained {input.trained:q} --output {params.files:q} > {log:q} 2>&1"


rule figures_z_overview:
    input:
        comparisons=Z_SCORES,
        stores=ancient(study.stores(Z_SCORES)),
    output:
        pictures(
            ONE_FIGURE,
            "overview",
            ["z_overview"],
            "Overview",
        ),
    log:
        f"{LOGS}/figures/overview/z_overview.log",
    conda:
        ENVIRONMENT
    params:
        files=picture_files(ONE_FIGURE, "overview"),
        code=figure_code("z_overview"),
    message:
        "Figure: all z-scores"
    shell:
        "rgflow figure z_overview --input comparisons {input.comparisons:q} --output {params.files:q} > {log:q} 2>&1"


rule figures_exponents:
    input:
        exponents=EXPONENTS,
        stores=ancient(study.stores(EXPONENTS)),
    output:
        pictures(
            ONE_FIGURE,
            "overview",
            ["exponents"],
            "Overview",
        ),
    log:
        f"{LOGS}/figures/overview/exponents.log",
    conda:
        ENVIRONMENT
    params:
        files=picture_files(ONE_FIGURE, "overview"),
        code=figure_code("exponents"),
    message:
        "Figure: exponents of depth"
    shell:
        "rgflow figure exponents --input exponents {input.exponents:q} --output {params.files:q} > {log:q} 2>&1"


rule figures:
    input:
        rules.figures_inputs.output,
        rules.figures_criticality.output if study.criticality_cells else [],
        expand(
            f"{ONE_FIGURE}/{{cell}}.png",
            chapter="initialization",
            name=INITIALIZATION_FIGURES,
            cell=study.cells(study.initialization_depths),
        ),
        expand(
            f"{ONE_FIGURE}/{{cell}}.png",
            chapter="initialization",
            name="exact_law",
            cell=study.exact_cells,
        ),
        expand(
            f"{ONE_FIGURE}/{{cell}}.png",
            chapter="dntk",
            name="dntk",
            cell=study.cells(study.dntk_depths),
        ),
        expand(
            f"{ONE_FIGURE}/{{cell}}.png",
            chapter="training",
            name=TRAINING_FIGURES,
            cell=study.cells(study.training_depths),
        ),
        rules.figures_z_overview.output,
        rules.figures_exponents.output if EXPONENTS else [],
