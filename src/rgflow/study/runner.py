"""The one runner of all stages: it does the input, output, logging, progress, memo and provenance around a pure function."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rgflow.compute.machine import find_device, peak_memory
from rgflow.compute.progress import show_dask_progress, show_progress
from rgflow.errors import RgflowError, TransientError
from rgflow.store import memo
from rgflow.store.digest import canonical_json, digest_json, slabs
from rgflow.store.labels import parse_path
from rgflow.store.manifest import read_manifest, store_of
from rgflow.study import catalogue
from rgflow.study.config import load_config
from rgflow.study.stage import Datasets, Labelled, Resources, Scratch, Stage

if TYPE_CHECKING:
    import xarray as xr

_log = logging.getLogger("rgflow")
Manifests = Mapping[str, Sequence[Path]]


def run_stage(stage: Stage, spec: Mapping[str, Any], inputs: Manifests, output: Path, resources: Resources) -> None:
    """Run a stage and publish its result as ``output`` (a manifest, its store beside it).

    Parameters
    ----------
    stage : Stage
        What to run.
    spec : mapping
        Exactly the configuration the stage consumes.
    inputs : mapping of str to list of path
        Manifests of the datasets the stage reads, by role.
    output : path
        Manifest to write, ``x.json``; the store is ``x.zarr``.
    resources : Resources
        How to compute.

    Raises
    ------
    RgflowError
        If an input is missing or not as its manifest says, or the stage finds its input or result unusable; then nothing
        is published.
    """
    _require_whole(stage, spec, inputs, output)
    if resources.device == "cuda":  # a result in the memo must not hide that there is none
        find_device(resources.device)
    identity = {"stage": stage.name, "spec": spec, "code": stage.code, "upstream": _upstream(inputs)}
    key, store = digest_json(identity), store_of(output)
    if memo.restore(store, key):
        _log.info("%s: %s taken from the memo, nothing to compute", stage.name, store)
        return
    started = time.monotonic()
    with _refused_once(store, key, resources.attempt):
        result = _compute(stage, spec, inputs, resources)
        _publish(stage, result, store, identity, resources.workers)
    memo.keep(store, key)
    seconds, peak = time.monotonic() - started, peak_memory() / 1e6
    _log.info("%s: %s published after %.1f s; peak memory %.0f MB", stage.name, store, seconds, peak)


@contextmanager
def _refused_once(store: Path, key: str, attempt: int) -> Iterator[None]:
    """What a job refuses depends on its key alone: its next attempt refuses with the same line, and computes nothing."""
    if attempt > 1 and (line := memo.refusal(store, key)):
        raise RgflowError(line)
    memo.forget_refusal(store)
    try:
        yield
    except TransientError:
        raise
    except RgflowError as error:
        if attempt:
            memo.note_refusal(store, key, str(error))
        raise


def _require_whole(stage: Stage, spec: Mapping[str, Any], inputs: Manifests, output: Path) -> None:
    """Raise one line unless a stage is given all that it consumes, and a manifest to write."""
    if output.suffix != ".json":
        raise RgflowError(f"--output {output}: a manifest is needed, x.json; its store is x.zarr")
    for role in stage.reads:
        if role not in inputs:  # a role may be empty: what it reads need not exist in every study
            raise RgflowError(f"{stage.name} needs --input {role} MANIFEST ...; it reads {', '.join(stage.reads)}")
    for axis in stage.axes:
        if axis not in spec:
            raise RgflowError(f"--spec: {axis!r} is missing")
    for key in stage.config:
        section, _, member = key.partition(".")
        if not isinstance(spec.get(section), Mapping) or (member and member not in spec[section]):
            raise RgflowError(f"--spec: {key!r} is missing")
        if not member:
            whole = getattr(load_config({"study": "spec", section: spec[section]}), section)
            if missing := sorted(set(type(whole).model_fields) - set(spec[section])):
                raise RgflowError(f"--spec: '{section}.{missing[0]}' is missing")


def _upstream(inputs: Manifests) -> dict[str, dict[str, str]]:
    """Digest of all that is read, by role and labels: order does not matter, an exchange of two cells does."""
    upstream: dict[str, dict[str, str]] = {role: {} for role in inputs}
    for role, paths in inputs.items():
        for path in paths:
            cell = canonical_json(parse_path(path)[1])
            if cell in upstream[role]:
                raise RgflowError(f"--input {role}: two manifests of one cell, the second is {path}")
            upstream[role][cell] = read_manifest(path)["digest"]
    return upstream


def load_inputs(inputs: Manifests) -> Datasets:
    """All that a stage or figure reads, verified against the manifests, with the labels of the cells."""
    from rgflow.store.check import open_intact
    from rgflow.store.publish import without_provenance

    return {
        role: [Labelled(parse_path(path)[1], without_provenance(open_intact(path))) for path in paths]
        for role, paths in inputs.items()
    }


def _compute(stage: Stage, spec: Mapping[str, Any], inputs: Manifests, resources: Resources) -> xr.Dataset:
    datasets = load_inputs(inputs)
    with show_progress(stage.name) as progress:
        return stage.load()(datasets, spec, replace(resources, progress=progress))


def _publish(stage: Stage, result: xr.Dataset, store: Path, identity: dict[str, Any], workers: int) -> None:
    """Publish a result; lazy arrays are evaluated now, in threads."""
    import dask

    from rgflow.store.provenance import provenance
    from rgflow.store.publish import publish

    def certify(written: xr.Dataset, scratch: Scratch) -> Mapping[str, Any]:
        require_finite(written, stage.name)
        return stage.certify(written, scratch)

    shown = show_dask_progress(stage.name) if result.chunks else nullcontext()
    with shown, dask.config.set(scheduler="threads", num_workers=workers):
        publish(result, store, {**identity, **provenance()}, catalogue.registry(), certify)


def require_finite(result: xr.Dataset, where: str) -> None:
    """Raise one line naming variable and layer or step if a floating-point variable holds NaN or infinity.

    A variable may hold them only where its registry entry says so (what does not exist for a cell, or diverged).
    """
    import numpy as np

    registry = catalogue.registry()
    for name, array in result.data_vars.items():
        if array.dtype.kind != "f" or registry.lookup(str(name)).may_be_missing:
            continue
        for slab in slabs(array):
            bad = ~np.isfinite(slab.values)
            if bad.any():
                raise RgflowError(
                    f"{where}: {name} is not finite{_first_place(slab, bad)}; is the network off critical, too deep or unstable?"
                )


def _first_place(array: xr.DataArray, bad: Any) -> str:
    import numpy as np

    first = np.argwhere(bad)[0]
    places = [
        f"{dim} {array[dim].values[i]}" for dim, i in zip(array.dims, first, strict=True) if dim in ("layer", "step")
    ]
    return " at " + ", ".join(places) if places else ""


def parse_spec(text: str) -> dict[str, Any]:
    """Parse the JSON of a spec."""
    try:
        spec = json.loads(text)
    except json.JSONDecodeError as error:
        raise RgflowError(f"--spec is not valid JSON: {error}") from None
    if not isinstance(spec, dict):
        raise RgflowError("--spec must be a JSON object")
    return spec
