"""Standard normal inputs, labelled 0 or 1 by the sign of a random linear teacher."""

from __future__ import annotations

import numpy as np

from rgflow.data.source import InputsAndTargets, Selection, Source


def _draw(selection: Selection) -> InputsAndTargets:
    generator = np.random.default_rng([selection.seed, 0])
    x = generator.standard_normal((selection.count, selection.features))
    return x, (x @ generator.standard_normal(selection.features) > 0).astype(int)


SOURCE = Source("standard normal inputs with a linear teacher", _draw, labels=(0, 1))
