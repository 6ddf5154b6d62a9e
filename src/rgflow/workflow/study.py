"""A study: the cells of its sweep, the paths of their stores, and the spec each stage consumes.

This is all that the Snakemake rules know. A *spec* is the sorted JSON of exactly the configuration keys that a stage
consumes, so a change elsewhere in the configuration leaves the stage idle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from rgflow.errors import RgflowError
from rgflow.sampling.spec import check_tensors
from rgflow.store.digest import canonical_json
from rgflow.store.labels import cell_path
from rgflow.workflow.config import ActivationChoice, Config, Ensemble, Residual, Scales, Training, load_config
from rgflow.workflow.stage import find_stage

CELL = "activation~{activation}/init~{init}/depth~{depth}"
WIDE_CELL = CELL + "/width~{width}"
Labels = Mapping[str, str]
_DNTK_PROBES = 2  # inputs that theory of the dNTK takes: they always span two dimensions at most
_DEEP = 12  # layers from which on an exponent of depth can be measured


class Study:
    """A validated configuration with its cells, paths and specs.

    Parameters
    ----------
    raw : mapping
        The configuration as read from YAML.

    Raises
    ------
    RgflowError
        If the configuration is wrong or asks for something that does not exist; one line each.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.config: Config = load_config(raw)
        self.root = f"results/{self.config.study}"
        self._require_critical_points()
        self._require_known_of_kind()
        self._require_differentiable()

    @cached_property
    def activations(self) -> dict[str, dict[str, Any]]:
        """Path label -> activation (name, parameters)."""
        return {_activation_label(a): _activation(a) for a in self.config.networks.activation}

    @cached_property
    def initializations(self) -> dict[str, Any]:
        """Path label -> ``"critical"`` or the scales ``C_b``, ``C_W``."""
        return {_initialization_label(i): _initialization(i) for i in self.config.networks.initialization}

    @property
    def initialization_depths(self) -> list[int]:
        """Depths of the networks at initialization."""
        return [] if self.config.ensemble is None else self._ensemble.depth or self.config.networks.depth

    @property
    def exact_cells(self) -> list[str]:
        """Cells with a law at every width: plain deep linear networks, or one input and a scale-invariant activation."""
        known = [] if self._residual else [label for label in self.activations if self._has_exact_law(label)]
        return self._sweep(known, self.initialization_depths)

    @property
    def exponent_depths(self) -> list[int]:
        """Depths at which exponents of depth are measured: of networks that are deep, and sampled for V/K^2 or more."""
        measured = self.config.ensemble is not None and {"K", "V"} <= set(self.config.ensemble.tensors)
        return [depth for depth in self.initialization_depths if measured and depth >= _DEEP]

    @property
    def dntk_depths(self) -> list[int]:
        """Depths of the networks whose NTK is differentiated."""
        return [] if self.config.dntk is None else self.config.dntk.depth or self.config.networks.depth

    @property
    def training_depths(self) -> list[int]:
        """Depths of the trained networks."""
        return [] if self.config.training is None else self._training.depth or self.config.networks.depth

    @property
    def ensemble_blocks(self) -> list[str]:
        """Labels of the blocks of an ensemble at initialization."""
        return [] if self.config.ensemble is None else _blocks(self._ensemble.members // self._ensemble.block)

    @property
    def training_blocks(self) -> list[str]:
        """Labels of the blocks of a trained ensemble."""
        return [] if self.config.training is None else _blocks(self._training.members // self._training.block)

    def cells(self, depths: Iterable[int]) -> list[str]:
        """Relative paths of all cells without widths, ``activation~tanh/init~critical/depth~4``."""
        return self._sweep(self.activations, depths)

    def manifests(self, stage: str, depths: Iterable[int]) -> list[str]:
        """Manifests of all cells of a stage."""
        return [f"{self.root}/{stage}/{cell}.json" for cell in self.cells(depths)]

    @property
    def criticality_cells(self) -> list[str]:
        """Labels of the activations whose phases are shown: those of plain networks."""
        return [] if self._residual else list(self.activations)

    @property
    def criticality_manifests(self) -> list[str]:
        """Manifests of the criticality of every activation."""
        return [f"{self.root}/theory/criticality/activation~{activation}.json" for activation in self.criticality_cells]

    def wide_manifests(self, stage: str, depths: Iterable[int]) -> list[str]:
        """Manifests of all cells of a stage that has widths."""
        folders = [f"{self.root}/{stage}/{cell}" for cell in self.cells(depths)]
        return [path for folder in folders for path in self.over_widths(folder, ".json")]

    @staticmethod
    def stores(manifests: Iterable[str]) -> list[str]:
        """Stores of manifests."""
        return [path.removesuffix(".json") + ".zarr" for path in manifests]

    def over_widths(self, folder: str, suffix: str) -> list[str]:
        """Paths ``folder/width~N.suffix`` for every width; wildcards in ``folder`` stay open."""
        return [f"{folder}/width~{width}{suffix}" for width in self.config.networks.width]

    def yaml(self) -> str:
        """The whole configuration, defaults written out."""
        import yaml

        return str(yaml.safe_dump(self.config.model_dump(), sort_keys=False))

    def code(self, stage: str) -> str:
        """Code digest of a stage."""
        return find_stage(stage).code

    def spec(self, stage: str, labels: Labels | None = None) -> str:
        """The spec of a stage for one cell, as sorted JSON."""
        return canonical_json(getattr(self, "_spec_" + stage.replace("/", "_"))(labels or {}))

    def _spec_inputs(self, _: Labels) -> dict[str, Any]:
        spec: dict[str, Any] = {"inputs": self.config.inputs.model_dump()}
        if self.config.inputs.path is not None:
            spec["content"] = _file_digest(Path(self.config.inputs.path))
        return spec

    def _spec_theory_criticality(self, labels: Labels) -> dict[str, Any]:
        return self._activation(labels)

    def _spec_theory_hyperparameters(self, labels: Labels) -> dict[str, Any]:
        rates = self.config.networks.learning_rates
        return {
            "activation": self.activations[labels["activation"]],
            "initialization": self.initializations[labels["init"]],
            "depth": int(labels["depth"]),
            "learning_rates": rates if isinstance(rates, str) else rates.model_dump(),
            **({"residual": self._residual.model_dump()} if self._residual else {}),
        }

    def _spec_theory_initialization(self, labels: Labels) -> dict[str, Any]:
        return self._activation(labels)

    def _spec_theory_dntk(self, labels: Labels) -> dict[str, Any]:
        return self._activation(labels)

    def _spec_theory_infinite_width(self, labels: Labels) -> dict[str, Any]:
        return {**self._activation(labels), **self.config.infinite_width.model_dump()}

    def _spec_theory_learning_rate(self, labels: Labels) -> dict[str, Any]:
        return {**self._activation(labels), "step_fraction": self._training.step_fraction}

    def _spec_theory_training(self, labels: Labels) -> dict[str, Any]:
        training = self._training.model_dump(include={"step_fraction", "steps", "records"})
        return {**self._activation(labels), "training": training}

    def _spec_ensemble_block(self, labels: Labels) -> dict[str, Any]:
        ensemble = self._ensemble.model_dump(include={"tensors", "sampler", "dtype", "kept", "seed"})
        return {
            **self._network(labels),
            "ensemble": ensemble,
            **_members(labels, self._ensemble.block),
        }

    def _spec_ensemble_combine(self, _: Labels) -> dict[str, Any]:
        return {"members": self._ensemble.members}

    def _spec_dntk(self, labels: Labels) -> dict[str, Any]:
        assert self.config.dntk is not None  # only asked for cells of a study with dNTK
        return {**self._network(labels), "dntk": self.config.dntk.model_dump(include={"members", "seed"})}

    def _spec_training_block(self, labels: Labels) -> dict[str, Any]:
        training = self._training.model_dump(include={"steps", "records", "dtype", "seed"})
        return {
            **self._network(labels),
            "training": training,
            **_members(labels, self._training.block),
        }

    def _spec_training_combine(self, _: Labels) -> dict[str, Any]:
        return {"members": self._training.members}

    def _spec_comparison_initialization(self, _: Labels) -> dict[str, Any]:
        return {"width": self.config.networks.width}

    def _spec_comparison_dntk(self, _: Labels) -> dict[str, Any]:
        return {"width": self.config.networks.width}

    def _spec_comparison_exact(self, labels: Labels) -> dict[str, Any]:
        return {**self._activation(labels), "width": self.config.networks.width}

    def _spec_comparison_exponents(self, _: Labels) -> dict[str, Any]:
        return {"width": self.config.networks.width}

    def _spec_comparison_training(self, _: Labels) -> dict[str, Any]:
        return {"width": self.config.networks.width}

    @property
    def _residual(self) -> Residual | None:
        return self.config.networks.residual

    @property
    def _ensemble(self) -> Ensemble:
        assert self.config.ensemble is not None  # only asked for cells of a study with ensembles
        return self.config.ensemble

    @property
    def _training(self) -> Training:
        assert self.config.training is not None  # only asked for cells of a study with training
        return self.config.training

    def _activation(self, labels: Labels) -> dict[str, Any]:
        return {"activation": self.activations[labels["activation"]]}

    def _network(self, labels: Labels) -> dict[str, Any]:
        return {**self._activation(labels), "width": int(labels["width"])}

    def _sweep(self, activations: Iterable[str], depths: Iterable[int]) -> list[str]:
        sweep = product(activations, self.initializations, depths)
        return [cell_path({"activation": a, "init": i, "depth": d}) for a, i, d in sweep]

    def _has_exact_law(self, label: str) -> bool:
        from rgflow.activations.registry import activation

        slopes = activation(self.activations[label]["name"], **self.activations[label]["parameters"]).slopes
        return slopes == (1.0, 1.0) or (slopes is not None and self.config.inputs.probes == 1)

    def _require_critical_points(self) -> None:
        """Stop before any job if an activation is unknown, or critical is asked of one that has no critical point."""
        from rgflow.activations.registry import activation
        from rgflow.theory.criticality.critical import critical

        for label, choice in self.activations.items():
            chosen = activation(choice["name"], **choice["parameters"])
            if "critical" in self.initializations and critical(chosen).universality_class == "none":
                raise RgflowError(
                    f"config: networks.initialization = 'critical': {label} has no critical point; give C_b and C_W"
                )

    def _require_known_of_kind(self) -> None:
        """Stop before any job if something is asked that is known of plain networks only, or of residual ones only."""
        if self.config.ensemble is not None:
            try:
                check_tensors(self._ensemble.tensors, residual=self._residual is not None)
            except RgflowError as error:
                raise RgflowError(f"config: ensemble.{error}") from None
        if self._residual is None:
            return
        if self.config.training is not None:
            raise RgflowError("config: training: residual networks are sampled, not trained; give training: null")
        if self.config.networks.learning_rates == "equivalence":
            raise RgflowError(
                "config: networks.learning_rates = 'equivalence': known of plain networks; give lambda_b and lambda_W"
            )
        if "critical" in self.initializations and abs(self._residual.xi_2) >= 1.0:
            raise RgflowError(
                f"config: networks.residual.xi_2 = {self._residual.xi_2:g}: not critical for any C_W; give |xi_2| < 1"
            )

    def _require_differentiable(self) -> None:
        """Stop before any job if the dNTK is asked of what has none that we know."""
        if self.config.dntk is None:
            return
        from rgflow.activations.registry import activation

        for label, choice in self.activations.items():
            if activation(choice["name"], **choice["parameters"]).kinks:
                raise RgflowError(f"config: dntk: {label} has kinks; the dNTK needs a smooth activation, such as gelu")
        if self._residual is not None:
            raise RgflowError("config: dntk: known of plain networks, not of residual ones; give dntk: null")
        if self.config.inputs.probes > _DNTK_PROBES:
            raise RgflowError(
                f"config: inputs.probes = {self.config.inputs.probes}: theory of the dNTK takes up to {_DNTK_PROBES}"
            )


def _blocks(count: int) -> list[str]:
    return [f"{index:04d}" for index in range(count)]


def _members(labels: Labels, block: int) -> dict[str, int]:
    """The members of a block: where it starts and how many it has."""
    return {"first": int(labels["block"]) * block, "count": block}


def _activation(choice: str | ActivationChoice) -> dict[str, Any]:
    return ActivationChoice(name=choice).model_dump() if isinstance(choice, str) else choice.model_dump()


def _activation_label(choice: str | ActivationChoice) -> str:
    if isinstance(choice, str):
        return choice
    return "-".join([choice.name, *(f"{key}={value:g}" for key, value in sorted(choice.parameters.items()))])


def _initialization(choice: str | Scales) -> Any:
    return choice if isinstance(choice, str) else choice.model_dump()


def _initialization_label(choice: str | Scales) -> str:
    return choice if isinstance(choice, str) else f"Cb={choice.C_b:g}-CW={choice.C_W:g}"


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise RgflowError(f"config: inputs.path = {str(path)!r}: no such file (see data/README.md)") from None


def load_study(raw: Mapping[str, Any]) -> Study:
    """The study of a configuration, for the Snakefile: a wrong configuration is reported by Snakemake in its own words."""
    from snakemake.exceptions import WorkflowError

    try:
        return Study(raw)
    except RgflowError as error:
        raise WorkflowError(str(error)) from None
