"""Feature maps along their first principal component."""

from __future__ import annotations

import numpy as np
import paddle
import threadpoolctl


def principal_component(contributions: paddle.Tensor) -> paddle.Tensor:
    """Contributions along their first principal component over the places of each image.

    Centred; of the two directions that with which their sum over the channels grows.
    """
    projected = []
    # One thread: Paddle's idle threads keep the processors from a second one of numpy's.
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        for values in contributions.numpy().astype("float64"):
            table = values.reshape(len(values), -1).T
            centred = table - table.mean(axis=0)
            along = centred * _leading(centred)
            if (along.sum(axis=1) * centred.sum(axis=1)).sum() < 0:
                along = -along
            projected.append(along.T.reshape(values.shape))
    return paddle.to_tensor(np.stack(projected), dtype=contributions.dtype)


def _leading(table: np.ndarray) -> np.ndarray:
    """The first right singular vector of a table, by the smaller of its two Gram matrices."""
    wide = table.shape[0] < table.shape[1]
    _, vectors = np.linalg.eigh(table @ table.T if wide else table.T @ table)
    leading = table.T @ vectors[:, -1] if wide else vectors[:, -1]
    return leading / (np.linalg.norm(leading) or 1.0)
