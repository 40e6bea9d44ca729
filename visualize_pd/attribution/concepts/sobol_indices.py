"""Total Sobol indices: the share of a function's variance in which each input has a part."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np


def total_indices(
    function: Callable[[np.ndarray], np.ndarray], inputs: int, samples: int, seed: int = 0
) -> np.ndarray:
    """S_Tk = E[(f(a) − f(a with b_k))²] / 2 Var f(a), `[inputs]` (Jansen 1999).

    `function` gets points `[n, inputs]`, uniform in the unit cube, and returns `[n]`. It gets
    `samples` · (`inputs` + 2) of them: two sets of a Sobol sequence, and mixtures of the two. If
    the function is constant, all indices are 0.
    """
    from scipy.stats.qmc import Sobol

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a number that is no power of 2 is a little less exact
        points = Sobol(2 * inputs, seed=seed).random(samples)
    first, second = points[:, :inputs], points[:, inputs:]
    mixed = np.repeat(first[None], inputs, axis=0)  # [inputs, samples, inputs]
    for number in range(inputs):
        mixed[number, :, number] = second[:, number]
    values = function(np.concatenate([first, second, *mixed])).astype("float64")
    of_first, of_both = values[:samples], values[: 2 * samples]
    differences = of_first - values[2 * samples :].reshape(inputs, samples)
    variance = of_both.var()
    if variance <= 1e-12 * np.square(of_both).mean():  # rounding alone
        return np.zeros(inputs)
    return np.square(differences).mean(axis=1) / (2 * variance)
