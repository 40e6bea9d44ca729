"""Write frames as an animation."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from ...core.errors import OutputError
from ...core.files import atomic_write

LARGEST_GIF = 3_000_000  # bytes
# Colours and dithering, the best first.
GIF_QUALITIES = [
    (256, Image.Dither.FLOYDSTEINBERG),
    (128, Image.Dither.FLOYDSTEINBERG),
    (256, Image.Dither.NONE),
    (128, Image.Dither.NONE),
    (64, Image.Dither.NONE),
]


def save_animation(
    path: str | Path, frames: Sequence[np.ndarray], frame_ms: int = 200, hold_ms: int = 2000
) -> None:
    """Write frames `[H, W, 3]` uint8 as an animation that repeats. The last frame stays longer.

    The suffix of `path` gives the format: `.gif`, `.webp` (smaller, all colours), `.apng` (no loss)
    or, with the extra `mp4`, `.mp4` (does not repeat). `frame_ms` is the time of a frame, `hold_ms`
    that of the last one. Raises `OutputError` for another suffix, and if there are no frames.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in ANIMATIONS:
        raise OutputError(f"{path} must end in {', '.join(ANIMATIONS)}")
    check_animation(suffix)
    if not len(frames):
        raise OutputError(f"no frames for {path}")
    durations = [frame_ms] * (len(frames) - 1) + [hold_ms]
    # Write to memory first. After a failure imageio writes again when its object is deleted.
    with io.BytesIO() as memory:
        ANIMATIONS[suffix](memory, frames, durations)
        with atomic_write(path) as file:
            file.write(memory.getvalue())


def check_animation(suffix: str) -> None:
    """Raise `OutputError` if this installation cannot write the format of the suffix."""
    if suffix == ".webp" and not features.check("webp"):
        raise OutputError("this Pillow cannot write WebP; choose animation.format=gif")
    if suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ModuleNotFoundError:
            raise OutputError(
                'an .mp4 needs ffmpeg: pip install -e ".[mp4]", or choose animation.format=gif'
            ) from None


def _gif(memory: io.BytesIO, frames: Sequence[np.ndarray], durations: list[int]) -> None:
    """Use one palette for all frames, so that colours do not flicker.

    A GIF over `LARGEST_GIF` is made again with fewer colours or without dithering. If no way makes
    it small enough, it gets all colours.
    """
    first = None
    for colours, dither in GIF_QUALITIES:
        made = io.BytesIO()
        _gif_of(made, frames, durations, colours, dither)
        first = first or made.getvalue()
        if made.tell() <= LARGEST_GIF:
            memory.write(made.getvalue())
            return
    memory.write(first or b"")


def _gif_of(
    memory: io.BytesIO,
    frames: Sequence[np.ndarray],
    durations: list[int],
    colours: int,
    dither: Image.Dither,
) -> None:
    import imageio.v3 as imageio

    pixels = np.stack(frames).reshape(1, -1, 3)
    sample = Image.fromarray(pixels[:, :: -(-pixels.shape[1] // 50_000)])
    palette = sample.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=2)
    indices = [
        np.asarray(Image.fromarray(frame).quantize(palette=palette, dither=dither))
        for frame in frames
    ]
    imageio.imwrite(
        memory,
        np.stack(indices),
        plugin="pillow",
        extension=".gif",
        mode="P",
        is_batch=True,
        palette=bytes(palette.getpalette() or ()),
        duration=durations if len(frames) > 1 else durations[0],
        loop=0,
    )


def _webp(memory: io.BytesIO, frames: Sequence[np.ndarray], durations: list[int]) -> None:
    _pillow(memory, frames, durations, format="WEBP", quality=85)


def _apng(memory: io.BytesIO, frames: Sequence[np.ndarray], durations: list[int]) -> None:
    _pillow(memory, frames, durations, format="PNG")


def _pillow(
    memory: io.BytesIO, frames: Sequence[np.ndarray], durations: list[int], **options: Any
) -> None:
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(memory, save_all=True, append_images=others, duration=durations, loop=0, **options)


def _mp4(memory: io.BytesIO, frames: Sequence[np.ndarray], durations: list[int]) -> None:
    """Write H.264 video, which does not repeat. All its frames have the same duration.

    This is the greatest common divisor of all durations, but at least 20 ms. Longer frames are
    written several times.
    """
    import imageio.v3 as imageio

    step = max(math.gcd(*durations), 20)
    height, width = frames[0].shape[:2]
    even = ((0, height % 2), (0, width % 2), (0, 0))  # players need an even height and width
    repeated = [
        np.pad(frame, even, mode="edge")
        for frame, duration in zip(frames, durations)
        for _ in range(max(1, round(duration / step)))
    ]
    imageio.imwrite(
        memory,
        repeated,
        plugin="FFMPEG",
        extension=".mp4",
        fps=1000 / step,
        codec="libx264",
        quality=8,
        macro_block_size=2,
    )


ANIMATIONS = {".gif": _gif, ".webp": _webp, ".apng": _apng, ".mp4": _mp4}
