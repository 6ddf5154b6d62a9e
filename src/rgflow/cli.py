"""The command line: one verb per stage, and the verbs that look at results.

Everything heavy is imported by the verb that needs it, so ``--help`` and ``critical`` answer at once.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rgflow.errors import RgflowError, marked
from rgflow.store.manifest import local_path

if TYPE_CHECKING:
    from rgflow.activations.activation import Activation

_EPILOG = "Errors are one line on standard error and a non-zero exit; nothing is written then."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 1 damaged results, 2 bad input."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("rgflow").setLevel(logging.INFO)
    options = build_parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except RgflowError as error:
        print(marked(error), file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    from rgflow import __version__

    parser = argparse.ArgumentParser(prog="rgflow", description=__doc__.split("\n")[0], epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"rgflow {__version__}")
    verbs = parser.add_subparsers(title="verbs", dest="verb", required=True, metavar="VERB")
    _add_looking(verbs)
    _add_drawing(verbs)
    _add_stages(verbs)
    return parser


def _local(text: str) -> Path:
    """A path on a file system."""
    try:
        return local_path(text)
    except RgflowError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_looking(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    critical = verbs.add_parser("critical", help="the critical initialization of an activation")
    critical.add_argument(
        "activation", help="name, for example gelu, or path/to/file.py:function; parameters as leaky_relu:slope=0.2"
    )
    critical.set_defaults(run=_critical)
    activation = verbs.add_parser("check-activation", help="what is found of an activation: kinks, radius, criticality")
    activation.add_argument("activation", help="as for critical; path/to/file.py:function for one of your own")
    activation.set_defaults(run=_check_activation)
    _add_advise(verbs)
    inspect = verbs.add_parser("inspect", help="print what is stored at a path")
    inspect.add_argument("path", type=_local)
    inspect.set_defaults(run=_inspect)
    check = verbs.add_parser("check", help="verify every digest and schema at a path, name what is damaged")
    check.add_argument("path", type=_local)
    check.add_argument("--study", type=_local, metavar="CONFIG", help="hold the stores against this configuration")
    check.add_argument("--repair", action="store_true", help="remove what is damaged; the next run makes it anew")
    check.set_defaults(run=_check)
    index = verbs.add_parser("index", help="write which stores a study has, and what each is made from")
    index.add_argument("config", type=_local, help="a study's configuration, for example results/<study>/study.yaml")
    index.add_argument("--output", type=_local, required=True, help="results/<study>/index.json")
    index.set_defaults(run=_index)
    estimate = verbs.add_parser("estimate", help="jobs, core-hours, memory and disk of a study before it runs")
    estimate.add_argument("config", type=_local, help="a study's configuration, for example config.yaml")
    estimate.set_defaults(run=_estimate)
    summary = verbs.add_parser("summary", help="table of theory, experiment and z of a study")
    summary.add_argument("path", type=_local, help="results/<study>")
    summary.set_defaults(run=_summary)
    evidence = verbs.add_parser("evidence", help="which networks the data of a study prefer, and by how much")
    evidence.add_argument("path", type=_local, help="results/<study>")
    evidence.set_defaults(run=_evidence)
    schema = verbs.add_parser("schema", help="print the JSON schema of the configuration")
    schema.set_defaults(run=_schema)


def _add_advise(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    advise = verbs.add_parser(
        "advise", help="initialization, learning rates, depth and width of a torch module of yours"
    )
    advise.add_argument(
        "model", metavar="FILE.py:FUNCTION", help="a function without arguments that returns the module"
    )
    advise.add_argument("--inputs", type=_local, help="*.npz with x and, if there are targets, y; or *.npy with x")
    advise.add_argument("--report", type=_local, help="write the advice as a page too, *.html")
    advise.add_argument("--loss", choices=["mse", "cross_entropy"], default="mse")
    advise.add_argument("--reduction", choices=["mean", "sum"], default="mean")
    advise.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
    advise.add_argument("--momentum", type=float, default=0.0)
    advise.set_defaults(run=_advise)


def _add_drawing(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    figure = verbs.add_parser("figure", help="draw figures from stored results")
    figure.add_argument("names", nargs="+", metavar="NAME")
    figure.add_argument("--input", action="append", nargs="+", default=[], metavar=("ROLE", "MANIFEST"))
    figure.add_argument(
        "--output",
        type=_local,
        nargs="+",
        required=True,
        help="picture files, by suffix: .svg .png .pdf; {name} in them stands for the figure's name",
    )
    figure.set_defaults(run=_figure)
    report = verbs.add_parser("report", help="write the report of a finished study as one HTML page")
    report.add_argument("--study", type=_local, required=True, help="results/<study>/study.yaml")
    report.add_argument("--output", type=_local, required=True, help="the page, *.html")
    report.set_defaults(run=_report)


def _add_stages(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``inputs``, ``theory initialization``, ``ensemble block`` ... from the table of stages."""
    from rgflow.study.catalogue import stages

    families: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]] = {}
    for stage in stages().values():
        family, _, member = stage.name.partition("/")
        if member and family not in families:
            parent = verbs.add_parser(family, help=f"stages of {family}")
            families[family] = parent.add_subparsers(dest="member", required=True, metavar="STAGE")
        parser = (families[family] if member else verbs).add_parser(member or family, help=stage.summary)
        _add_stage_options(parser)
        parser.set_defaults(run=_stage, stage=stage)


def _add_stage_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="JSON object: exactly the configuration the stage consumes")
    parser.add_argument("--input", action="append", nargs="+", default=[], metavar=("ROLE", "MANIFEST"))
    parser.add_argument("--output", type=_local, required=True, help="manifest to write, x.json; the store is x.zarr")
    parser.add_argument("--workers", type=int, default=1, help="processes to use on this machine")
    parser.add_argument("--memory", type=float, metavar="MB", help="main memory that the job may use; default: all")
    parser.add_argument(
        "--attempt", type=int, default=0, help="how often a workflow started it; what it refused is not tried again"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument(
        "--cluster",
        default="local",
        help="local: own processes; srun: one dask worker per task of this SLURM job; or the address or scheduler file of a"
        " running dask cluster",
    )


def _stage(options: argparse.Namespace) -> None:
    from rgflow.compute.workers import workers
    from rgflow.study.runner import parse_spec, run_stage
    from rgflow.study.stage import Resources

    with workers(options.cluster) as cluster:
        memory = None if options.memory is None else options.memory * 1e6
        resources = Resources(options.workers, options.device, cluster, memory, attempt=options.attempt)
        run_stage(options.stage, parse_spec(options.spec), _inputs(options.input), options.output, resources)


def _figure(options: argparse.Namespace) -> None:
    from rgflow.study.draw import draw_figures

    draw_figures(options.names, _inputs(options.input), list(map(str, options.output)))


def _report(options: argparse.Namespace) -> None:
    from rgflow.study.report import write_report

    write_report(options.study, options.output)


def _inputs(groups: list[list[str]]) -> dict[str, list[Path]]:
    return {role: [local_path(path) for path in paths] for role, *paths in groups}


def _critical(options: argparse.Namespace) -> None:
    from rgflow.theory.criticality.critical import critical

    result = critical(_named_activation(options.activation))
    print(f"{result.activation.label}: {result.universality_class}")
    missing = "any" if result.universality_class == "scale-invariant" else "none"
    for name, value in (("C_b", result.C_b), ("C_W", result.C_W), ("K*", result.K_star)):
        print(f"  {name:<5}{missing if math.isnan(value) else f'{value:.15g}'}")
    print(f"  {result.reason}")


def _check_activation(options: argparse.Namespace) -> None:
    from rgflow.theory.criticality.activation_check import check_activation

    print(check_activation(_named_activation(options.activation)))


def _named_activation(text: str) -> Activation:
    """The activation of ``name:key=number,...``, where a name may be ``file.py:function``."""
    from rgflow.activations.registry import activation

    file, separator, rest = text.rpartition(".py:")
    name, _, assignments = rest.partition(":")
    parameters = dict(_assignment(text) for text in assignments.split(",") if text)
    return activation(file + separator + name, **parameters)


def _advise(options: argparse.Namespace) -> None:
    from rgflow.practice.files import advise_file

    names = ("report", "loss", "reduction", "optimizer", "momentum")
    print(advise_file(options.model, options.inputs, **{name: getattr(options, name) for name in names}))


def _assignment(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise RgflowError(f"{text!r}: an activation's parameters are written name=number") from None


def _inspect(options: argparse.Namespace) -> None:
    from rgflow.store.inspect import describe

    for line in describe(options.path):
        print(line)


def _check(options: argparse.Namespace) -> int:
    from rgflow.store.check import check_results, repair
    from rgflow.store.index import INDEX
    from rgflow.study.catalogue import registry

    if options.study is not None:
        _write_index(options.study, options.path / INDEX)
    findings = list(check_results(options.path, registry()))
    damaged = [finding for finding in findings if finding.problem]
    for finding in damaged:
        print(f"damaged: {finding.store}: {finding.problem}")
    print(f"{len(findings) - len(damaged)} of {len(findings)} stores intact")
    if options.repair and damaged:
        repair(damaged)
        print(f"{len(damaged)} removed; the next run makes them anew")
    return 1 if damaged else 0


def _index(options: argparse.Namespace) -> None:
    _write_index(options.config, options.output)


def _write_index(config: Path, output: Path) -> None:
    from rgflow.settings.plain import read_yaml
    from rgflow.store.index import write_index
    from rgflow.study.plan import Study

    write_index(output, Study(read_yaml(config)).index)


def _estimate(options: argparse.Namespace) -> None:
    from rgflow.settings.plain import read_yaml
    from rgflow.study.estimate import estimate, table

    for line in table(estimate(read_yaml(options.config))):
        print(line)


def _summary(options: argparse.Namespace) -> None:
    from rgflow.study.summary import print_summary

    print_summary(options.path)


def _evidence(options: argparse.Namespace) -> None:
    from rgflow.chapters.bayes.table import evidence_table, format_evidence

    print(format_evidence(evidence_table(options.path)))


def _schema(_: argparse.Namespace) -> None:
    from rgflow.study.config import schema_text

    print(schema_text(), end="")
