"""Many passes through a network, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle
from tqdm import tqdm

from .engine import Forward
from .errors import check_count
from .hooks import capture, frozen
from .quick import quick_layers
from .targets import check_images, class_scores, read_logits, resolve_targets


@contextmanager
def scoring(network: paddle.nn.Layer) -> Iterator[Callable]:
    """A function `(images, targets, score) → (scores [N], targets [N])`, without gradients."""

    forward = Forward(network)

    def score_of(
        images: paddle.Tensor, targets: Any = None, score: str = "logit"
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        check_images(images)
        logits = read_logits(forward(images), images)
        chosen = resolve_targets(targets, logits)
        return class_scores(logits, chosen, score), chosen

    with frozen(network), quick_layers(), paddle.no_grad():
        yield score_of


def batches(count: int, size: int, what: str) -> Iterator[slice]:
    """Slices of `count` things, alike in size and at most `size`; a bar where it takes long."""
    check_count("batch_size", size)
    rounds = -(-count // size)
    with tqdm(total=count, desc=what, delay=2, leave=False, disable=None) as bar:
        for r in range(rounds):
            part = slice(count * r // rounds, count * (r + 1) // rounds)
            yield part
            bar.update(part.stop - part.start)


# Numbers that the layers of one recorded pass may return, 640 MB: beyond it a CPU slows down.
RECORDED = 160_000_000


def begin(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    score: str,
    batch_size: int | None,
) -> tuple[paddle.Tensor, paddle.Tensor, int]:
    """The images' scores and classes, and how many versions of each to record in one pass.

    `batch_size` None: as many as keep within `RECORDED`, at most 32.
    """
    if batch_size is not None:
        check_count("batch_size", batch_size)
    with scoring(network) as score_of, capture(*network.sublayers()) as calls:
        scores, chosen = score_of(images, targets, score)
    if batch_size is None:
        batch_size = _fitting(calls, len(images))
    return scores, chosen, max(1, batch_size // len(images))


def best_batch(network: paddle.nn.Layer, images: paddle.Tensor) -> int:
    """How many images like these to record in one pass: within `RECORDED`, at most 32."""
    with frozen(network), paddle.no_grad(), capture(*network.sublayers()) as calls:
        network(images)
    return max(1, _fitting(calls, len(images)))


def _fitting(calls: list, count: int) -> int:
    outputs = {id(output): output for _, output in calls if isinstance(output, paddle.Tensor)}
    numbers = sum(int(np.prod(output.shape)) for output in outputs.values())
    return min(32, RECORDED * count // max(1, numbers))


def per_image(batch_size: int, images: paddle.Tensor) -> int:
    """How many versions of each of some images fit into a pass of `batch_size`."""
    check_count("batch_size", batch_size)
    check_images(images)
    return max(1, batch_size // len(images))


def repeat(tensor: paddle.Tensor, times: int) -> paddle.Tensor:
    """`[N, …]` → `[times · N, …]`, the whole batch again and again."""
    return paddle.concat([tensor] * times) if times > 1 else tensor
