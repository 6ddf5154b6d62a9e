"""The learning rate of training, from the infinite-width NTK alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rgflow.network import Network
from rgflow.theory.learning.infinite_width import train_spectrum
from rgflow.theory.learning.output import output_kernels
from rgflow.theory.learning.schedule import step_size


def learning_rate(network: Network, train_inputs: ArrayLike, step_fraction: float) -> float:
    """Return the learning rate of ``training_theory``, eta = step_fraction * 2 / theta_max to six digits.

    Parameters
    ----------
    network
        As for ``training_theory``.
    train_inputs
        Shape (sample, feature).
    step_fraction
        Learning rate in units of the stability limit, between 0 and 1.

    Raises
    ------
    RgflowError
        A step fraction out of range, a vanishing or non-finite kernel.
    """
    _, Theta = output_kernels(network, np.asarray(train_inputs, dtype=np.float64))
    return step_size(train_spectrum(Theta, len(Theta)).theta[-1], step_fraction)
