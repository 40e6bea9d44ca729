"""Whether a program gives the numbers of its network."""

from __future__ import annotations

import paddle

MANY = 16  # images, after which the logits of one are compared again
TOLERANCE = 1e-5  # share of the largest logit


def agree(found: paddle.Tensor, expected: paddle.Tensor) -> bool:
    """Whether logits are the expected ones, to 1e-5 of the largest one."""
    if found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
