"""Fill in missing pixels from their neighbours, so that nobody sees where they were."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.errors import ConfigError

# Rong et al. 2022: the weight of the neighbours at the sides, and at the corners.
NEIGHBOURS = {
    (y, x): 1 / 6 if 0 in (y, x) else 1 / 12
    for y in (-1, 0, 1)
    for x in (-1, 0, 1)
    if (y, x) != (0, 0)
}


def check_scipy() -> None:
    """Raise `ConfigError` without SciPy."""
    try:
        import scipy.sparse.linalg  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(
            'road solves sparse equations with SciPy: pip install -e ".[evaluate]"'
        ) from None


def impute(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Fill in missing pixels of `[C, H, W]` by linear imputation (Rong et al. 2022).

    Each missing pixel is the weighted mean of its eight neighbours: 1/6 at its sides, 1/12 at its
    corners, and over the edge there is none. All pixels solve this together, as sparse linear
    equations. `missing`: `[H, W]` bools; at least one pixel must be known.
    """
    from scipy.sparse.linalg import splu

    if not missing.any():
        return image.copy()
    matrix, known = _equations(image, missing)
    options = {"SymmetricMode": True}
    solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
    filled = image.copy()
    filled[:, missing] = solver.solve(known).T
    return filled


def _equations(image: np.ndarray, missing: np.ndarray) -> tuple[Any, np.ndarray]:
    """The matrix of the equations of the missing pixels, and what their known neighbours add."""
    from scipy.sparse import coo_matrix

    height, width = missing.shape
    y, x = np.nonzero(missing)
    count = len(y)
    numbers = np.full(missing.shape, -1)
    numbers[y, x] = np.arange(count)
    weights, known = np.zeros(count), np.zeros((count, len(image)))
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for (down, right), weight in NEIGHBOURS.items():
        inside = (y + down >= 0) & (y + down < height) & (x + right >= 0) & (x + right < width)
        own = np.flatnonzero(inside)
        place = y[own] + down, x[own] + right
        other = numbers[place]
        weights[own] += weight
        known[own] += weight * np.where(missing[place], 0, image[:, place[0], place[1]]).T
        own, other = own[other >= 0], other[other >= 0]
        entries.append((np.full(len(own), -weight), own, other))
    entries.append((weights, np.arange(count), np.arange(count)))
    values, rows, columns = (np.concatenate(each) for each in zip(*entries))
    return coo_matrix((values, (rows, columns)), shape=(count, count)).tocsc(), known
