"""Full-batch training on the sum loss: the kernel prediction and what finite width adds to it at order 1/n.

With the loss 1/2 sum (z - y)^2 and a step of learning rate eta, outputs of infinitely wide networks move in the frozen NTK
as z(t+1) = z(t) - eta Theta_{.A} (z_A(t) - y_A). At width n the NTK of every network differs from the mean, moves as the
network learns, and bends the steps; to order 1/n all of it closes on the tensors of the output layer at initialization
(Roberts, Yaida & Hanin, chapters 10, 11 and infinity, there for the mean at the end of training; mean, covariance, losses
and mean NTK at every step follow from the same expansion).
"""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr
from numpy.typing import ArrayLike

from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.finite_width import mean_and_error
from rgflow.theory.learning.eigenbasis import eigenbasis
from rgflow.theory.learning.infinite_width import kernel_prediction, train_spectrum
from rgflow.theory.learning.next_order import next_order
from rgflow.theory.learning.output import output_kernels
from rgflow.theory.learning.parts import PARTS
from rgflow.theory.learning.record import recorded
from rgflow.theory.learning.schedule import Schedule
from rgflow.theory.learning.source import Tensors, output_tensors
from rgflow.theory.learning.statistics import OutputTensors

ORDERS = ("leading", "next")


@checked
def training_theory(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    steps: Sequence[int] | None = None,
    times: Sequence[float] | None = None,
    step_fraction: float | None = None,
    learning_rate: float | None = None,
    optimizer: str = "gradient descent",
    test_targets: ArrayLike | None = None,
    order: str | None = None,
    tensors: Tensors | None = None,
) -> xr.Dataset:
    """Predict the training of wide networks by full-batch gradient descent on the sum loss.

    PDLT, chapters 7, 10, 11 and infinity.

    Every prediction is q + q1/n with n = n_{L-1}, the width of the last hidden layer; q1 depends on ratios of widths only.

    Parameters
    ----------
    network
        The network: depth, activation, hyperparameters, and for the next order ratios of widths.
    train_inputs, test_inputs
        Shape (sample, feature).
    train_targets, test_targets
        Shape (sample, output); test targets add the test loss.
    steps
        Recorded steps, strictly increasing from 0.
    times
        Recorded times of gradient flow instead, with ``learning_rate`` 0: z moves by -Theta eps per unit of time.
    step_fraction
        Learning rate in units of the stability limit 2 / theta_max, between 0 and 1; 1/2 by default; see ``step_size``.
    learning_rate
        The learning rate itself, in place of ``step_fraction``; 0 is gradient flow.
    optimizer
        "gradient descent", or "newton" with steps along lambda grad z Theta_AA^{-1} (z_A - y_A), whose limit is 2.
    order
        "next", or "leading" for the kernel prediction alone, which is known of every activation and of residual networks. By
        default the highest that is known of the network, as the attribute ``order`` says.
    tensors
        Tensors of the network on train then test inputs, with K, G1, Theta, Theta1, D, F, A, B, P to U in the last layer,
        or several independent estimates; by default ``tensor_randomizations(network, inputs)``.

    Returns
    -------
    xr.Dataset
        On samples train then test (coordinate ``role``), at ``step``, and as ``<name>_limit`` at the end of training:
        ``prediction_mean`` (step, sample, output) = M_t y, ``prediction_covariance`` (step, sample_1, sample_2) of each
        output = J_t K J_t^T with J_t = 1 - M_t; ``train_loss`` = ``train_bias`` + ``train_variance`` (step), expected and
        summed over samples, bias squared and halved, and the same of test samples. ``kernel_mean_limit``, the mean at the
        end; ``K_output`` and ``Theta_output`` (sample_1, sample_2); ``theta_eigenvalue`` (mode) of the train NTK,
        ascending; scalars ``theta_max`` and ``learning_rate``. Gradient flow numbers its times by ``step`` (coordinate
        ``time``).

        Of order "next" also the coefficients of 1/n: ``prediction_mean1``, ``prediction_covariance1`` (step, output_1,
        output_2, sample_1, sample_2), ``NTK1`` (the same dims), n (E[H(t)] - Theta); the losses ``train_loss1`` =
        ``train_bias1`` + ``train_variance1``; and by part (frozen random NTK, dNTK, ddNTK) ``prediction_mean1_parts``
        (step, part, sample, output), ``prediction_covariance1_parts``, ``NTK1_parts``. Several estimates of the tensors
        give each of these a standard error, ``<name>_error``; ``quadrature_error`` (layer) is that of the tensors.

    Raises
    ------
    RgflowError
        Data that do not fit the network; steps, times or a learning rate out of range or unstable; a vanishing or
        non-finite kernel; of order "next" a kinked activation, a residual network, or a singular train NTK.
    """
    task = Task(train_inputs, train_targets, test_inputs, test_targets)
    task.check_fits(network)
    schedule = Schedule(steps, times, step_fraction, learning_rate, optimizer)
    order = highest_order(network) if order is None else order
    _check_order(network, order)
    K, Theta = output_kernels(network, task.inputs)
    spectrum = train_spectrum(Theta, task.train_count)
    leading = kernel_prediction(task, K, Theta, spectrum, schedule)
    result = (
        recorded(task, schedule, leading)
        .assign(
            K_output=(("sample_1", "sample_2"), K),
            Theta_output=(("sample_1", "sample_2"), Theta),
            theta_eigenvalue=("mode", spectrum.theta),
            theta_max=spectrum.theta[-1],
            learning_rate=schedule.eta(spectrum.theta),
            kernel_mean_limit=(("sample", "output"), leading["prediction_mean"][-1]),
        )
        .assign_attrs(order=order)
    )
    if order == "leading":
        return result
    basis, randomizations = eigenbasis(Theta, *spectrum), output_tensors(network, task.inputs, Theta, tensors)

    def coefficients(at_start: xr.Dataset) -> xr.Dataset:
        found = next_order(task, schedule, basis, OutputTensors.of(at_start), leading["prediction_mean"])
        return recorded(task, schedule, found).assign(
            quadrature_error=at_start["quadrature_error"].expand_dims("layer")
        )

    return result.assign(mean_and_error(map(coefficients, randomizations))).assign_coords(part=list(PARTS))


def highest_order(network: Network) -> str:
    """The highest order that is known of a network: "next" of smooth activations in plain networks."""
    kinked = any(sigma.kinks for sigma in network.activations)
    return "leading" if kinked or network.architecture.name != "plain" else "next"


def _check_order(network: Network, order: str) -> None:
    if order not in ORDERS:
        raise RgflowError(f"order = {order!r}; allowed are {', '.join(ORDERS)}")
    if order == "next" and highest_order(network) != "next":
        smooth = not any(sigma.kinks for sigma in network.activations)
        what = f"a {network.architecture.name} network" if smooth else f"{network.activation.label}, which has kinks"
        raise RgflowError(f"order = 'next' is not known of {what}; use order='leading'")
