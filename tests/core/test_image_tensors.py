"""Pictures are cropped and normalised to tensors, and tensors are turned back into pixels."""

import numpy as np
import paddle
import pytest
from picture_files import one_colour
from PIL import Image

from visualize_pd.core.images import IMAGENET_MEAN, IMAGENET_STD, crop, to_pixels, to_tensor


def smooth_picture(width, height):
    """A picture of slow waves, which differ along x, along y and between the channels."""
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
def test_crop_equals_a_resize_followed_by_a_crop(width, height, size, resize, resample):
    picture = smooth_picture(width, height)
    scale = resize / min(width, height)
    new = (round(width * scale), round(height * scale))
    whole = picture.resize(new, getattr(Image.Resampling, resample.upper()))
    left, top = (new[0] - size) // 2, (new[1] - size) // 2
    expected = whole.crop((left, top, left + size, top + size))
    got = crop(picture, size, resize, resample)
    assert got.size == (size, size)
    difference = np.asarray(got, int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 2


def test_centre_of_a_wide_and_of_a_tall_picture():
    bands = np.zeros((90, 270, 3), "uint8")
    bands[:, :90], bands[:, 90:180], bands[:, 180:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    for picture in (bands, bands.transpose(1, 0, 2)):
        inner = np.asarray(crop(Image.fromarray(picture), 60, 90))
        assert (inner == (0, 255, 0)).all()


def test_crop_removes_the_margin_and_keeps_the_orientation():
    corners = np.zeros((256, 256, 3), "uint8")
    corners[:16], corners[:, :16], corners[16:24, 16:24] = 255, 255, (255, 0, 0)
    inner = np.asarray(crop(Image.fromarray(corners), 224, 256))
    assert (inner[:8, :8] == (255, 0, 0)).all()
    assert not inner[8:].any() and not inner[:, 8:].any()


@pytest.mark.parametrize("width, height", [(10, 20_000), (20_000, 10)])
def test_very_long_picture_is_not_enlarged_as_a_whole(monkeypatch, width, height):
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


def test_normalised_values_by_hand():
    picture = Image.new("RGB", (3, 2))
    picture.putpixel((2, 1), (255, 0, 51))  # x 2, y 1
    batch = to_tensor([picture], (0.5, 0.25, 0.2), (0.5, 0.125, 0.1))
    assert batch.dtype == paddle.float32 and list(batch.shape) == [1, 3, 2, 3]
    expected = np.array([-1.0, -2.0, -2.0]).reshape(3, 1, 1) * np.ones((3, 2, 3))
    expected[:, 1, 2] = (1.0, -2.0, 0.0)  # (1 − 0.5) / 0.5, (0 − 0.25) / 0.125, (0.2 − 0.2) / 0.1
    assert np.allclose(batch.numpy()[0], expected, atol=1e-6)


def test_normalised_values_with_the_statistics_of_imagenet():
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
    pictures = [one_colour("RGB", (value,) * 3) for value in (0, 51, 255)]
    batch = to_tensor(pictures, (0,) * 3, (1,) * 3)
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
def test_every_pixel_value_comes_back_exactly(mean, std):
    levels = np.arange(256).reshape(8, 32)
    pixels = np.stack([levels, 255 - levels, levels * 7 % 256], axis=2).astype("uint8")
    batch = to_tensor([Image.fromarray(pixels)], mean, std)
    back = to_pixels(batch, mean, std)
    assert back.dtype == np.uint8
    assert np.array_equal(back[0], pixels)


def test_pixels_are_rounded_and_clipped():
    values = paddle.to_tensor([-10.0, -0.001, 0.0, 100.4 / 255, 100.6 / 255, 1.0, 1.001, 1e9])
    batch = values.reshape([1, 1, 1, 8]).tile([1, 3, 1, 1])
    pixels = to_pixels(batch, (0, 0, 0), (1, 1, 1))
    assert pixels[0, 0, :, 1].tolist() == [0, 0, 0, 100, 101, 255, 255, 255]


def test_single_mean_gives_one_grey_channel():
    picture = Image.new("RGB", (3, 2), (255, 255, 255))
    picture.putpixel((2, 1), (0, 0, 0))
    batch = to_tensor([picture], (0.5,), (0.25,))
    assert list(batch.shape) == [1, 1, 2, 3]
    assert batch.numpy()[0, 0].tolist() == [[2.0, 2.0, 2.0], [2.0, 2.0, -2.0]]
    back = to_pixels(batch, (0.5,), (0.25,))
    assert np.array_equal(back[0], np.asarray(picture))


def test_grey_value_is_the_luma_of_the_colour():
    batch = to_tensor([Image.new("RGB", (8, 8), (255, 0, 0))], (0,), (1,))
    assert float(batch.numpy().mean()) == pytest.approx(0.299, abs=1 / 255)
