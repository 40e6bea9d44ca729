"""Non-negative factors of activations, and the coefficients of activations in them."""

from __future__ import annotations

import warnings

import numpy as np

from ...core.errors import ConfigError

TOLERANCE, MOST_STEPS = 1e-6, 4000  # where the steps of the factorisation end


def check_extra() -> None:
    """Raise `ConfigError` if scikit-learn is not installed."""
    try:
        import sklearn.decomposition  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(
            'concepts need scikit-learn; install it: pip install -e ".[concepts]"'
        ) from None


def check_factors(count: int, crops: int, channels: int) -> None:
    """Raise `ConfigError` for more factors than crops or channels."""
    for what, most in (("crops", crops), ("channels of the layer", channels)):
        if count > most:
            raise ConfigError(f"{count} concepts are more than the {most} {what}; take fewer")


def factorise(activations: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The factors V `[count, C]` of arg min ‖A − U V‖² with U, V ≥ 0, for A `[M, C]` ≥ 0.

    Each factor has the length 1, or is 0 if fewer factors are enough. Raises `ConfigError` for
    more factors than rows or channels, and if scikit-learn is missing.
    """
    check_extra()
    from sklearn.decomposition import NMF

    check_factors(count, *activations.shape)
    nmf = NMF(count, init="nndsvda", random_state=seed, tol=TOLERANCE, max_iter=MOST_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the last steps change next to nothing
        nmf.fit(activations.astype("float64"))
    lengths = np.linalg.norm(nmf.components_, axis=1, keepdims=True)
    return nmf.components_ / np.where(lengths > 0, lengths, 1)


def coefficients_of(activations: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """U = arg min ‖A − U V‖² with U ≥ 0 for given factors V `[K, C]`: `[…, K]` for A `[…, C]`.

    Each row of A is solved exactly and by itself.
    """
    from scipy.optimize import nnls

    # ‖a − uV‖² = ‖Qᵀa − R u‖² + a constant, with Vᵀ = Q R: small problems of K unknowns.
    q, r = np.linalg.qr(factors.T.astype("float64"))
    rows = activations.reshape(-1, activations.shape[-1]).astype("float64") @ q
    solved = [nnls(r, row)[0] for row in rows]
    return np.reshape(solved, (*activations.shape[:-1], len(factors)))
