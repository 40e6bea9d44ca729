"""The number of images in one forward pass, and the time that all passes take."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import paddle
from tqdm import tqdm

from ..core.checks import check_count
from .hooks import capture_outputs, frozen
from .scores import check_images, score_function

logger = logging.getLogger("visualize_pd")

MOST_VERSIONS = 1_000_000  # versions of one image: masks, samples, steps. More would take days
LONG_SECONDS = 1800.0  # a run that takes longer gives a warning
# The most numbers that the layers of one recorded pass may return: 640 MB. With more, a CPU is
# slower.
MOST_RECORDED = 160_000_000


def batches(count: int, size: int, what: str) -> Iterator[slice]:
    """Split `count` things into slices of about the same length, at most `size`.

    If the work takes long, a progress bar is shown. If it will take very long, a warning with the
    estimated time follows after the first slice.
    """
    check_count("batch_size", size)
    rounds = -(-count // size)
    started = time.monotonic()
    with tqdm(total=count, desc=what, delay=2, leave=False, disable=None) as bar:
        for r in range(rounds):
            part = slice(count * r // rounds, count * (r + 1) // rounds)
            yield part
            bar.update(part.stop - part.start)
            if r == 0:
                _warn_of_time((time.monotonic() - started) * rounds, count, what)


def _warn_of_time(seconds: float, count: int, what: str) -> None:
    if seconds > LONG_SECONDS:
        hours = seconds / 3600
        duration = f"{hours / 24:.1f} days" if hours > 48 else f"{hours:.1f} hours"
        logger.warning("%s, %s times, will take about %s", what, f"{count:,}", duration)


def scores_and_versions(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    score: str,
    batch_size: int | None,
) -> tuple[paddle.Tensor, paddle.Tensor, int]:
    """The scores and classes of images, and how many versions of each image fit into one pass.

    `batch_size` is the number of images in a pass. None means as many as `MOST_RECORDED` allows,
    but at most 32.
    """
    if batch_size is not None:
        check_count("batch_size", batch_size)
    with score_function(network) as score_of, capture_outputs(*network.sublayers()) as calls:
        scores, chosen = score_of(images, targets, score)
    if batch_size is None:
        batch_size = _fitting(calls, len(images))
    return scores, chosen, max(1, batch_size // len(images))


def images_per_pass(network: paddle.nn.Layer, images: paddle.Tensor) -> int:
    """How many images of this size fit into one pass: what `MOST_RECORDED` allows, at most 32."""
    with frozen(network), paddle.no_grad(), capture_outputs(*network.sublayers()) as calls:
        network(images)
    return max(1, _fitting(calls, len(images)))


def _fitting(calls: list, count: int) -> int:
    outputs = {id(output): output for _, output in calls if isinstance(output, paddle.Tensor)}
    numbers = sum(int(np.prod(output.shape)) for output in outputs.values())
    return min(32, MOST_RECORDED * count // max(1, numbers))


def versions_per_pass(batch_size: int, images: paddle.Tensor) -> int:
    """How many versions of each image fit into a pass of `batch_size` images."""
    check_count("batch_size", batch_size)
    check_images(images)
    return max(1, batch_size // len(images))


def repeat(tensor: paddle.Tensor, times: int) -> paddle.Tensor:
    """Repeat a whole batch: `[N, …]` → `[times · N, …]`."""
    return paddle.concat([tensor] * times) if times > 1 else tensor
