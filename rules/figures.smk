# Figures: pictures of what is stored, as .png for the report and .pdf for papers. Figures of a chapter share a job.
#   in:  the stores a figure is drawn from
#   out: figures/<chapter>/<name>/<cell>.png and .pdf


def picture(drawing, name, suffix):
    """Path of one picture, with a wildcard for each axis."""
    return study.place(
        drawing.as_figure(), f"figures/{drawing.chapter.name}/{name}", suffix
    )


def in_report(drawing, figure):
    """A picture with its place in the report."""
    labels = {axis: f"{{{axis}}}" for axis in drawing.axes}
    return report_flag(
        picture(drawing, figure.name, ".png"),
        caption=str(caption(drawing.chapter, figure)),
        category=drawing.chapter.title,
        subcategory=(", ".join(f"{axis} {{{axis}}}" for axis in drawing.axes) or None),
        labels={"figure": figure.name, **labels},
    )


def files_of(drawing):
    """The same files for the command line, as a function of wildcards: {name} is left for the name of each figure."""
    return lambda wildcards: [
        picture(drawing, "{name}", suffix).format(name="{name}", **wildcards)
        for suffix in (".png", ".pdf")
    ]


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
