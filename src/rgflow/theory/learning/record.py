"""Labels of training results: every quantity at the recorded steps and at the end of training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.schedule import Schedule

_MATRIX = ("output_1", "output_2", "sample_1", "sample_2")
_DIMS = {
    "prediction_mean": ("sample", "output"),
    "prediction_covariance": ("sample_1", "sample_2"),
    "prediction_mean1": ("sample", "output"),
    "prediction_covariance1": _MATRIX,
    "NTK1": _MATRIX,
}
PARTS_SUFFIX, LIMIT_SUFFIX = "_parts", "_limit"


def recorded(task: Task, schedule: Schedule, values: Mapping[str, Array]) -> xr.Dataset:
    """Dataset of arrays over time, of which the last entry is the end of training and gets the suffix ``_limit``.

    The suffix ``_parts``, of arrays with the parts of order 1/n on their second axis, comes after that.
    """
    variables = {}
    for name, value in values.items():
        base = name.removesuffix(PARTS_SUFFIX)
        dims = (("part",) if name.endswith(PARTS_SUFFIX) else ()) + _DIMS.get(base, ())
        variables[name] = (("step", *dims), value[:-1])
        variables[f"{base}{LIMIT_SUFFIX}{name.removeprefix(base)}"] = (dims, value[-1])
    return xr.Dataset(variables, _coordinates(task, schedule))


def _coordinates(task: Task, schedule: Schedule) -> dict[str, object]:
    records = np.array(schedule.records)
    step = {"step": np.arange(len(records)), "time": ("step", records)} if schedule.flow else {"step": records}
    return {**step, **task.coordinates}
