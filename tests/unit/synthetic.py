"""A synthetic world with a known answer: theory, ensembles that follow a stated series in 1/n, trained networks."""

from __future__ import annotations

import numpy as np
import xarray as xr

WIDTHS = (32, 64, 128)
NTK_SAMPLES = (1, 4)
"""Recorded NTK: a train and a test sample."""


def theory_at_initialization(depth: int = 6, inputs: int = 2) -> xr.Dataset:
    """Smooth tensors with the symmetries of the real ones, growing with depth."""
    layer = np.arange(1, depth + 1)
    gram = 0.6 + 0.4 * np.eye(inputs) + 0.1 * np.add.outer(np.arange(inputs), np.arange(inputs))
    passed = (layer - 1.0)[:, None, None]
    K = gram / (1.0 + 0.1 * passed)
    Theta = gram * (1.0 + passed)
    pairs = np.einsum("lac,lbd->labcd", K, K) + np.einsum("lad,lbc->labcd", K, K)
    one_sided = np.einsum("lab,lcd->labcd", K, Theta)
    data = {
        "K": K,
        "G1": -0.3 * passed * K,
        "Theta": Theta,
        "Theta1": 0.2 * passed * Theta,
        "V": passed[..., None, None] * pairs,
        "D": passed[..., None, None] * one_sided,
        "F": passed[..., None, None] * np.einsum("lac,lbd->labcd", Theta, Theta),
        "B": passed[..., None, None] * np.einsum("lac,lbd->lacbd", Theta, Theta),
    }
    return xr.Dataset({name: (_dims(array), array) for name, array in data.items()}, coords=_coords(layer, inputs))


def ensembles(theory: xr.Dataset, curvature: float = 2.0, precision: float = 0.01, seed: int = 1) -> xr.Dataset:
    """Estimates: theory + next order / n + curvature * theory / n^2 + noise of the stated standard error."""
    rng = np.random.default_rng(seed)
    cells = [_ensemble(theory, width, curvature, precision, rng) for width in WIDTHS]
    return xr.concat(cells, dim=xr.Variable("width", np.array(WIDTHS)))


def _ensemble(theory: xr.Dataset, n: int, curvature: float, precision: float, rng: np.random.Generator) -> xr.Dataset:
    data = {}
    for name in ("K", "Theta", "V", "D", "F", "B"):
        leading = theory[name]
        slope = theory[{"K": "G1", "Theta": "Theta1"}[name]] if name in ("K", "Theta") else 1.5 * leading
        stderr = precision * abs(leading) * (leading["layer"] > 1)
        data[name] = leading + (slope / n + curvature * leading / n**2) * (leading["layer"] > 1)
        data[name] = data[name] + stderr * rng.standard_normal(leading.shape)
        data[f"{name}_stderr"] = stderr
    return xr.Dataset(data)


def training_theory(samples: int = 6, steps: int = 8) -> xr.Dataset:
    """Exponential relaxation of mean predictions to targets, with shrinking spread; half the samples are train."""
    time = np.concatenate([[0], 2 ** np.arange(steps - 1)])
    decay = np.exp(-time / 10.0)
    target = np.where(np.arange(samples) % 2, 1.0, -1.0)
    spread = 0.05 + 0.9 * decay
    gram = 0.5 + 0.5 * np.eye(samples)
    return xr.Dataset(
        {
            "prediction_mean": (("step", "sample", "output"), ((1 - decay)[:, None] * target)[..., None]),
            "prediction_covariance": (("step", "sample_1", "sample_2"), spread[:, None, None] * gram),
            "Theta_output": (("sample_1", "sample_2"), 4.0 * gram),
            "train_loss": ("step", 3.0 * decay + 1e-9),
            "test_loss": ("step", 3.0 * decay + 0.3),
        },
        coords={
            "step": time,
            "sample": np.arange(samples),
            "sample_1": np.arange(samples),
            "sample_2": np.arange(samples),
            "role": (
                "sample",
                np.array(["train"] * (samples // 2) + ["test"] * (samples - samples // 2), dtype=object),
            ),
        },
    )


def with_next_order(theory: xr.Dataset) -> xr.Dataset:
    """The same theory with order 1/n: what :func:`trained` shifts its means and its NTK by, and equal shares of three parts."""
    ones, pair = xr.ones_like(theory["prediction_covariance"]), {"output_1": 1, "output_2": 1}
    later = {
        "prediction_mean1": 2.0 * xr.ones_like(theory["prediction_mean"]),
        "prediction_covariance1": 0.0 * ones.expand_dims(pair, axis=(1, 2)),
        "NTK1": (theory["Theta_output"] * ones).expand_dims(pair, axis=(1, 2)).transpose("step", *pair, ...),
        "train_loss1": 0.0 * theory["train_loss"],
        "test_loss1": 0.0 * theory["test_loss"],
    }
    parts = (later["prediction_mean1"] / 3.0).expand_dims(part=["frozen", "dNTK", "ddNTK"]).transpose("step", ...)
    by_part = {"prediction_mean1_parts": parts, "prediction_mean1_limit_parts": parts.isel(step=-1, drop=True)}
    errors = {f"{name}_error": 0.01 * xr.ones_like(values) for name, values in later.items()}
    return theory.assign({**later, **by_part, **errors})


def learning_curve() -> xr.Dataset:
    """Test losses that fall as one over the number of train samples, the same at every width."""
    counts, steps, widths = np.array([4, 8, 16]), np.array([0, 10]), np.array(WIDTHS)
    losses = xr.DataArray(1.0 / counts, dims="train", coords={"train": counts}) * xr.ones_like(
        xr.DataArray(steps, dims="step", coords={"step": steps}), dtype=float
    )
    of_widths = losses.expand_dims(width=widths).transpose("train", "width", "step")
    names = {"loss": 1.0, "bias": 0.25, "variance": 0.75}
    infinite = {f"test_{part}_infinite": share * losses for part, share in names.items()}
    following = {f"test_{part}1": 0.1 * share * losses for part, share in names.items()}
    measured = {f"test_{part}": share * of_widths for part, share in names.items()}
    errors = {f"test_{part}_stderr": 0.01 * of_widths for part in names}
    return xr.Dataset({**infinite, **following, **measured, **errors})


def trained(theory: xr.Dataset, members: int = 200, seed: int = 2) -> xr.Dataset:
    """Ensembles of Gaussian predictions with the theory's mean (shifted by 1/n) and covariance."""
    rng = np.random.default_rng(seed)
    cells = [_trained(theory, width, members, rng) for width in WIDTHS]
    return xr.concat(cells, dim=xr.Variable("width", np.array(WIDTHS)))


def _trained(theory: xr.Dataset, n: int, members: int, rng: np.random.Generator) -> xr.Dataset:
    root = np.linalg.cholesky(theory["prediction_covariance"].values)
    steps, samples = root.shape[:2]
    noise = np.einsum("tab,mtb->mta", root, rng.standard_normal((members, steps, samples)))
    prediction = theory["prediction_mean"].values[None] + noise[..., None] + 2.0 / n
    centred = prediction[..., 0] - prediction[..., 0].mean(0)
    covariance = np.einsum("mta,mtb->tab", centred, centred) / (members - 1)
    variance = np.einsum("taa->ta", covariance)
    losses = {
        f"{name}_loss": theory[f"{name}_loss"].values * (1 + 0.1 * rng.standard_normal((members, steps)))
        for name in ("train", "test")
    }
    data: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "prediction": (("member", "step", "sample", "output"), prediction),
        "prediction_mean": (("step", "sample", "output"), prediction.mean(0)),
        "prediction_mean_stderr": (("step", "sample", "output"), prediction.std(0, ddof=1) / np.sqrt(members)),
        "prediction_covariance": (("step", "sample_1", "sample_2"), covariance),
        "prediction_covariance_stderr": (
            ("step", "sample_1", "sample_2"),
            np.sqrt((np.einsum("ta,tb->tab", variance, variance) + covariance**2) / (members - 1)),
        ),
    }
    frozen = theory["Theta_output"].values[np.ix_(NTK_SAMPLES, NTK_SAMPLES)] * (1 + 1.0 / n)
    ntk_dims = ("ntk_step", "ntk_sample_1", "ntk_sample_2")
    data["NTK"] = (ntk_dims, frozen + 0.01 * rng.standard_normal((2, *frozen.shape)))
    data["NTK_stderr"] = (ntk_dims, np.full((2, *frozen.shape), 0.01))
    for name, loss in losses.items():
        data[f"member_{name}"] = (("member", "step"), loss)
        data[name] = (("step",), loss.mean(0))
        data[f"{name}_stderr"] = (("step",), loss.std(0, ddof=1) / np.sqrt(members))
    ntk = {"ntk_step": [0, int(theory["step"][-1])], **{f"ntk_sample_{leg}": list(NTK_SAMPLES) for leg in (1, 2)}}
    return xr.Dataset(data, coords={**theory.coords, **ntk, "member": np.arange(members)})


def _dims(array: np.ndarray) -> tuple[str, ...]:
    return ("layer", *(f"sample_{leg}" for leg in range(1, array.ndim)))


def _coords(layer: np.ndarray, inputs: int) -> dict[str, np.ndarray]:
    return {"layer": layer, **{f"sample_{leg}": np.arange(inputs) for leg in range(1, 5)}}
