"""Blocks: invariance to the bit under every split, merging, and messages for bad input."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.sampling.blocks import sample_block, sample_groups, sample_initialization
from rgflow.sampling.groups import combine, estimate_tensors
from rgflow.sampling.spec import SamplingSpec

NETWORK = Network("tanh", (3, 5, 4, 2), 0.1, 1.3, 0.2, 0.9)
INPUTS = np.array([[0.5, -1.0, 0.3], [1.0, 0.2, -0.4]])
ALL = ("K", "V", "Theta", "D", "F", "A", "B")
ENSEMBLE = SamplingSpec(seed=3, tensors=ALL, kept=1500)

block = partial(sample_groups, NETWORK, INPUTS)


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    return block(range(4), ENSEMBLE)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_split_and_order_change_no_bit(whole: xr.Dataset, order: tuple[int, ...]) -> None:
    blocks = [block(range(1), ENSEMBLE), block(range(1, 3), ENSEMBLE), block(range(3, 4), ENSEMBLE)]
    xr.testing.assert_identical(combine([blocks[i] for i in order]), whole)


def test_merging_is_associative(whole: xr.Dataset) -> None:
    first, second, third = (block(groups, ENSEMBLE) for groups in (range(1), range(1, 3), range(3, 4)))
    xr.testing.assert_identical(combine([combine([first, third]), second]), whole)


def test_a_growing_ensemble_keeps_its_members(whole: xr.Dataset) -> None:
    xr.testing.assert_identical(block(range(2), ENSEMBLE), whole.isel(group=slice(2)).sel(member=slice(2000)))


def test_other_tensors_do_not_change_the_forward_draws(whole: xr.Dataset) -> None:
    alone = block(range(4), SamplingSpec(seed=3, tensors=("K",)))
    assert set(alone) == {"mean_G"}
    np.testing.assert_array_equal(alone.mean_G, whole.mean_G)


def test_torch_threads_change_no_bit(whole: xr.Dataset) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        xr.testing.assert_identical(block(range(4), ENSEMBLE), whole)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_block_is_the_union_of_its_tasks(whole: xr.Dataset) -> None:
    blocks = [sample_block(NETWORK, INPUTS, groups, ENSEMBLE, device="cpu") for groups in (range(3, 11), range(3))]
    joined = combine(blocks)
    assert joined.group.values.tolist() == list(range(11))
    xr.testing.assert_identical(joined.isel(group=slice(4)), whole)


def test_groups_of_several_chunks() -> None:
    """A network so wide that a group is drawn in four chunks."""
    wide = Network("relu", (3, 500, 1), 0.1, 2.0)
    kept = {
        count: sample_groups(wide, INPUTS, range(2), SamplingSpec(3, ("K",), kept=count), "cpu")
        for count in (600, 1200)
    }
    assert kept[600].member.values.tolist() == list(range(600))
    np.testing.assert_array_equal(kept[600].preactivation, kept[1200].preactivation[:600])
    second = sample_groups(wide, INPUTS, range(1, 2), SamplingSpec(3, ("K",), kept=1200), "cpu")
    np.testing.assert_array_equal(second.preactivation, kept[1200].preactivation[1000:])
    assert len(np.unique(kept[1200].preactivation)) == kept[1200].preactivation.size  # no number is drawn twice


def test_members_kept_one_by_one(whole: xr.Dataset) -> None:
    assert whole.member.values.tolist() == list(range(1500))
    assert whole.preactivation.dims == ("member", "layer", "output_1", "sample_1")
    first = block(range(1), ENSEMBLE)
    same = np.einsum("mlab,mlcd->lacbd", first.ntk[:, :, 0, 1], first.ntk[:, :, 0, 1]) / 1000
    np.testing.assert_allclose(first.mean_H12H12[0], same, rtol=1e-12)


@pytest.mark.parametrize("sampler", ["marginal", "weights"])
def test_layer_one_is_exact(sampler: str) -> None:
    result = sample_initialization(NETWORK, INPUTS, members=2000, seed=1, tensors=ALL, sampler=sampler, device="cpu")
    gram = INPUTS @ INPUTS.T / 3
    np.testing.assert_allclose(result.K.sel(layer=1), 0.1 + 1.3 * gram, rtol=1e-14)
    np.testing.assert_allclose(result.Theta.sel(layer=1), 0.2 + 0.9 * gram, rtol=1e-14)
    for name in ALL:
        assert (result[f"{name}_stderr"].sel(layer=1) == 0).all()
        assert (result[f"{name}_stderr"].sel(layer=[2, 3]) > 0).all()
    for name in ("V", "D", "F", "A", "B"):
        assert (result[name].sel(layer=1) == 0).all()
    assert result.attrs["members"] == 2000


def test_estimates_have_the_symmetries_of_the_tensors(whole: xr.Dataset) -> None:
    found = {name: estimate_tensors(whole)[name].values for name in ALL}
    for name in ("V", "A"):
        np.testing.assert_allclose(found[name], found[name].transpose(0, 2, 1, 3, 4), atol=1e-9)
        np.testing.assert_allclose(found[name], found[name].transpose(0, 3, 4, 1, 2), atol=1e-9)
    for slots in ((0, 2, 1, 3, 4), (0, 1, 2, 4, 3)):
        np.testing.assert_allclose(found["D"], found["D"].transpose(slots), atol=1e-9)
    for name in ("F", "B"):
        np.testing.assert_allclose(found[name], found[name].transpose(0, 3, 4, 1, 2), atol=1e-9)
    np.testing.assert_allclose(found["B"], found["B"].transpose(0, 2, 1, 4, 3), atol=1e-9)


def test_selected_layers_only(whole: xr.Dataset) -> None:
    some = block(range(2), SamplingSpec(seed=3, tensors=ALL, layers=(3,)))
    assert some.layer.values.tolist() == [3]
    np.testing.assert_array_equal(some.mean_H11H22, whole.mean_H11H22.sel(group=[0, 1], layer=[3]))


def test_covariance_between_layers_has_the_squared_errors_on_its_diagonal(whole: xr.Dataset) -> None:
    found = estimate_tensors(whole)
    for name in ALL:
        covariance = found[f"{name}_covariance"]
        assert covariance.dims == ("sample_1", "layer", "layer_2")
        stderr = found[f"{name}_stderr"].isel({f"sample_{leg}": 1 for leg in range(1, found[name].ndim)})
        np.testing.assert_allclose(np.sqrt(np.diagonal(covariance[1])), stderr)


def test_estimates_of_stored_groups_need_no_torch() -> None:
    code = "import sys, rgflow.chapters.initialization.combine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_workers_change_no_bit(whole: xr.Dataset) -> None:
    result = sample_initialization(
        NETWORK, INPUTS, members=12_000, seed=3, tensors=ALL, kept=1500, workers=2, device="cpu"
    )
    alone = estimate_tensors(combine([whole, block(range(4, 12), ENSEMBLE)]))
    xr.testing.assert_identical(result, alone)


def test_progress_counts_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    sample_initialization(
        NETWORK, INPUTS, members=6000, seed=1, tensors=("K",), progress=lambda *step: seen.append(step), device="cpu"
    )
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": 0}, "members = 0; a multiple of 1000"),
        ({"members": 2500}, "members = 2500; a multiple of 1000"),
        ({"members": 1000}, "at least 2000"),
        ({"dtype": "float16"}, "dtype: 'float16'; allowed: auto, float32, float64"),
        ({"device": "gpu"}, "device = 'gpu'; allowed: auto, cpu, cuda"),
        ({"sampler": "exact"}, "sampler: 'exact'; allowed: marginal, weights"),
        ({"tensors": ("K", "X")}, "tensors: 'X'; allowed: K, T3, V"),
        ({"tensors": ()}, "tensors is empty"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 1.5}, "seed = 1.5; it must be an integer"),
        ({"members": 2e3}, "members = 2000.0; it must be an integer"),
        ({"layers": (0, 1)}, r"layers = \[0, 1\]; they must increase within 1..3"),
        ({"layers": (3, 2)}, r"layers = \[3, 2\]"),
        ({"law": "uniform"}, "needs sampler = 'weights'"),
        ({"law": "orthogonal", "sampler": "weights", "tensors": ("K", "V")}, "'V' with law = 'orthogonal'"),
        ({"workers": 0}, "workers = 0; at least 1"),
    ],
)
def test_bad_settings_are_one_clear_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(RgflowError, match=message) as raised:
        sample_initialization(NETWORK, INPUTS, **{"members": 2000, "seed": 1, **settings})  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_more_legs_than_outputs() -> None:
    network = Network("relu", (3, 5, 1), 0.0, 2.0)
    with pytest.raises(RgflowError, match="tensors: 'F' needs 2 neurons; layer 2 has 1"):
        sample_initialization(network, INPUTS, members=2000, seed=1, tensors=("K", "F"))
    sample_initialization(network, INPUTS, members=2000, seed=1, tensors=("K", "V", "Theta", "D"), device="cpu")


@pytest.mark.parametrize(
    ("network", "tensors", "message"),
    [
        (
            Network("relu", (3, 5, 5), 0.0, 2.0, xi_2=0.5),
            ("K", "A"),
            "'A' of a residual network; allowed: K, T3, V, Theta",
        ),
        (Network("relu", (3, 1, 1), 0.0, 2.0, xi_2=0.5), ("V",), "'V' needs 2 neurons; layer 1 has 1"),
        (Network("relu", (3, 5, 5), 0.0, 2.0), ("K", "T3"), "'T3' vanishes in a plain network"),
    ],
)
def test_tensors_that_a_kind_of_network_does_not_have(network: Network, tensors: tuple[str, ...], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        sample_initialization(network, INPUTS, members=2000, seed=1, tensors=tensors)


@pytest.mark.parametrize("sampler", ["marginal", "weights"])
def test_strengths_of_a_residual_network_key_its_draws(sampler: str) -> None:
    one, other = (
        sample_initialization(
            Network("relu", (3, 5, 5), 0.0, 2.0, xi_2=xi_2), INPUTS, members=2000, seed=1, sampler=sampler, kept=5
        )
        for xi_2 in (0.5, 0.6)
    )
    assert (one["preactivation"].isel(layer=0) != other["preactivation"].isel(layer=0)).all()
    assert one.attrs["network"] != other.attrs["network"]
    assert one["ntk"].sizes["output_1"] == one["preactivation"].sizes["output_1"] == 2


def test_members_are_kept_where_the_ntk_of_one_neuron_is_drawn() -> None:
    found = sample_initialization(
        NETWORK, INPUTS, members=2000, seed=1, tensors=("K", "Theta"), sampler="weights", kept=5
    )
    assert found["preactivation"].sizes["member"] == 5
    assert "ntk" not in found


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(RgflowError, match=r"inputs have shape \(2, 2\)"):
        sample_initialization(NETWORK, INPUTS[:, :2], members=2000, seed=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is present")
def test_absent_cuda_is_one_clear_line() -> None:
    with pytest.raises(RgflowError, match="no CUDA device here"):
        sample_initialization(NETWORK, INPUTS, members=2000, seed=1, device="cuda")


def test_non_finite_numbers_name_layer_and_variable() -> None:
    network = Network("monomial", (3, *[4] * 9, 2), 0.0, 1e6)
    with pytest.raises(RgflowError, match=r"mean_G is not finite at layer \d+"):
        sample_initialization(network, INPUTS, members=2000, seed=1, device="cpu")


def test_a_chunk_that_cannot_fit_says_so_beforehand() -> None:
    network = Network("relu", (3, 2_000_000, 2_000_000, 2), 0.0, 2.0)
    with pytest.raises(RgflowError, match=r"drawing 1 members at once needs .* GiB"):
        sample_initialization(network, INPUTS, members=2000, seed=1, sampler="weights", device="cpu")


def test_a_chunk_beyond_the_memory_of_a_process_says_so_beforehand() -> None:
    with pytest.raises(RgflowError, match=r"needs \d\.\d+ GiB; a process may use 0\.09 GiB"):
        sample_groups(NETWORK, INPUTS, range(1), ENSEMBLE, memory=1e8)


def test_blocks_that_do_not_belong_together(whole: xr.Dataset) -> None:
    with pytest.raises(RgflowError, match="group 1 is in two blocks"):
        combine([whole, block(range(1, 2), ENSEMBLE)])
    with pytest.raises(RgflowError, match="blocks differ in ensemble"):
        combine([whole, block(range(4, 5), SamplingSpec(seed=4, tensors=ALL, kept=1500))])
    with pytest.raises(RgflowError, match="blocks differ in inputs"):
        combine([whole, sample_groups(NETWORK, 2 * INPUTS, range(4, 5), ENSEMBLE)])
    with pytest.raises(RgflowError, match="the ensemble has gaps"):
        estimate_tensors(combine([block(range(1), ENSEMBLE), block(range(2, 3), ENSEMBLE)]))
    with pytest.raises(RgflowError, match="one group"):
        estimate_tensors(block(range(1), ENSEMBLE))
    with pytest.raises(RgflowError, match="no blocks"):
        combine([])
