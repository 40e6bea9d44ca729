"""Pictures with other channels than colours: RGBA, CMYK, bands of a TIFF, `.npy` arrays."""

import io

import numpy as np
import pytest
from PIL import Image

from visualize_pd import find_images, load_image, load_photograph, to_pixels, to_tensor
from visualize_pd.core.errors import ImageError
from visualize_pd.core.images import as_rgb, crop, resized

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (12, 10, 5), dtype="uint8")


def test_four_channels_are_those_of_the_file(tmp_path):
    pixels = BYTES[..., :4]
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    Image.fromarray(pixels, "CMYK").save(tmp_path / "a.tif")
    found, digest = load_photograph(tmp_path / "a.png", 4)
    np.testing.assert_allclose(found, pixels / 255, atol=1e-7)
    assert found.dtype == np.float32 and len(digest) == 12
    pytest.importorskip("tifffile")
    np.testing.assert_allclose(load_photograph(tmp_path / "a.tif", 4)[0], pixels / 255, atol=1e-7)


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_colours_and_grey_are_read_as_before(tmp_path, suffix):
    Image.fromarray(BYTES[..., :3]).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", BYTES[..., :3])
    found, _ = load_photograph(tmp_path / f"a.{suffix}", 3)
    expected = to_tensor([load_image(tmp_path / "a.png")]).numpy()
    np.testing.assert_allclose(to_tensor([found]).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (BYTES, BYTES / 255),
        (BYTES.astype("uint16") * 200, BYTES * (200 / 65535)),
        (BYTES.astype(">u2") * 200, BYTES * (200 / 65535)),
        (BYTES.astype("float64") - 90, BYTES - 90.0),
        (np.asfortranarray(BYTES), BYTES / 255),
    ],
)
def test_arrays_are_read_in_units_of_white(tmp_path, values, expected):
    np.save(tmp_path / "a.npy", values)
    found, _ = load_photograph(tmp_path / "a.npy", 5)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.save(tmp_path / "grey.npy", values[..., 0])
    np.testing.assert_allclose(
        load_photograph(tmp_path / "grey.npy", 1)[0][..., 0], expected[..., 0], rtol=1e-6
    )


@pytest.mark.parametrize("layout", ["contig", "separate", "pages"])
def test_bands_of_a_tiff(tmp_path, layout):
    tifffile = pytest.importorskip("tifffile")
    options = {"photometric": "minisblack"}
    if layout != "pages":
        options["planarconfig"] = layout
    values = BYTES if layout == "contig" else BYTES.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    np.testing.assert_allclose(load_photograph(tmp_path / "a.tif", 5)[0], BYTES / 255, atol=1e-7)
    with pytest.raises(ImageError, match="has 5 channels, but the network takes 6"):
        load_photograph(tmp_path / "a.tif", 6)


def saved(array, **options):
    memory = io.BytesIO()
    np.save(memory, array, **options)
    return memory.getvalue()


HEADER = saved(np.zeros((9, 9, 5), "u1"))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (saved(BYTES[..., :4]), "has 4 channels, but the network takes 5"),
        (saved(BYTES[:7]), "is 10×7; at least 8×8"),
        (saved(BYTES[None]), r"must hold one picture \[H, W, C\]"),
        (saved(BYTES.astype("int64")), "values of type int64"),
        (saved(BYTES.astype("complex64")), "values of type complex64"),
        (saved(np.where(BYTES > 9, np.nan, 1.0)), "not finite"),
        (saved(np.full((9, 9, 5), 1e300)), "not finite"),
        (saved(np.array([{}] * 405).reshape(9, 9, 5), allow_pickle=True), "cannot read"),
        (HEADER.replace(b"(9, 9, 5)", b"(9000000, 9, 5)"), "cannot read"),
        (HEADER[:100], "cannot read"),
        (b"no array", "cannot read"),
        (b"", "cannot read"),
    ],
)
def test_bad_arrays_are_one_sentence(tmp_path, data, sentence):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(ImageError, match=sentence) as caught:
        load_photograph(tmp_path / "a.npy", 5)
    assert "\n" not in str(caught.value) and "a.npy" in str(caught.value)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "missing.npy", "missing.tif", "junk.tif"])
def test_bad_files_are_one_sentence(tmp_path, name):
    pytest.importorskip("tifffile")
    Image.fromarray(BYTES[..., :3]).save(tmp_path / "a.png")
    Image.fromarray(BYTES[..., :3]).save(tmp_path / "a.tif")
    (tmp_path / "junk.tif").write_bytes(b"II*\0" + bytes(60))
    with pytest.raises(ImageError, match=r"3 channels|no such image|cannot read") as caught:
        load_photograph(tmp_path / name, 5)
    assert "\n" not in str(caught.value)


def test_arrays_are_listed_only_by_a_glob_of_their_own(tmp_path):
    np.save(tmp_path / "a.npy", BYTES)
    Image.fromarray(BYTES[..., :3]).save(tmp_path / "b.png")
    assert [path.name for path in find_images(str(tmp_path))] == ["b.png"]
    assert [path.name for path in find_images(f"{tmp_path}/*")] == ["b.png"]
    assert [path.name for path in find_images(f"{tmp_path}/*.npy")] == ["a.npy"]


def test_each_channel_is_resized_as_a_picture():
    picture = BYTES.astype("float32")
    found = resized(picture, (7, 9), "bilinear", (1.5, 0, 9, 11))
    for channel in range(5):
        one = Image.fromarray(picture[..., channel])
        expected = one.resize((7, 9), Image.Resampling.BILINEAR, box=(1.5, 0, 9, 11))
        np.testing.assert_array_equal(found[..., channel], np.asarray(expected))
    assert crop(picture, 6, 8).shape == (6, 6, 5)


def test_many_channels_are_normalised_by_their_own_mean_and_std():
    mean, std = (0.0, 0.1, 0.2, 0.3, 0.4), (1.0, 0.5, 0.25, 2.0, 4.0)
    values = BYTES.astype("float32") / 255
    found = to_tensor([values], mean, std).numpy()[0]
    np.testing.assert_allclose(found, ((values - mean) / std).transpose(2, 0, 1), atol=1e-5)
    with pytest.raises(ImageError, match=r"\[12, 10, 5\] does not fit a network of 3 channels"):
        to_tensor([values])


def test_of_many_channels_the_first_three_are_shown():
    """A ramp from 0 to 100 %: its 2nd percentile is black, its 98th is white."""
    ramp = np.linspace(7, 8, 10_001, dtype="float32").reshape(1, -1, 1)
    picture = np.concatenate([ramp, ramp, ramp, 99 - ramp], axis=2)
    shown = to_pixels(to_tensor([picture], (1,) * 4, (2,) * 4), (1,) * 4, (2,) * 4)[0, 0]
    expected = np.clip((np.linspace(0, 1, 10_001) - 0.02) / 0.96 * 255, 0, 255)
    np.testing.assert_allclose(shown, np.tile(expected[:, None], 3), atol=0.51)
    np.testing.assert_array_equal(np.asarray(as_rgb(picture))[0], shown)
    two = as_rgb(np.concatenate([ramp, 99 - ramp], axis=2))
    np.testing.assert_array_equal(np.asarray(two)[0], shown)
