"""Pictures of every mode are loaded as 8-bit RGB: upright, and on white where transparent."""

import os
import struct

import numpy as np
import pytest
from picture_files import one_colour, png_file
from PIL import Image

from visualize_pd.core.images import load_image


def sixteen_bit(value, kind="<u2"):
    return Image.fromarray(np.full((10, 12), value, kind))


def palette(colour):
    picture = one_colour("P", 3)
    picture.putpalette([9, 9, 9] * 3 + list(colour))
    return picture


def colours_of(picture):
    return {tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()}


@pytest.mark.parametrize(
    "name, picture, options, colour",
    [
        ("rgb.png", one_colour("RGB", (1, 2, 3)), {}, (1, 2, 3)),
        ("rgb.bmp", one_colour("RGB", (200, 100, 50)), {}, (200, 100, 50)),
        ("grey.png", one_colour("L", 77), {}, (77, 77, 77)),
        ("white bits.png", one_colour("1", 1), {}, (255, 255, 255)),
        ("black bits.png", one_colour("1", 0), {}, (0, 0, 0)),
        ("palette.png", palette((10, 20, 30)), {}, (10, 20, 30)),
        ("palette.gif", palette((10, 20, 30)), {}, (10, 20, 30)),
        ("palette.png", palette((10, 20, 30)), {"transparency": 3}, (255, 255, 255)),
        ("palette.gif", palette((10, 20, 30)), {"transparency": 3}, (255, 255, 255)),
        # The alpha is 153/255 = 0.6, so red is 0.6 · 10 + 0.4 · 255 = 108.
        (
            "palette.png",
            palette((10, 20, 30)),
            {"transparency": b"\xff\xff\xff\x99"},
            (108, 114, 120),
        ),
        ("clear.png", one_colour("RGBA", (255, 0, 0, 0)), {}, (255, 255, 255)),
        ("solid.png", one_colour("RGBA", (255, 0, 0, 255)), {}, (255, 0, 0)),
        ("partly.png", one_colour("RGBA", (0, 100, 255, 51)), {}, (204, 224, 255)),
        ("partly grey.png", one_colour("LA", (0, 51)), {}, (204, 204, 204)),
        ("clear grey.png", one_colour("L", 77), {"transparency": 77}, (255, 255, 255)),
        ("clear rgb.png", one_colour("RGB", (1, 2, 3)), {"transparency": (1, 2, 3)}, (255,) * 3),
        ("other rgb.png", one_colour("RGB", (1, 2, 3)), {"transparency": (9, 9, 9)}, (1, 2, 3)),
        ("red.tif", one_colour("CMYK", (0, 255, 255, 0)), {}, (255, 0, 0)),
        ("black.tif", one_colour("CMYK", (0, 0, 0, 255)), {}, (0, 0, 0)),
        ("cyan.jpg", one_colour("CMYK", (255, 0, 0, 0)), {"quality": 100}, (0, 255, 255)),
        ("16 bits.png", sixteen_bit(32896), {}, (128, 128, 128)),
        ("16 bits.png", sixteen_bit(65535), {}, (255, 255, 255)),
        ("16 bits.tif", sixteen_bit(32896), {}, (128, 128, 128)),
        ("16 bits.tif", sixteen_bit(32896, ">u2"), {}, (128, 128, 128)),
        ("dark 16 bits.png", sixteen_bit(200), {}, (1, 1, 1)),
        ("dark 16 bits.tif", sixteen_bit(1), {}, (0, 0, 0)),
        ("32 bits.tif", sixteen_bit(32896, "int32"), {}, (128, 128, 128)),
        ("bytes in 32 bits.tif", sixteen_bit(70, "int32"), {}, (70, 70, 70)),
        ("fractions.tif", sixteen_bit(0.4, "float32"), {}, (102, 102, 102)),
        ("floats.tif", sixteen_bit(64, "float32"), {}, (64, 64, 64)),
        ("below zero.tif", sixteen_bit(-5, "float32"), {}, (0, 0, 0)),
    ],
)
def test_every_mode_becomes_8_bit_rgb(tmp_path, name, picture, options, colour):
    picture.save(tmp_path / name, **options)
    loaded = load_image(tmp_path / name)
    assert loaded.mode == "RGB" and loaded.size == (12, 10)
    assert colours_of(loaded) == {colour}


def test_png_with_16_bits_per_colour(tmp_path):
    row = b"\0" + struct.pack(">HHH", 32896, 0, 65535) * 12
    path = tmp_path / "deep.png"
    path.write_bytes(png_file(12, 10, 16, 2, row * 10))
    assert colours_of(load_image(path)) == {(128, 0, 255)}


def test_grey_levels_of_a_16_bit_picture(tmp_path):
    values = np.zeros((10, 12), "uint16")
    values[0] = 65535
    values[1] = 257 * 9
    Image.fromarray(values).save(tmp_path / "x.png")
    pixels = np.asarray(load_image(tmp_path / "x.png"))
    assert pixels[:3, 0].tolist() == [[255] * 3, [9] * 3, [0] * 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("error")
def test_float_picture_with_one_value_that_is_not_finite(tmp_path, value):
    values = np.full((10, 12), 0.4, "float32")
    values[0, 0] = value
    Image.fromarray(values).save(tmp_path / "x.tif")
    assert load_image(tmp_path / "x.tif").getpixel((5, 5)) == (102, 102, 102)


@pytest.mark.filterwarnings("error")
def test_float_picture_of_nan_only(tmp_path):
    Image.fromarray(np.full((10, 12), np.nan, "float32")).save(tmp_path / "x.tif")
    assert load_image(tmp_path / "x.tif").getpixel((5, 5)) == (0, 0, 0)


def test_ycbcr_jpeg_keeps_its_colours(tmp_path):
    one_colour("RGB", (250, 10, 20)).save(tmp_path / "x.jpg", quality=100, subsampling=0)
    pixels = np.asarray(load_image(tmp_path / "x.jpg")).astype(int)
    assert np.abs(pixels - [250, 10, 20]).max() <= 2


# EXIF orientation (TIFF 6.0, tag 274) → how the stored pixels are rotated or mirrored for display.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),  # clockwise
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored, 1),  # counter-clockwise
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(tmp_path, orientation):
    stored = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype="uint8")
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(tmp_path / "x.png", exif=exif)
    loaded = np.asarray(load_image(tmp_path / "x.png"))
    assert np.array_equal(loaded, UPRIGHT[orientation](stored))


@pytest.mark.parametrize("exif", [b"", b"nonsense", b"Exif\0\0MM\0*\xff\xff\xff\xff"])
def test_broken_exif_block_is_ignored(tmp_path, exif):
    one_colour("RGB", (9, 99, 199)).save(tmp_path / "x.png", exif=exif or None)
    assert load_image(tmp_path / "x.png").getpixel((3, 3)) == (9, 99, 199)


def test_path_can_be_a_string_or_a_path(monkeypatch, tmp_path):
    one_colour("RGB", (1, 2, 3)).save(tmp_path / "x.png")
    monkeypatch.chdir(tmp_path)
    for path in ("x.png", tmp_path / "x.png", os.fspath(tmp_path / "x.png")):
        assert load_image(path).getpixel((0, 0)) == (1, 2, 3)
