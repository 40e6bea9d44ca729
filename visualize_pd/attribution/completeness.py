"""The completeness gap: by how much the sum of a map misses what it should be."""

from __future__ import annotations

import logging

import paddle

logger = logging.getLogger("visualize_pd")


def warn_of_gap(
    method: str, gap: paddle.Tensor, expected: paddle.Tensor, *, of: str, advice: str
) -> None:
    """Log a warning for each image whose gap is over 1 % of the expected sum, `of`."""
    for missing, whole in zip(gap.numpy().tolist(), expected.numpy().tolist()):
        if abs(missing) > 0.01 * abs(whole):
            logger.warning(
                "%s: completeness gap %.2g, over 1 %% of %s = %.4g; %s",
                *(method, missing, of, whole, advice),
            )
