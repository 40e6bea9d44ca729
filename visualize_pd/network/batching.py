"""The number of images in one forward pass, and the memory and time that passes take."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from tqdm import tqdm

from ..core.checks import check_count
from ..core.errors import ImageError
from ..core.stopping import check_stop
from .hooks import capture_outputs, frozen
from .scores import Score, check_images, score_function

logger = logging.getLogger("visualize_pd")

MOST_VERSIONS = 1_000_000  # versions of one image: masks, samples, steps. More would take days
MOST_PIXELS = 32 * 1024**2  # of all images in a pass
LONG_SECONDS = 1800.0  # a run that takes longer gives a warning
# The most numbers that the layers of one recorded pass may return: 640 MB. With more, a CPU is
# slower.
MOST_RECORDED = 160_000_000
MOST_IMAGES = 32  # in a pass on a CPU
# A pass on a GPU may take this share of the free memory. Other processes may use the same GPU.
GPU_SHARE = 0.5
MOST_ON_GPU = 256  # images in a pass
RECORDED_BYTES = 12  # for each number that a layer returns: itself, its gradient, work space

SMALL = 4_000_000  # pixels of all images in a pass that are never refused
SIDE = 224  # of the image at which a network is measured
# Measured on AlexNet and EfficientNet-Lite0, where the estimate is within a third of the truth.
IMAGE_BYTES = 250  # for each pixel: the image, its gradient, Adam's moments, and copies
OUTPUT_BYTES = 5  # for each number that a layer returns


def batches(count: int, size: int, what: str) -> Iterator[slice]:
    """Split `count` things into slices of about the same length, at most `size`.

    Between two slices the work can be stopped. If it takes long, a progress bar is shown. If it
    will take very long, a warning with the estimated time follows after the first slice.
    """
    check_count("batch_size", size)
    rounds = -(-count // size)
    started = time.monotonic()
    with tqdm(total=count, desc=what, delay=2, leave=False, disable=None) as bar:
        for r in range(rounds):
            check_stop()
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
    score: Score,
    batch_size: int | None,
) -> tuple[paddle.Tensor, paddle.Tensor, int]:
    """The scores and targets of images, and how many versions of each image fit into one pass.

    The targets are those of `Scored`. `batch_size` is the number of images in a pass. None means as
    many as `MOST_RECORDED` allows, but at most 32; on a GPU, as many as fit into its free memory.
    """
    size = None if batch_size is None else pass_size(network, images, batch_size)
    with score_function(network) as score_of, capture_outputs(*network.sublayers()) as calls:
        scores, chosen = score_of(images, targets, score)
    if size is None:
        size = _suiting(calls, images)
    return scores, chosen, max(1, size // len(images))


def images_per_pass(network: paddle.nn.Layer, images: paddle.Tensor) -> int:
    """How many images of this size fit into one pass: what `MOST_RECORDED` allows, at most 32.

    It is the same on every device, so that a run is resumed as it was begun.
    """
    with frozen(network), paddle.no_grad(), capture_outputs(*network.sublayers()) as calls:
        network(images)
    return max(1, _fitting(calls, len(images)))


def _fitting(calls: list, count: int) -> int:
    return min(MOST_IMAGES, MOST_RECORDED * count // max(1, _numbers(calls)))


def _numbers(calls: list) -> int:
    """How many numbers the layers have returned."""
    outputs = {id(output): output for _, output in calls if isinstance(output, paddle.Tensor)}
    return sum(int(np.prod(output.shape)) for output in outputs.values())


def _suiting(calls: list, images: paddle.Tensor) -> int:
    """How many images suit a pass in which the layers of these calls return their outputs."""
    free = free_gpu_memory(images)
    if free is None:
        return _fitting(calls, len(images))
    pixels, numbers = images.shape[2] * images.shape[3], _numbers(calls) / len(images)
    fitting = GPU_SHARE * free / (IMAGE_BYTES * pixels + RECORDED_BYTES * numbers)
    return 2 ** int(np.log2(max(1, min(fitting, MOST_ON_GPU))))  # so that little changes nothing


def pass_size(network: paddle.nn.Layer, images: paddle.Tensor, batch_size: int | None) -> int:
    """The number of images in a pass without gradients.

    `batch_size` None means 32; on a GPU, as many as fit into its free memory. Images that have more
    than `MOST_PIXELS` together are fewer.
    """
    check_images(images)
    if batch_size is None and free_gpu_memory(images) is not None:
        with frozen(network), paddle.no_grad(), capture_outputs(*network.sublayers()) as calls:
            network(images[:1])
        return _suiting(calls, images[:1])
    size = MOST_IMAGES if batch_size is None else batch_size
    check_count("batch_size", size)
    return max(1, min(size, MOST_PIXELS // (images.shape[2] * images.shape[3])))


def versions_per_pass(
    network: paddle.nn.Layer, images: paddle.Tensor, batch_size: int | None
) -> int:
    """How many versions of each image fit into a pass of `pass_size` images."""
    return max(1, pass_size(network, images, batch_size) // len(images))


def repeat(tensor: paddle.Tensor, times: int) -> paddle.Tensor:
    """Repeat a whole batch: `[N, …]` → `[times · N, …]`."""
    return paddle.concat([tensor] * times) if times > 1 else tensor


def check_memory(network: paddle.nn.Layer, shape: Sequence[int]) -> None:
    """Raise `ImageError` if a pass over images of `shape`, `[N, C, H, W]`, needs too much memory.

    Small passes are not estimated. Others are compared with a forward pass on one image of
    224 × 224: the outputs of convolutions grow as the image does. On a GPU nothing is estimated.
    """
    count, channels, height, width = shape
    pixels = count * height * width
    free = free_memory()
    if pixels <= SMALL or free is None or not paddle.get_device().startswith("cpu"):
        return
    needed = pixels * (IMAGE_BYTES + OUTPUT_BYTES * _numbers_for_each_pixel(network, channels))
    if needed > free:
        images = "an image" if count == 1 else f"{count} images"
        raise ImageError(
            f"{images} of {height:,} × {width:,} pixels would need about {_gigabytes(needed)} of "
            f"memory, but {_gigabytes(free)} are free; take a smaller or less narrow picture, a "
            "smaller model.image_size, model.resolution or batch_size"
        )


def check_not_too_small(network: paddle.nn.Layer, images: paddle.Tensor) -> None:
    """Raise `ImageError` if a layer has nothing to return for images of this size."""
    with frozen(network), paddle.no_grad(), capture_outputs(*network.sublayers()) as calls:
        network(images)
    height, width = images.shape[2:]
    for layer, output in calls:
        if isinstance(output, paddle.Tensor) and min(output.shape, default=1) < 1:
            raise ImageError(
                f"images of {height} × {width} pixels are too small for the network: its "
                f"{type(layer).__name__} returns nothing; take a larger size"
            )


def free_memory(root: Path = Path("/")) -> int | None:
    """The bytes that this process may still take, also inside a container. None if not known."""
    found = []
    with suppress(OSError):
        about = (root / "proc/meminfo").read_text()
        found += [int(kilobytes) << 10 for kilobytes in re.findall(r"MemAvailable: *(\d+)", about)]
    group = root / "sys/fs/cgroup"
    names = (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    )
    for limit, used in names:
        with suppress(OSError, ValueError):
            found.append(int((group / limit).read_text()) - int((group / used).read_text()))
    return max(0, min(found)) if found else None


def free_gpu_memory(images: paddle.Tensor) -> int | None:
    """The bytes of the GPU of these images that this process has not taken. None on a CPU."""
    if not images.place.is_gpu_place():
        return None
    cuda, number = paddle.device.cuda, images.place.gpu_device_id()
    free = cuda.get_device_properties(number).total_memory - cuda.memory_allocated(number)
    return max(0, free)


def _gigabytes(count: float) -> str:
    """A number of bytes in words."""
    return f"{count / 1e9:,.1f} GB"


def _numbers_for_each_pixel(network: paddle.nn.Layer, channels: int) -> float:
    try:
        with frozen(network), paddle.no_grad(), capture_outputs(*network.sublayers()) as calls:
            network(paddle.zeros([1, channels, SIDE, SIDE]))
    except Exception:  # the network may be the user's own, and need another size
        return 0.0
    return _numbers(calls) / SIDE**2
