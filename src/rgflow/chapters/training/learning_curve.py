"""Stage ``comparison/learning_curve``: the test loss against the number of train samples, bias and variance apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.theory.learning.generalization import LOSS_PARTS

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Labelled, Resources, Spec


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """Test losses on (train, step) of theory and (train, width, step) of ensembles, with errors, by part."""
    import xarray as xr

    names = [f"test_{part}" for part in LOSS_PARTS]
    trained = [_losses(one, names, ("", "_stderr"), ("train", "width")) for one in datasets["experiment"]]
    theory = [_losses(one, names, ("", "1", "1_error"), ("train",)) for one in datasets["theory"]]
    predicted = xr.concat(theory, "train").sortby("train").sel(step=trained[0]["step"])
    predicted = predicted.rename({name: f"{name}_infinite" for name in names})
    return predicted.merge(xr.combine_by_coords(trained, combine_attrs="drop")).drop_encoding()


def _losses(one: Labelled, names: list[str], suffixes: tuple[str, ...], axes: tuple[str, ...]) -> xr.Dataset:
    wanted = [f"{name}{suffix}" for name in names for suffix in suffixes]
    found = one.dataset[[name for name in wanted if name in one.dataset]].drop_attrs()
    return found.expand_dims({axis: [one.labels[axis]] for axis in axes})
