"""Many passes through a network, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paddle
from tqdm import tqdm

from .errors import check_count
from .hooks import frozen
from .targets import check_images, class_scores, read_logits, resolve_targets


@contextmanager
def scoring(network: paddle.nn.Layer) -> Iterator[Callable]:
    """A function `(images, targets, score) → (scores [N], targets [N])`, without gradients."""

    def score_of(images: paddle.Tensor, targets: Any = None, score: str = "logit"):
        check_images(images)
        logits = read_logits(network(images), images)
        chosen = resolve_targets(targets, logits)
        return class_scores(logits, chosen, score), chosen

    with frozen(network), paddle.no_grad():
        yield score_of


def batches(count: int, size: int, what: str) -> Iterator[slice]:
    """Slices of `count` things, at most `size` in each; a bar in a terminal where it takes long."""
    check_count("batch_size", size)
    with tqdm(total=count, desc=what, delay=2, leave=False, disable=None) as bar:
        for start in range(0, count, size):
            part = slice(start, min(start + size, count))
            yield part
            bar.update(part.stop - part.start)


def per_image(batch_size: int, images: paddle.Tensor) -> int:
    """How many versions of each of some images fit into a pass of `batch_size`."""
    check_count("batch_size", batch_size)
    check_images(images)
    return max(1, batch_size // len(images))


def repeat(tensor: paddle.Tensor, times: int) -> paddle.Tensor:
    """`[N, …]` → `[times · N, …]`, the whole batch again and again."""
    return paddle.concat([tensor] * times) if times > 1 else tensor
