"""Files ↔ tensors: which files, which colours, which way up, which numbers."""

import os
import struct
import zlib

import numpy as np
import paddle
import pytest
from PIL import EpsImagePlugin, Image

from visualize_pd.core.errors import ImageError
from visualize_pd.core.images import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    crop,
    find_images,
    load_image,
    load_mask,
    to_pixels,
    to_tensor,
)

# --- which files ---------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pictures by name in the current folder; they need no content to be found."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "down" / "deep").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "c.JPEG", "note.txt", ".hidden.png", "down/d.png"):
        (tmp_path / name).touch()
    (tmp_path / "down" / "deep" / "e.webp").touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(paths):
    return [path.as_posix() for path in paths]


def test_a_folder_gives_its_pictures_in_order(folder):
    assert names(find_images(".")) == ["a.jpg", "b.png", "c.JPEG"]
    assert names(find_images("down")) == ["down/d.png"]


@pytest.mark.parametrize(
    "pattern, found",
    [
        ("*.png", ["b.png"]),
        ("*", ["a.jpg", "b.png", "c.JPEG"]),
        ("[ab].*", ["a.jpg", "b.png"]),
        ("?.jpg", ["a.jpg"]),
        ("down/*", ["down/d.png"]),
        ("**/*.webp", ["down/deep/e.webp"]),
        ("down/**", ["down/d.png", "down/deep/e.webp"]),
    ],
)
def test_globs(folder, pattern, found):
    assert names(find_images(pattern)) == found


def test_sources_keep_their_order_and_each_file_comes_once(folder):
    sources = ["down/d.png", "b.png", ".", "*.png", "./b.png", "b.png"]
    assert names(find_images(sources)) == ["down/d.png", "b.png", "a.jpg", "c.JPEG"]


@pytest.mark.parametrize("other", ["down/../b.png", "{}/b.png"])
def test_two_spellings_of_a_path_are_one_file(folder, other):
    assert names(find_images(["b.png", other.format(folder)])) == ["b.png"]


def test_a_name_with_brackets_is_a_file_where_it_exists(folder):
    (folder / "shot[1].png").touch()
    (folder / "set[1]").mkdir()
    (folder / "set[1]" / "x.png").touch()
    assert names(find_images("shot[1].png")) == ["shot[1].png"]
    assert names(find_images("set[1]")) == ["set[1]/x.png"]


def test_a_file_named_outright_is_returned_whatever_it_is(folder):
    assert names(find_images(["note.txt", "missing.png"])) == ["note.txt", "missing.png"]


@pytest.mark.parametrize(
    "sources, message",
    [
        ("down/deep/none*", "no picture matches"),
        ("*.txt", "no picture matches"),
        ("folder.png", "holds no pictures"),
        ([], "no images given"),
        (["b.png", "*.gif"], r"no picture matches \*\.gif"),
        ("a\0b/*.png", "no picture matches"),
        ("\ud800/*.png", "no picture matches"),  # as "\\ud800" in YAML
        ("a*/" * 5000, "no picture matches"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_nothing_found(folder, sources, message):
    with pytest.raises(ImageError, match=message):
        find_images(sources)


def test_a_name_too_long_for_the_system_is_an_image_error(folder):
    with pytest.raises(ImageError):
        [load_image(path) for path in find_images("x" * 300)]


def test_a_folder_without_permission_is_an_image_error(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    monkeypatch.setattr("os.listdir", refuse)
    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(ImageError):
        find_images("down")


def test_what_may_not_be_looked_at_is_passed_over(folder, monkeypatch):
    stat = os.stat

    def refuse(path, **options):
        if str(path).endswith("a.jpg"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr("os.stat", refuse)
    assert names(find_images(".")) == ["b.png", "c.JPEG"]


def test_kinds_of_file_that_hold_no_picture_are_passed_over(folder):
    for name in ("paper.pdf", "weights.h5", "film.mpg", "program.eps"):
        (folder / name).write_bytes(b"no picture")
    assert names(find_images(".")) == ["a.jpg", "b.png", "c.JPEG"]


# --- which colours -------------------------------------------------------------------------------


def plain(mode, colour):
    return Image.new(mode, (12, 10), colour)


def sixteen_bit(value, kind="<u2"):
    return Image.fromarray(np.full((10, 12), value, kind))


def palette(colour):
    picture = plain("P", 3)
    picture.putpalette([9, 9, 9] * 3 + list(colour))
    return picture


def colours(picture):
    return {tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()}


@pytest.mark.parametrize(
    "name, picture, options, colour",
    [
        ("rgb.png", plain("RGB", (1, 2, 3)), {}, (1, 2, 3)),
        ("rgb.bmp", plain("RGB", (200, 100, 50)), {}, (200, 100, 50)),
        ("grey.png", plain("L", 77), {}, (77, 77, 77)),
        ("white bits.png", plain("1", 1), {}, (255, 255, 255)),
        ("black bits.png", plain("1", 0), {}, (0, 0, 0)),
        ("palette.png", palette((10, 20, 30)), {}, (10, 20, 30)),
        ("palette.gif", palette((10, 20, 30)), {}, (10, 20, 30)),
        ("palette.png", palette((10, 20, 30)), {"transparency": 3}, (255, 255, 255)),
        ("palette.gif", palette((10, 20, 30)), {"transparency": 3}, (255, 255, 255)),
        # 153/255 = 0.6 of the colour, 0.4 of white: 0.6 · 10 + 102 …
        (
            "palette.png",
            palette((10, 20, 30)),
            {"transparency": b"\xff\xff\xff\x99"},
            (108, 114, 120),
        ),
        ("clear.png", plain("RGBA", (255, 0, 0, 0)), {}, (255, 255, 255)),
        ("solid.png", plain("RGBA", (255, 0, 0, 255)), {}, (255, 0, 0)),
        ("partly.png", plain("RGBA", (0, 100, 255, 51)), {}, (204, 224, 255)),
        ("partly grey.png", plain("LA", (0, 51)), {}, (204, 204, 204)),
        ("clear grey.png", plain("L", 77), {"transparency": 77}, (255, 255, 255)),
        ("clear rgb.png", plain("RGB", (1, 2, 3)), {"transparency": (1, 2, 3)}, (255,) * 3),
        ("other rgb.png", plain("RGB", (1, 2, 3)), {"transparency": (9, 9, 9)}, (1, 2, 3)),
        ("red.tif", plain("CMYK", (0, 255, 255, 0)), {}, (255, 0, 0)),
        ("black.tif", plain("CMYK", (0, 0, 0, 255)), {}, (0, 0, 0)),
        ("cyan.jpg", plain("CMYK", (255, 0, 0, 0)), {"quality": 100}, (0, 255, 255)),
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
def test_any_mode_becomes_eight_bit_rgb(tmp_path, name, picture, options, colour):
    picture.save(tmp_path / name, **options)
    loaded = load_image(tmp_path / name)
    assert loaded.mode == "RGB" and loaded.size == (12, 10)
    assert colours(loaded) == {colour}


def test_sixteen_bit_colour(tmp_path):
    row = b"\0" + struct.pack(">HHH", 32896, 0, 65535) * 12
    path = tmp_path / "deep.png"
    path.write_bytes(png(12, 10, 16, 2, row * 10))
    assert colours(load_image(path)) == {(128, 0, 255)}


def test_levels_of_one_sixteen_bit_picture(tmp_path):
    values = np.zeros((10, 12), "uint16")
    values[0] = 65535
    values[1] = 257 * 9
    Image.fromarray(values).save(tmp_path / "x.png")
    pixels = np.asarray(load_image(tmp_path / "x.png"))
    assert pixels[:3, 0].tolist() == [[255] * 3, [9] * 3, [0] * 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("error")
def test_a_float_picture_with_a_hole_in_it(tmp_path, value):
    values = np.full((10, 12), 0.4, "float32")
    values[0, 0] = value
    Image.fromarray(values).save(tmp_path / "x.tif")
    assert load_image(tmp_path / "x.tif").getpixel((5, 5)) == (102, 102, 102)


@pytest.mark.filterwarnings("error")
def test_a_float_picture_of_nothing_but_holes(tmp_path):
    Image.fromarray(np.full((10, 12), np.nan, "float32")).save(tmp_path / "x.tif")
    assert load_image(tmp_path / "x.tif").getpixel((5, 5)) == (0, 0, 0)


def test_a_ycbcr_jpeg_keeps_its_colours(tmp_path):
    plain("RGB", (250, 10, 20)).save(tmp_path / "x.jpg", quality=100, subsampling=0)
    pixels = np.asarray(load_image(tmp_path / "x.jpg")).astype(int)
    assert np.abs(pixels - [250, 10, 20]).max() <= 2


# How a viewer turns what is stored, by the EXIF orientation (TIFF 6.0, tag 274).
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
def test_a_broken_exif_block_does_not_spoil_a_picture(tmp_path, exif):
    plain("RGB", (9, 99, 199)).save(tmp_path / "x.png", exif=exif or None)
    assert load_image(tmp_path / "x.png").getpixel((3, 3)) == (9, 99, 199)


def png(width, height, depth, colour, data):
    """A PNG file by hand: the header may claim what the data does not hold."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(data)),
            chunk(b"IEND", b""),
        )
    )


@pytest.mark.parametrize("size", [(60_000, 60_000), (12_000, 9_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size, 8, 2, bytes(1000)))
    with pytest.raises(ImageError, match=r"89,000,000 pixels"):
        load_image(path)


@pytest.mark.parametrize("size, fits", [((8, 8), True), ((7, 8), False), ((8, 7), False)])
def test_the_smallest_picture(tmp_path, size, fits):
    Image.new("RGB", size).save(tmp_path / "x.png")
    if fits:
        assert load_image(tmp_path / "x.png").size == size
    else:
        with pytest.raises(ImageError, match=f"{size[0]}×{size[1]}"):
            load_image(tmp_path / "x.png")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", bytes(5000)]
)
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x"])
def test_a_file_that_is_no_picture(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_picture_that_is_cut_off(tmp_path, name, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype="uint8")
    path = tmp_path / name
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ImageError, match=name):
        load_image(path)


@pytest.mark.parametrize(
    "name",
    ["missing.png", ".", "a\0b", "x" * 300, "x.txt/below.png", "~no one/x.png", "~a\0b/x.png"],
)
def test_a_path_that_cannot_be_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").touch()
    with pytest.raises(ImageError):
        load_image(name)


@pytest.mark.parametrize(
    "read", [load_image, lambda path: load_mask(path, (8, 8))], ids=["image", "mask"]
)
def test_a_pipe_is_not_waited_for(pipe, read):
    with pytest.raises(ImageError, match="is a pipe or a device"):
        read(pipe("x.png"))


def test_a_program_is_not_run(tmp_path, monkeypatch):
    """Pillow gives PostScript, whatever the file's name, to Ghostscript."""
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("it was run"))
    (tmp_path / "x.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n\n{} loop\n"
    )
    with pytest.raises(ImageError, match=r"x\.png is a program, which is not run"):
        load_image(tmp_path / "x.png")


# --- the square that the network sees ------------------------------------------------------------


def smooth(width, height):
    """Slow waves that differ along x, along y and between the channels."""
    y, x = np.mgrid[:height, :width]
    y, x = y / height, x / width
    channels = [np.sin(4 * x + y), np.cos(3 * y - x), np.sin(2 * x * y + 1)]
    return Image.fromarray((127 + 120 * np.stack(channels, axis=2)).astype("uint8"))


@pytest.mark.parametrize("resample", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size, resize", [(224, 256), (64, 64), (48, 64)])
@pytest.mark.parametrize(
    "width, height",
    [
        *((600, 400), (400, 600), (1000, 256), (256, 1000), (777, 333)),
        *((256, 256), (224, 224), (64, 64), (50, 40), (8, 8), (9, 8)),
    ],
)
def test_one_step_equals_resize_then_crop(width, height, size, resize, resample):
    picture = smooth(width, height)
    scale = resize / min(width, height)
    new = (round(width * scale), round(height * scale))
    large = picture.resize(new, getattr(Image.Resampling, resample.upper()))
    left, top = (new[0] - size) // 2, (new[1] - size) // 2
    expected = large.crop((left, top, left + size, top + size))
    got = crop(picture, size, resize, resample)
    assert got.size == (size, size)
    difference = np.asarray(got, int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 2


def test_the_middle_third_of_a_wide_and_of_a_tall_picture():
    bands = np.zeros((90, 270, 3), "uint8")
    bands[:, :90], bands[:, 90:180], bands[:, 180:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    for picture in (bands, bands.transpose(1, 0, 2)):
        inner = np.asarray(crop(Image.fromarray(picture), 60, 90))
        assert (inner == (0, 255, 0)).all()


def test_the_margin_is_left_out_and_the_orientation_kept():
    corners = np.zeros((256, 256, 3), "uint8")
    corners[:16], corners[:, :16], corners[16:24, 16:24] = 255, 255, (255, 0, 0)
    inner = np.asarray(crop(Image.fromarray(corners), 224, 256))
    assert (inner[:8, :8] == (255, 0, 0)).all()
    assert not inner[8:].any() and not inner[:, 8:].any()


@pytest.mark.parametrize("width, height", [(10, 20_000), (20_000, 10)])
def test_a_very_long_picture_is_never_enlarged_whole(monkeypatch, width, height):
    pixels = np.zeros((height, width, 3), "uint8")
    pixels[height // 2 - 5 : height // 2 + 5, width // 2 - 5 : width // 2 + 5] = (0, 200, 0)
    largest, plain_resize = [], Image.Image.resize

    def resize(image, *arguments, **options):
        result = plain_resize(image, *arguments, **options)
        largest.append(result.width * result.height)
        return result

    monkeypatch.setattr(Image.Image, "resize", resize)
    inner = np.asarray(crop(Image.fromarray(pixels), 224, 256))
    assert (inner[45:-45, 45:-45] == (0, 200, 0)).all()
    assert max(largest) <= 512 * 512


# --- numbers -------------------------------------------------------------------------------------


def test_hand_worked_values():
    picture = Image.new("RGB", (3, 2))
    picture.putpixel((2, 1), (255, 0, 51))  # x 2, y 1
    batch = to_tensor([picture], (0.5, 0.25, 0.2), (0.5, 0.125, 0.1))
    assert batch.dtype == paddle.float32 and list(batch.shape) == [1, 3, 2, 3]
    expected = np.array([-1.0, -2.0, -2.0]).reshape(3, 1, 1) * np.ones((3, 2, 3))
    expected[:, 1, 2] = (1.0, -2.0, 0.0)  # (1 − 0.5) / 0.5, (0 − 0.25) / 0.125, (0.2 − 0.2) / 0.1
    assert np.allclose(batch.numpy()[0], expected, atol=1e-6)


def test_imagenet_values():
    batch = to_tensor([Image.new("RGB", (8, 8), (255, 0, 128))])
    wanted = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    assert np.allclose(batch.numpy()[0, :, 4, 4], wanted, atol=1e-6)
    assert wanted == pytest.approx([2.2489083, -2.0357143, 0.4264924])


def test_height_and_width_are_not_swapped():
    rows = np.arange(5)[:, None] * 10 + np.arange(3)[None, :]  # 5 high, 3 wide
    picture = Image.fromarray(np.stack([rows, rows + 100, rows + 200], axis=2).astype("uint8"))
    values = to_tensor([picture], (0, 0, 0), (1, 1, 1)).numpy() * 255
    assert values.shape == (1, 3, 5, 3)
    assert np.allclose(values[0, 0], rows, atol=1e-3)
    assert np.allclose(values[0, 2], rows + 200, atol=1e-3)


def test_pictures_stay_in_order():
    batch = to_tensor([plain("RGB", (value,) * 3) for value in (0, 51, 255)], (0,) * 3, (1,) * 3)
    assert np.allclose(batch.numpy()[:, 0, 0, 0], [0, 0.2, 1], atol=1e-7)


@pytest.mark.parametrize(
    "mean, std",
    [
        (IMAGENET_MEAN, IMAGENET_STD),
        ((0.5,) * 3, (0.5,) * 3),
        ((127 / 255,) * 3, (128 / 255,) * 3),
        ((0,) * 3, (1,) * 3),
        ((0.1, 0.9, 0.3), (3.0, 0.01, 0.7)),
    ],
)
def test_all_levels_come_back_exactly(mean, std):
    levels = np.arange(256).reshape(8, 32)
    pixels = np.stack([levels, 255 - levels, levels * 7 % 256], axis=2).astype("uint8")
    batch = to_tensor([Image.fromarray(pixels)], mean, std)
    back = to_pixels(batch, mean, std)
    assert back.dtype == np.uint8
    assert np.array_equal(back[0], pixels)


def test_values_outside_the_range_are_clipped_and_others_rounded():
    values = paddle.to_tensor([-10.0, -0.001, 0.0, 100.4 / 255, 100.6 / 255, 1.0, 1.001, 1e9])
    batch = values.reshape([1, 1, 1, 8]).tile([1, 3, 1, 1])
    pixels = to_pixels(batch, (0, 0, 0), (1, 1, 1))
    assert pixels[0, 0, :, 1].tolist() == [0, 0, 0, 100, 101, 255, 255, 255]


def test_one_mean_makes_it_grey():
    picture = Image.new("RGB", (3, 2), (255, 255, 255))
    picture.putpixel((2, 1), (0, 0, 0))
    batch = to_tensor([picture], (0.5,), (0.25,))
    assert list(batch.shape) == [1, 1, 2, 3]
    assert batch.numpy()[0, 0].tolist() == [[2.0, 2.0, 2.0], [2.0, 2.0, -2.0]]
    back = to_pixels(batch, (0.5,), (0.25,))
    assert np.array_equal(back[0], np.asarray(picture))


def test_grey_is_the_luma_of_a_colour():
    batch = to_tensor([Image.new("RGB", (8, 8), (255, 0, 0))], (0,), (1,))
    assert float(batch.numpy().mean()) == pytest.approx(0.299, abs=1 / 255)


def test_a_path_of_any_kind(monkeypatch, tmp_path):
    plain("RGB", (1, 2, 3)).save(tmp_path / "x.png")
    monkeypatch.chdir(tmp_path)
    for path in ("x.png", tmp_path / "x.png", os.fspath(tmp_path / "x.png")):
        assert load_image(path).getpixel((0, 0)) == (1, 2, 3)
