"""DeepLIFT with the rescale rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paddle

from ...network.batching import repeat
from ...network.gradients import differentiate, record_forward
from ...network.scores import Score, score_function
from ..baselines import make_baseline
from ..reduction import reduce
from .carried import PRODUCTS, carried, check_reach, factors, is_live, operations, replaced

_ACTIVATIONS = """
    relu relu6 leaky_relu prelu elu selu celu silu swish hardswish hardsigmoid sigmoid tanh gelu
    mish softplus hardtanh softsign softshrink hardshrink thresholded_relu logsigmoid clip
"""
ACTIVATIONS = _ACTIVATIONS.split()
EQUAL = 1e-6  # numbers that differ less, relative to their size, differ by rounding


def deep_lift(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any = None,
    *,
    baseline: str | paddle.Tensor = "zero",
    score: Score = "logit",
    channel: str = "none",
    sign: str = "signed",
    return_gap: bool = False,
) -> paddle.Tensor | tuple[paddle.Tensor, paddle.Tensor]:
    """(I − I′) · m, with the multipliers m of the rescale rule (Shrikumar et al. 2017, eq. 15).

    `[N, C, H, W]`. A nonlinearity f has the multiplier (f(x) − f(x′)) / (x − x′), or f′(x) where
    both are equal. A maximum gives its rise to the winner in the image, and its fall to the winner
    in the baseline. A product has the mean of the other factor. So the map sums to S_c(I) − S_c(I′)
    exactly, if the score is linear in the output of the network. `return_gap` also returns what is
    missing, `[N]`. `baseline` I′: zero (the training set's mean colour), mean (the image's own),
    blurred, or a tensor. Raises `ModelError` for a network that has an operation without a rule.
    """
    with score_function(network) as score_of:
        chosen = score_of(images, targets, score)[1]
    images, start = images.detach(), make_baseline(baseline, images)
    both = paddle.concat([images, start])
    passed = record_forward(
        network, both, repeat(chosen, 2), score=score, layers=[network], rules=_rescaled()
    )
    count = len(images)
    one = paddle.concat([images[:1], start[:1]])
    check_reach("deep_lift", network, passed, one, _rescaled(), ["batchnorm", "conv2dtranspose"])
    with paddle.enable_grad():
        scores = passed.scores[:count]
    multiplier = differentiate(scores, [passed.images])[0][:count]
    total = (images - start) * multiplier
    values = passed.scores.detach()
    gap = total.sum(axis=[1, 2, 3]) - (values[:count] - values[count:])
    attribution = reduce(total, channel, sign)
    return (attribution, gap) if return_gap else attribution


@contextmanager
def _rescaled() -> Iterator[None]:
    """Inside the block a batch holds images and then their baselines, and all has its rule."""
    functions = dict.fromkeys(operations(*ACTIVATIONS), _activation)
    functions.update(dict.fromkeys(operations("pool2d", "max_pool2d_with_index"), _maximum))
    functions.update(dict.fromkeys(PRODUCTS, _product))
    with replaced(functions):
        yield


def _swapped(x: paddle.Tensor) -> paddle.Tensor:
    """The baselines and then the images."""
    return paddle.concat(x.split(2)[::-1])


def _differences(x: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
    """x − x′ and x′ − x, and 1 where they are equal, else 0."""
    other = _swapped(x)
    difference = x - other
    equal = difference.abs() <= EQUAL * (x.abs() + other.abs())
    return difference, equal.astype(x.dtype)


def _activation(original: Callable) -> Callable:
    def activation(x: Any, *others: Any, **options: Any) -> Any:
        if not is_live(x):
            return original(x, *others, **options)
        leaf = x.detach()
        leaf.stop_gradient = False
        y = original(leaf, *others, **options)
        (slope,) = differentiate(y, [leaf])
        with paddle.no_grad():
            y = y.detach()
            difference, equal = _differences(x.detach())
            chord = (y - _swapped(y)) / (difference + equal)
            factor = equal * slope + (1 - equal) * chord
        return carried(y, [(x, factor)])

    return activation


def _maximum(original: Callable) -> Callable:
    def pool(x: Any, *others: Any, **options: Any) -> Any:
        with_places = original.__name__ != "pool2d"
        if not is_live(x) or not (with_places or "max" in others):
            return original(x, *others, **options)

        def maximum(x: paddle.Tensor) -> paddle.Tensor:
            output = original(x, *others, **options)
            return output[0] if with_places else output

        with paddle.no_grad():
            constant = x.detach()
            outputs = original(constant, *others, **options)
            y = outputs[0] if with_places else outputs
            fall = y - paddle.maximum(y, _swapped(y))
            difference, equal = _differences(constant)
            inverse = (1 - equal) / (difference + equal)
        terms = [
            (maximum(carried(constant, [(x, inverse)])), -_swapped(fall)),
            (maximum(carried(_swapped(constant), [(x, inverse)])), fall),
            (maximum(carried(constant, [(x, equal)])), paddle.ones_like(y)),
        ]
        z = carried(y, terms)
        return (z, *outputs[1:]) if with_places else z

    return pool


def _product(original: Callable) -> Callable:
    def product(*given: Any, **options: Any) -> Any:
        a, b = factors(given, options)
        pairs = is_live(a) and is_live(b) and len(a) == len(b) and len(a) % 2 == 0
        if not pairs:
            return original(a, b, **options)
        with paddle.no_grad():
            z = original(a.detach(), b.detach())
            mean_a, mean_b = (
                original(each + _swapped(each), paddle.to_tensor(0.5, dtype=each.dtype))
                for each in (a.detach(), b.detach())
            )
        total = original(a, mean_b) + original(b, mean_a)
        return carried(z, [(total, paddle.ones_like(z))])

    return product
