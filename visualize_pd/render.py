"""Maps → pictures, frames → animations. Nothing here knows a method or a network."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Union

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from .errors import OutputError, look_up
from .files import whole_file

# Every eighth colour of matplotlib's viridis (CC0), and its last.
_VIRIDIS = (
    "440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d 2f6b8e 2c728e "
    "297a8e 26828e 23898e 21918c 1f988b 1fa088 22a785 28ae80 32b67a 3fbc73 4ec36b 5ec962 70cf57 "
    "84d44b 98d83e addc30 c2df23 d8e219 ece51b fde725"
)
_JET = "00007f 0000ff 007fff 00ffff 7fff7f ffff00 ff7f00 ff0000 7f0000"
_DIVERGING = "0b2a6b 1f5fb4 6ea6dc c3dcf2 f7f7f7 f6cdb8 e3856a c03a35 6e0f1d"


def _table(anchors: str) -> np.ndarray:
    """256 colours: the anchors at equal steps, the last at the end, and what lies between them."""
    colours = np.array([list(bytes.fromhex(anchor)) for anchor in anchors.split()], dtype="float64")
    step = -(-255 // (len(colours) - 1))
    places = np.minimum(np.arange(len(colours)) * step, 255)
    return np.stack([np.interp(np.arange(256), places, channel) for channel in colours.T], axis=1)


COLORMAPS = {
    "viridis": _table(_VIRIDIS),
    "jet": _table(_JET),
    "grey": _table("000000 ffffff"),
    "diverging": _table(_DIVERGING),
}

_OWN_LETTERS = {*map(chr, range(32, 127)), "·", "…", "’"}
# Chinese ones first: they have Latin, Greek and Cyrillic letters too.
_SYSTEM_FONTS = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "SourceHanSansSC-Regular.otf"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "msyh.ttc", "simhei.ttf", "PingFang.ttc"),
    *("Hiragino Sans GB.ttc", "DroidSansFallbackFull.ttf", "Arial Unicode.ttf", "DejaVuSans.ttf"),
)

INK, FAINT, PAPER = (25, 25, 30), (110, 110, 118), (255, 255, 255)


class Spread(NamedTuple):
    """How the values of one map, or of all maps that share a scale, are spread."""

    mean: float
    mean_square: float
    low: float
    high: float

    @property
    def std(self) -> float:
        return max(self.mean_square - self.mean**2, 0) ** 0.5


def spread_of(maps: Sequence[np.ndarray]) -> Spread:
    """The spread of all maps together."""
    count = sum(values.size for values in maps)
    return Spread(
        sum(float(values.sum(dtype="float64")) for values in maps) / count,
        sum(float(np.square(values, dtype="float64").sum()) for values in maps) / count,
        min(float(values.min()) for values in maps),
        max(float(values.max()) for values in maps),
    )


def standardise(values: np.ndarray, spread: Spread | None = None) -> np.ndarray:
    """Zero mean, unit deviation, × 0.1, + 0.5, clipped to [0, 1]; a constant becomes 0.5."""
    spread = spread or spread_of([values])
    if spread.low == spread.high:
        return np.full_like(values, 0.5)
    return np.clip((values - spread.mean) / spread.std * 0.1 + 0.5, 0, 1)


def heat(values: np.ndarray, colormap: str = "auto", spread: Spread | None = None) -> np.ndarray:
    """`[H, W]` → `[H, W, 3]` uint8, from the first colour of a colour map to its last.

    Values over five deviations from the mean are cut. `diverging`, and `auto` for a map with
    values of both signs, puts 0 into the middle; otherwise `auto` is viridis.
    """
    positions, name = _placed(values, colormap, spread)
    return np.round(COLORMAPS[name][np.round(positions * 255).astype(int)]).astype("uint8")


def heat_over(
    picture: np.ndarray,
    values: np.ndarray,
    colormap: str = "auto",
    spread: Spread | None = None,
    alpha: float = 0.5,
) -> np.ndarray:
    """`heat` laid over a picture `[H, W, 3]`; of diverging colours the more, the further from 0."""
    positions, name = _placed(values, colormap, spread)
    strength = np.full_like(positions, alpha)
    if name == "diverging":
        strength = np.minimum(1, 1.6 * alpha * np.abs(2 * positions - 1) ** 0.7)
    colours = heat(values, name, spread)
    return blend(picture, colours, strength[..., None])


def blend(picture: np.ndarray, colours: np.ndarray, alpha: float | np.ndarray = 0.5) -> np.ndarray:
    """Colours laid over a picture, both `[H, W, 3]` uint8."""
    return np.round(picture * (1 - alpha) + colours * alpha).astype("uint8")


def _placed(values: np.ndarray, colormap: str, spread: Spread | None) -> tuple[np.ndarray, str]:
    """Where values lie between the ends of a colour map, in [0, 1], and the map's name."""
    spread = spread or spread_of([values])
    if colormap == "auto":
        colormap = "diverging" if spread.low < 0 < spread.high else "viridis"
    look_up("colormap", colormap, COLORMAPS)
    if colormap == "diverging":
        high = min(max(-spread.low, spread.high), 5 * spread.mean_square**0.5)
        low = -high
    else:
        low = max(spread.low, spread.mean - 5 * spread.std)
        high = min(spread.high, spread.mean + 5 * spread.std)
    if high <= low:
        return np.full(values.shape, 0.5 if colormap == "diverging" else 0.0), colormap
    return np.clip((values.astype("float64") - low) / (high - low), 0, 1), colormap


def overlay(
    picture: Image.Image, attribution: Any, alpha: float = 0.5, colormap: str = "auto"
) -> Image.Image:
    """One image's map `[1, 1, H, W]` (tensor or array) in colours over the photograph."""
    values = np.asarray(attribution, dtype="float64").reshape(attribution.shape[-2:])
    photograph = picture.convert("RGB").resize((values.shape[1], values.shape[0]))
    return Image.fromarray(heat_over(np.asarray(photograph), values, colormap, alpha=alpha))


def map_panels(
    picture: np.ndarray,
    attribution: np.ndarray,
    reduced: np.ndarray,
    names: tuple[str, str],
    colormap: str = "auto",
    spread: Spread | None = None,
) -> list[tuple[str, np.ndarray]]:
    """The forerunner's panels: the input, the map by channel, the map in one channel, the overlay.

    `picture`: `[H, W, 3]` uint8; `attribution`: `[C, H, W]`; `reduced`: `[1, H, W]` or, where the
    channels were not put together, as `attribution`. A map without colour has no second panel.
    `spread`: that of all maps that share the scale of `reduced`.
    """
    panels = [("Input image", picture)]
    if len(attribution) == 3:
        together = len(reduced) == 3
        by_channel = reduced if together else attribution
        colours = standardise(by_channel, spread if together else None).transpose(1, 2, 0)
        panels.append((names[0], np.round(colours * 255).astype("uint8")))
    if len(reduced) == 1:
        over = heat_over(picture, reduced[0], colormap, spread)
        panels += [(names[1], heat(reduced[0], colormap, spread)), ("Overlay", over)]
    elif len(attribution) == 3:
        panels.append(("Overlay", blend(picture, panels[1][1])))
    return panels


def tile(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Pictures `[N, H, W, 3]` edge to edge in rows of `columns`; what is left over is white."""
    count, height, width, _ = pictures.shape
    rows = -(-count // columns)
    sheet = np.full((rows * columns, height, width, 3), 255, "uint8")
    sheet[:count] = pictures
    sheet = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, 3)


def untile(sheet: np.ndarray, count: int, columns: int) -> np.ndarray:
    """The inverse of `tile`."""
    rows = -(-count // columns)
    height, width = sheet.shape[0] // rows, sheet.shape[1] // columns
    pictures = sheet.reshape(rows, height, columns, width, 3).swapaxes(1, 2)
    return pictures.reshape(-1, height, width, 3)[:count]


def captioned(
    pictures: np.ndarray, captions: Sequence[str], columns: int, size: int | None = None
) -> np.ndarray:
    """A frame `[h, w, 3]` of an animation: pictures `[N, H, W, 3]` in a grid, captions below them.

    `size`: each picture's longer side, met by Lanczos resampling. A single picture without caption
    fills the frame.
    """
    height, width = pictures.shape[1:3]
    factor = size / max(height, width) if size else 1
    height, width = max(1, round(height * factor)), max(1, round(width * factor))
    lines = 26 if any(captions) else 0
    gap = 8 if len(pictures) > 1 else 0
    rows = -(-len(pictures) // columns)
    sheet = Image.new(
        "RGB",
        (columns * (width + gap) + gap, rows * (height + gap + lines) + gap),
        PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for number, (pixels, caption) in enumerate(zip(pictures, captions)):
        row, column = divmod(number, columns)
        x, y = gap + column * (width + gap), gap + row * (height + gap + lines)
        picture = Image.fromarray(pixels)
        if size:
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (x, y))
        if caption:
            _write(draw, (x + 4, y + height + 19), caption, 16, INK, width - 8)
    return np.asarray(sheet)


Row = tuple[str, Sequence[tuple[str, np.ndarray]]]


def figure(
    rows: Sequence[Row], caption: str, note: str = "", scale: int = 2, smooth: int = 1
) -> Image.Image:
    """Rows `(label, panels)` of panels `(title, [H, W, 3] uint8)`, over a caption and a note.

    Pixels become `scale` × `scale` squares, so that single ones can be seen; the first `smooth`
    panels of a row, photographs, are enlarged smoothly. A row without label or titles takes no room
    for them.
    """
    height, width = rows[0][1][0][1].shape[:2]
    scale = max(scale, -(-160 * scale // max(height, width)))  # small inputs stay legible
    width, height, gap = width * scale, height * scale, 32 if scale > 1 else 20
    title_size, label_size = (26, 28) if scale > 1 else (18, 19)
    heads = [
        (44 if label else 0) + (title_size + 18 if any(title for title, _ in panels) else 0)
        for label, panels in rows
    ]
    columns = max(len(panels) for _, panels in rows)
    top = gap + sum(heads) + len(rows) * height + (len(rows) - 1) * gap
    bottom = (44 if caption else 0) + (36 if note else 0) + 32
    sheet = Image.new("RGB", (columns * (width + gap) + gap, top + bottom), PAPER)
    draw = ImageDraw.Draw(sheet)
    inner = sheet.width - 2 * gap
    y = gap
    for (label, panels), head in zip(rows, heads):
        _write(draw, (gap, y + 30), label, label_size, INK, inner)
        y += head
        for column, (title, pixels) in enumerate(panels):
            x = gap + column * (width + gap)
            is_smooth = column < smooth
            resample = Image.Resampling.LANCZOS if is_smooth else Image.Resampling.NEAREST
            sheet.paste(Image.fromarray(pixels).resize((width, height), resample), (x, y))
            _write(draw, (x, y - title_size // 2), title, title_size, INK, width)
        y += height + gap
    _write(draw, (gap, top + 46), caption, 32 if scale > 1 else 22, INK, inner)
    _write(draw, (gap, top + 84), note, 24 if scale > 1 else 18, FAINT, inner)
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
    """Frames `[H, W, 3]` uint8 → an animation that loops, its last frame held.

    By the suffix a `.gif`, a `.webp` (smaller, all colours), an `.apng` (no loss) or, with the
    extra `mp4`, an `.mp4`. Raises `OutputError` for another suffix and without frames.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in ANIMATIONS:
        raise OutputError(f"{path} must end in {', '.join(ANIMATIONS)}")
    check_animation(suffix)
    if not len(frames):
        raise OutputError(f"no frames for {path}")
    durations = [frame_ms] * (len(frames) - 1) + [hold_ms]
    # In memory first: imageio writes once more when it is thrown away, after a failure.
    with io.BytesIO() as memory:
        ANIMATIONS[suffix](memory, frames, durations)
        with whole_file(path) as file:
            file.write(memory.getvalue())


def check_animation(suffix: str) -> None:
    """Raise `OutputError` for a kind of animation that this install cannot write."""
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
    """One palette for all frames, so that colours do not flicker; errors are diffused."""
    import imageio.v3 as imageio

    pixels = np.stack(frames).reshape(1, -1, 3)
    sample = Image.fromarray(pixels[:, :: -(-pixels.shape[1] // 50_000)])
    palette = sample.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2)
    indices = [
        np.asarray(
            Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        )
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
    """H.264 with as many equal frames as the longest common time asks for; it does not loop."""
    import imageio.v3 as imageio

    step = max(math.gcd(*durations), 20)
    height, width = frames[0].shape[:2]
    even = ((0, height % 2), (0, width % 2), (0, 0))  # as players ask for
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


Font = Union[ImageFont.ImageFont, ImageFont.FreeTypeFont]


def _write(
    draw: ImageDraw.ImageDraw, at: tuple, text: str, size: int, ink: tuple, width: int
) -> None:
    """One line of text above `at`, made smaller, then cut, where it is wider than `width`."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    font = _font(text, size)
    while size > 15 and font.getlength(text) > width:
        size -= 2
        font = _font(text, size)
    draw.text(at, _fitting(text, font, width), ink, font, anchor="ls")


def _font(text: str, size: int) -> Font:
    """Pillow's own font, which has ASCII and a little more; for other letters one of the system."""
    if not set(text) <= _OWN_LETTERS:
        for name in _SYSTEM_FONTS:
            with suppress(OSError):
                return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def _fitting(text: str, font: Font, width: int) -> str:
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
