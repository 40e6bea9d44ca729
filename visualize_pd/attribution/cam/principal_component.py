"""Project feature maps on their first principal component."""

from __future__ import annotations

import numpy as np
import paddle
import threadpoolctl


def principal_component(contributions: paddle.Tensor) -> paddle.Tensor:
    """Project contributions `[N, K, h, w]` on their first principal component, image by image.

    Each channel is centred over the pixels. A component has two possible signs. The one is taken
    whose projection grows with the sum over the channels.
    """
    projected = []
    # One thread is faster: Paddle's waiting threads keep the other processors busy.
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
    """The first right singular vector of a table X, by X·Xᵀ or Xᵀ·X, whichever is smaller."""
    wide = table.shape[0] < table.shape[1]
    _, vectors = np.linalg.eigh(table @ table.T if wide else table.T @ table)
    leading = table.T @ vectors[:, -1] if wide else vectors[:, -1]
    return leading / (np.linalg.norm(leading) or 1.0)
