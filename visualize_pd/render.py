"""Maps → pictures, frames → animations. Nothing here knows a method or a network."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .errors import OutputError
from .files import whole_file

# Every eighth colour of matplotlib's viridis (CC0), and its last.
_VIRIDIS = (
    "440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d 2f6b8e 2c728e "
    "297a8e 26828e 23898e 21918c 1f988b 1fa088 22a785 28ae80 32b67a 3fbc73 4ec36b 5ec962 70cf57 "
    "84d44b 98d83e addc30 c2df23 d8e219 ece51b fde725"
)
_ANCHORS = np.array([list(bytes.fromhex(colour)) for colour in _VIRIDIS.split()], dtype="float64")
_VIRIDIS_TABLE = np.stack(
    [
        np.interp(np.arange(256), [*range(0, 256, 8), 255], _ANCHORS[:, channel])
        for channel in range(3)
    ],
    axis=1,
)

_OWN_LETTERS = {*map(chr, range(32, 127)), "·", "…", "’"}
# Chinese ones first: they have Latin, Greek and Cyrillic letters too.
_SYSTEM_FONTS = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "SourceHanSansSC-Regular.otf"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "msyh.ttc", "simhei.ttf", "PingFang.ttc"),
    *("Hiragino Sans GB.ttc", "DroidSansFallbackFull.ttf", "Arial Unicode.ttf", "DejaVuSans.ttf"),
)

INK, FAINT, PAPER = (25, 25, 30), (110, 110, 118), (255, 255, 255)


def standardise(values: np.ndarray) -> np.ndarray:
    """Zero mean, unit deviation, × 0.1, + 0.5, clipped to [0, 1]; a constant becomes 0.5."""
    if values.max() == values.min():
        return np.full_like(values, 0.5)
    return np.clip((values - values.mean()) / values.std() * 0.1 + 0.5, 0, 1)


def viridis(values: np.ndarray) -> np.ndarray:
    """`[H, W]` → `[H, W, 3]` uint8; the lowest value is purple, the highest yellow."""
    low, high = values.min(), values.max()
    positions = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return np.round(_VIRIDIS_TABLE[np.round(positions * 255).astype(int)]).astype("uint8")


def blend(picture: np.ndarray, colours: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """Colours laid over a picture, both `[H, W, 3]` uint8."""
    return np.round(picture * (1 - alpha) + colours * alpha).astype("uint8")


def overlay(picture: Image.Image, attribution, alpha: float = 0.5) -> Image.Image:
    """One image's map `[1, 1, H, W]` (tensor or array), standardised, over the photograph."""
    values = np.asarray(attribution, dtype="float64").reshape(attribution.shape[-2:])
    photograph = picture.convert("RGB").resize((values.shape[1], values.shape[0]))
    return Image.fromarray(blend(np.asarray(photograph), viridis(standardise(values)), alpha))


def gradient_panels(
    picture: np.ndarray, attribution: np.ndarray, reduced: np.ndarray, names: tuple[str, str]
) -> list[tuple[str, np.ndarray]]:
    """The forerunner's panels: the input, the map by channel, the map in one channel, the overlay.

    `picture`: `[H, W, 3]` uint8; `attribution`: `[C, H, W]`; `reduced`: `[1, H, W]` or, where the
    channels were not put together, as `attribution`. A map without colour has no second panel.
    """
    panels = [("Input image", picture)]
    if len(attribution) == 3:
        by_channel = reduced if len(reduced) == 3 else attribution
        colours = standardise(by_channel).transpose(1, 2, 0)
        panels.append((names[0], np.round(colours * 255).astype("uint8")))
    if len(reduced) == 1:
        heat = viridis(standardise(reduced[0]))
        panels += [(names[1], heat), ("Overlay", blend(picture, heat))]
    elif len(attribution) == 3:
        panels.append(("Overlay", blend(picture, panels[1][1])))
    return panels


def figure(
    panels: Sequence[tuple[str, np.ndarray]], caption: str, note: str = "", scale: int = 2
) -> Image.Image:
    """Panels `(title, [H, W, 3] uint8)` in a row, each with its title, over a caption and a note.

    Pixels become `scale` × `scale` squares, so that single ones can be seen; the first panel, a
    photograph, is enlarged smoothly.
    """
    height, width = panels[0][1].shape[:2]
    scale = max(scale, -(-160 * scale // max(height, width)))  # small inputs stay legible
    width, height, gap = width * scale, height * scale, 32
    top, bottom = gap + 44, gap + 44 + (36 if note else 0)
    sheet = Image.new("RGB", (len(panels) * (width + gap) + gap, top + height + bottom), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, (title, pixels) in enumerate(panels):
        x = gap + column * (width + gap)
        smooth = Image.Resampling.NEAREST if column else Image.Resampling.LANCZOS
        sheet.paste(Image.fromarray(pixels).resize((width, height), smooth), (x, top))
        _write(draw, (x, top - 14), title, 26, INK, width)
    inner = sheet.width - 2 * gap
    line = top + height + 46
    _write(draw, (gap, line), caption, 32, INK, inner)
    _write(draw, (gap, line + 38), note, 24, FAINT, inner)
    return sheet


def save_picture(path: str | Path, picture: Image.Image | np.ndarray) -> None:
    """Write a picture in the format of its suffix; JPEG without loss of colour resolution.

    Raises `OutputError` for a suffix that is no picture format's.
    """
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    suffix = Path(path).suffix.lower()
    if suffix not in Image.registered_extensions():
        raise OutputError(f"{path} does not end in the name of a picture format, such as .png")
    options = {"quality": 92, "subsampling": 0} if suffix in (".jpg", ".jpeg") else {}
    with whole_file(path) as file:
        picture.save(file, format=Image.registered_extensions()[suffix], **options)


def save_array(path: str | Path, values: np.ndarray) -> None:
    """Write a numpy `.npy` file."""
    with whole_file(path) as file:
        np.save(file, values, allow_pickle=False)


def save_animation(
    path: str | Path, frames: Sequence[np.ndarray], frame_ms: int = 200, hold_ms: int = 2000
) -> None:
    """Frames `[H, W, 3]` uint8 → a GIF that loops, its last frame held; one palette for all.

    The palette is chosen from all frames together, so that colours do not flicker, and errors are
    diffused. Raises `OutputError` without frames.
    """
    import imageio.v3 as imageio

    if not len(frames):
        raise OutputError(f"no frames for {path}")
    pixels = np.stack(frames).reshape(1, -1, 3)
    sample = Image.fromarray(pixels[:, :: -(-pixels.shape[1] // 50_000)])
    palette = sample.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2)
    durations = [frame_ms] * (len(frames) - 1) + [hold_ms]
    indices = [
        np.asarray(
            Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        )
        for frame in frames
    ]
    # In memory first: imageio writes once more when it is thrown away, after a failure.
    with io.BytesIO() as memory:
        imageio.imwrite(
            memory,
            np.stack(indices),
            plugin="pillow",
            extension=".gif",
            mode="P",
            is_batch=True,
            palette=bytes(palette.getpalette()),
            duration=durations if len(frames) > 1 else hold_ms,
            loop=0,
        )
        with whole_file(path) as file:
            file.write(memory.getvalue())


def _write(draw: ImageDraw.ImageDraw, at: tuple, text: str, size: int, ink: tuple, width: int):
    """One line of text above `at`, cut with an ellipsis where it is wider than `width`."""
    font = _font(text, size)
    draw.text(at, _fitting(text, font, width), ink, font, anchor="ls")


def _font(text: str, size: int) -> ImageFont.ImageFont:
    """Pillow's own font, which has ASCII and a little more; for other letters one of the system."""
    if not set(text) <= _OWN_LETTERS:
        for name in _SYSTEM_FONTS:
            with suppress(OSError):
                return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def _fitting(text: str, font: ImageFont.ImageFont, width: int) -> str:
    """The text, cut with an ellipsis where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if font.getlength(text[:middle] + "…") <= width:
            fits = middle
        else:
            too_long = middle
    return text[:fits].rstrip() + "…"
