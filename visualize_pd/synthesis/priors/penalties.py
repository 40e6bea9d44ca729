"""Penalties: functions of the images `[N, C, H, W]` that are subtracted from the score."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import reduce

import paddle
from paddle.nn import functional


def l2_norm(images: paddle.Tensor) -> paddle.Tensor:
    """‖I‖²₂, summed over the batch (Simonyan et al. 2013, equation 1)."""
    return (images * images).sum()


def alpha_norm(images: paddle.Tensor, alpha: float = 6) -> paddle.Tensor:
    """‖I‖_α^α, summed over the batch, against extreme colours (Mahendran & Vedaldi 2014)."""
    if alpha in (2, 4, 6):  # products are several times as fast as a power
        square = images * images
        return reduce(operator.mul, [square] * (int(alpha) // 2)).sum()
    return (images.abs() ** alpha).sum()


def total_variation(images: paddle.Tensor, beta: float = 1) -> paddle.Tensor:
    """Σ |I(y+1, x) − I(y, x)|^β + |I(y, x+1) − I(y, x)|^β, summed over the batch.

    β = 1: Rudin et al. 1992; β = 2: Mahendran & Vedaldi 2014, equation 4.
    """
    changes = (change.abs() for change in _changes(images))
    down, right = ((change if beta == 1 else change**beta).sum() for change in changes)
    return down + right


def colour_variation(images: paddle.Tensor) -> paddle.Tensor:
    """The total variation of the colours (R − G) / 2 and (R + G − 2B) / 4, against coloured noise.

    A grey image has none.
    """
    if images.shape[1] != 3:
        return images.sum() * 0
    colours = paddle.to_tensor([[0.5, -0.5, 0.0], [0.25, 0.25, -0.5]], dtype=images.dtype)
    return total_variation(functional.conv2d(images, colours.reshape([2, 3, 1, 1])))


def _changes(images: paddle.Tensor) -> Iterator[paddle.Tensor]:
    """The differences to the next pixel below, and to the next one on the right.

    They are convolutions, because slices have a slow backward pass.
    """
    count, channels, height, width = images.shape
    planes = images.reshape([count * channels, 1, height, width])
    step = paddle.to_tensor([-1.0, 1.0], dtype=images.dtype)
    for shape in ([1, 1, 2, 1], [1, 1, 1, 2]):
        yield functional.conv2d(planes, step.reshape(shape))


def for_whole_size(
    penalty: Callable[[paddle.Tensor], paddle.Tensor], whole: int, degree: int
) -> Callable[[paddle.Tensor], paddle.Tensor]:
    """The penalty of an image of any size, as if it had the longer side `whole`.

    Sums over pixels grow with the area, which is of `degree` 2. Sums of the differences between
    neighbours grow with the side, of `degree` 1.
    """

    def scaled(images: paddle.Tensor) -> paddle.Tensor:
        side = max(images.shape[2:])
        value = penalty(images)
        return value if side == whole else value * (whole / side) ** degree

    return scaled


# The keys are the fields of `Priors` that hold the weights. A new penalty needs a function, a line
# here and a weight in `Priors`.
PENALTIES: dict[str, Callable[..., paddle.Tensor]] = {
    "alpha_norm": lambda images, priors: alpha_norm(images, priors.alpha),
    "total_variation": lambda images, priors: total_variation(images, priors.beta or 1),
    "colour_variation": lambda images, priors: colour_variation(images),
}
DEGREES = {
    "alpha_norm": 2,
    "total_variation": 1,
    "colour_variation": 1,
}  # how they grow with the size of an image
