"""What the network sees of a picture, and maps put back into the pixels of the picture."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tiny import energy_net

from visualize_pd import Classifier, gradient, load_model, to_tensor
from visualize_pd.core.errors import ConfigError, ImageError, ModelError
from visualize_pd.models.classifier import network_errors
from visualize_pd.models.fingerprint import network_fingerprint

MODES = ("crop", "resize", "pad", "full")
SIZES = [(600, 370), (370, 600), (90, 61), (61, 90), (64, 64)]  # the network sees 64 × 64


def seeing(preprocess, size=64, **options):
    return Classifier(
        energy_net(), "energy", "Energy", size, resize=73, preprocess=preprocess, **options
    )


def coloured(size, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype="uint8")
    return Image.fromarray(pixels)


def centre_of(values):
    """The centre of mass (x, y) of a map, in pixels from the left and the top edge."""
    y, x = np.mgrid[: values.shape[0], : values.shape[1]] + 0.5
    return (x * values).sum() / values.sum(), (y * values).sum() / values.sum()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_a_lone_bright_patch_comes_back_to_its_place(mode, size):
    """The gradient of the network is the image. A shift by half a map's pixel would be seen."""
    width, height = size
    centre = (width // 2 + width // 9, height // 2 - height // 8)
    half = (max(3, width // 30), max(2, height // 25))
    picture = Image.new("RGB", size)
    box = [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]]
    ImageDraw.Draw(picture).rectangle([box[0], box[1], box[2] - 1, box[3] - 1], fill="white")
    classifier = seeing(mode, mean=(0, 0, 0), std=(1, 1, 1))
    maps = gradient(classifier.network, classifier.prepare([picture]), 0)
    found = classifier.on_picture(maps.numpy(), size)
    assert found.shape == (3, height, width)
    assert centre_of(found[0]) == pytest.approx(centre, abs=0.05 * max(size) / 64)
    outside = found[0].copy()
    reach = int(np.ceil(1.5 * max(size) / 64)) + 1
    outside[box[1] - reach : box[3] + reach, box[0] - reach : box[2] + reach] = 0
    assert found[0].max() > 0.6 and outside.max() == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_a_map_is_resampled_between_the_centres_of_pixels(mode, size):
    """Bilinear resampling keeps a plane. What it should be follows from where pixels lie.

    Where a map becomes smaller, Pillow's average is up to a tenth of a pixel beside the middle.

    A pixel of the picture at x lies in the map at (x + ½ − left) · scale − ½ + margin.
    """
    classifier, (width, height) = seeing(mode), size
    seen = {"crop": 64 / 73 * min(size), "resize": None, "pad": None, "full": None}[mode]
    map_width, map_height = size if mode == "full" else (64, 64)
    rows, columns = np.mgrid[:map_height, :map_width].astype("float64")
    found = classifier.on_picture((0.5 * columns - 0.25 * rows + 3)[None], size)[0]
    margins, sides = (0, 0), (map_width, map_height)
    if mode == "pad":
        sides = [round(side * 64 / max(size)) for side in size]
        margins = [(64 - side) // 2 for side in sides]
    places, inner = [], []
    for length, side, margin in zip(size, sides, margins):
        part = seen or length
        left = (length - part) / 2
        at = (np.arange(length) + 0.5 - left) * side / part - 0.5
        places.append(at + margin)
        edge = max(0.5, side / part)  # beyond it a plane cannot be kept
        inner.append((at > edge) & (at < side - 1 - edge))
    expected = 0.5 * places[0][None] - 0.25 * places[1][:, None] + 3
    middle = inner[1][:, None] & inner[0][None]
    assert middle.mean() > 0.3
    smaller = max(side / (seen or length) for length, side in zip(size, sides)) > 1
    tolerance = 0.06 if smaller else 2e-4
    np.testing.assert_allclose(found[middle], expected[middle], atol=tolerance)
    if mode == "crop":
        left, top = ((length - seen) / 2 for length in size)
        x, y = np.arange(width), np.arange(height)
        cut = np.array(
            (y[:, None] < top - 1e-6) | (y[:, None] + 1 > height - top + 1e-6)
        ) | np.array((x < left - 1e-6) | (x + 1 > width - left + 1e-6))
        assert not found[cut].any() and (found[~cut] != 0).all()


@pytest.mark.parametrize("size", [(600, 370), (370, 600)])
def test_padding_leaves_no_trace_in_the_map(size):
    classifier = seeing("pad")
    left, top, right, bottom = classifier.geometry(size).place
    maps = np.full((1, 64, 64), 100.0)
    maps[:, top:bottom, left:right] = 1
    assert (classifier.on_picture(maps, size) == 1).all()


def test_each_mode_shows_the_network_what_it_says():
    picture = coloured((96, 48))
    bilinear = Image.Resampling.BILINEAR
    squeezed = to_tensor([picture.resize((64, 64), bilinear)]).numpy()
    np.testing.assert_array_equal(seeing("resize").prepare([picture]).numpy(), squeezed)
    padded = seeing("pad").prepare([picture]).numpy()
    small = to_tensor([picture.resize((64, 32), bilinear)]).numpy()
    np.testing.assert_array_equal(padded[:, :, 16:48], small)
    assert not padded[:, :, :16].any() and not padded[:, :, 48:].any()
    upright = seeing("pad").prepare([picture.transpose(Image.Transpose.ROTATE_90)]).numpy()
    assert upright[:, :, :, 16:48].any(axis=(1, 2)).all()
    assert not upright[..., :16].any() and not upright[..., 48:].any()
    whole = seeing("full").prepare([picture]).numpy()
    np.testing.assert_array_equal(whole, to_tensor([picture]).numpy())
    side = 48 * 64 / 73
    box = ((96 - side) / 2, (48 - side) / 2, (96 + side) / 2, (48 + side) / 2)
    centre = to_tensor([picture.resize((64, 64), bilinear, box=box)]).numpy()
    np.testing.assert_array_equal(seeing("crop").prepare([picture]).numpy(), centre)


def test_full_takes_pictures_up_to_1024_pixels_or_to_the_resolution():
    assert seeing("full").geometry((2048, 1000)).image == (1024, 500)
    assert seeing("full").geometry((900, 1000)).image == (900, 1000)
    assert seeing("full", resolution=448).geometry((2048, 1000)).image == (448, 219)
    assert seeing("full", resolution=448).geometry((112, 56)).image == (448, 224)


def test_pictures_of_two_sizes_are_no_batch():
    with pytest.raises(ImageError, match="several sizes"):
        seeing("full").prepare([coloured((40, 30)), coloured((30, 40))])
    assert seeing("pad").prepare([coloured((40, 30)), coloured((30, 40))]).shape == [2, 3, 64, 64]


def test_resolution_keeps_the_part_that_is_seen():
    model = load_model("tiny:small_net", image_size=56, resolution=112)
    assert (model.image_size, model.resize) == (112, 128)
    plain = load_model("tiny:small_net", image_size=56)
    assert model.geometry((300, 200)).box == plain.geometry((300, 200)).box
    assert model.prepare([coloured((300, 200))]).shape == [1, 3, 112, 112]
    assert load_model("tiny:small_net", resolution=448).resize == 512


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"resolution": 56}, "leave out model.resolution"),
        ({"preprocess": "full"}, "set model.preprocess to crop, resize or pad"),
    ],
)
def test_a_network_of_one_size_says_what_to_do(options, hint):
    model = load_model("LeNet", weights="random", **options)
    images = model.prepare([coloured((40, 30))])
    with pytest.raises(ModelError, match=hint), network_errors(model, tuple(images.shape[:1:-1])):
        model.network(images)


def test_unknown_preprocess():
    with pytest.raises(ConfigError, match=r"model\.preprocess 'stretch'; use crop, resize, pad"):
        load_model("tiny:small_net", preprocess="stretch")


def test_a_mask_is_seen_as_its_picture_is():
    mask = Image.new("L", (128, 64))
    ImageDraw.Draw(mask).rectangle([100, 8, 119, 23], fill=255)
    seen = {mode: seeing(mode).seen_mask(mask) for mode in MODES}
    expected = np.zeros((64, 64), bool)
    expected[20:28, 50:60] = True  # half as large, 16 lower
    np.testing.assert_array_equal(seen["pad"], expected)
    expected = np.zeros((64, 64), bool)
    expected[8:24, 50:60] = True
    np.testing.assert_array_equal(seen["resize"], expected)
    np.testing.assert_array_equal(seen["full"], np.asarray(mask) > 0)
    assert not seen["crop"].any()


def test_fingerprint_tells_what_the_network_sees():
    every = [seeing(mode) for mode in MODES]
    every += [seeing("full", resolution=100), seeing("pad", size=96)]
    assert len({network_fingerprint(each)["network"] for each in every}) == len(every)
