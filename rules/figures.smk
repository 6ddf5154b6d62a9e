# Figures: pictures of what is stored, as .png for the report and .pdf for papers. Figures of a chapter share a job.
#   in:  the stores a figure is drawn from
#   out: figures/<chapter>/<name>/<cell>.png and .pdf
for drawing in study.drawings:

    rule:
        name:
            f"figures_{drawing.job}"
        input:
            **study.sources(drawing.as_figure(), ".json"),
            **ancient_stores(drawing.as_figure()),
        output:
            [in_report(drawing, figure) for figure in drawing.figures],
            [picture(drawing, figure.name, ".pdf") for figure in drawing.figures],
        log:
            study.place(drawing.as_figure(), f"logs/figures/{drawing.job}", ".log"),
        conda:
            ENVIRONMENT
        params:
            names=[figure.name for figure in drawing.figures],
            files=files_of(drawing),
            code=drawing.code,
            reads=given(drawing.reads),
        message:
            of_cell(f"Figures ({drawing.job})", drawing.axes)
        shell:
            "rgflow figure {params.names} {params.reads:q}"
            " --output {params.files:q} > {log:q} 2>&1"

    workflow.get_rule(f"figures_{drawing.job}").docstring = (
        f"draw {', '.join(figure.name for figure in drawing.figures)}"
    )


rule figures:
    input:
        [
            picture(drawing, figure.name, ".png").format(**labels)
            for drawing in study.drawings
            for figure in drawing.figures
            for labels in drawing.cells
        ],
