"""Objects found by a map: with a graph cut (GrabCut) or with a threshold."""

import sys

import numpy as np
import pytest
from PIL import Image

from visualize_pd import VisualizeError
from visualize_pd.core.errors import ConfigError, ImageError
from visualize_pd.evaluate import Box, box_of, localise, overlap

UNSMOOTHED_THRESHOLD = {"engine": "threshold", "smoothing": 0}


def picture_with_object(kind, size, centre, radius, noise=0):
    """An orange disc or square on blue, a map exp(−r²/R²) around its middle, and its mask."""
    (width, height), (right, down) = size, centre
    y, x = np.mgrid[:height, :width]
    away = np.hypot(x - right, y - down)
    if kind == "square":
        inside = np.maximum(abs(x - right), abs(y - down)) <= radius
    else:
        inside = away <= radius
    pixels = np.where(inside[..., None], (230, 140, 30), (40, 60, 170)).astype("float64")
    pixels += np.random.default_rng(0).normal(0, noise, pixels.shape)
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))
    return picture, np.exp(-((away / radius) ** 2)), inside


SCENES = [
    ("disc", (48, 48), (24, 24), 11),
    ("disc", (80, 40), (60, 14), 10),
    ("disc", (36, 70), (12, 52), 9),
    ("square", (64, 44), (15, 29), 9),
    ("square", (40, 90), (29, 11), 10),
]


@pytest.mark.parametrize("scene", SCENES, ids=str)
@pytest.mark.parametrize("noise", [0, 12])
def test_graph_cut_finds_an_object_by_its_colour(scene, noise):
    """The whole object is found, though the map is high only in its middle."""
    pytest.importorskip("cv2")
    picture, heat, inside = picture_with_object(*scene, noise=noise)
    (found,) = localise([picture], [heat])
    if noise:
        wrong = found.mask != inside
        assert wrong.mean() < 0.005 and overlap(found.box, box_of(inside)) > 0.9
    else:
        np.testing.assert_array_equal(found.mask, inside)
        assert found.box == box_of(inside)


def test_graph_cut_leaves_out_a_smaller_object_of_the_same_colour():
    """Only the largest connected part is the object."""
    pytest.importorskip("cv2")
    picture, heat, inside = picture_with_object("disc", (90, 50), (64, 25), 14)
    pixels = np.array(picture)
    pixels[20:27, 5:12] = (230, 140, 30)
    (found,) = localise([Image.fromarray(pixels)], [heat])
    np.testing.assert_array_equal(found.mask, inside)


@pytest.mark.parametrize("kind", ["cut", "binary", "plateau"])
def test_graph_cut_with_a_map_of_many_equal_values(kind):
    """A CAM is such a map: its ReLU sets most pixels to 0."""
    pytest.importorskip("cv2")
    picture, heat, inside = picture_with_object("disc", (80, 60), (55, 22), 13)
    heat = {
        "cut": np.maximum(heat - 0.6, 0),
        "binary": (heat > 0.6).astype(float),
        "plateau": np.minimum(heat, 0.6),
    }[kind]
    (found,) = localise([picture], [heat])
    np.testing.assert_array_equal(found.mask, inside)


def test_graph_cut_learns_colours_above_and_below_the_quantiles():
    """By default: the object above the 95 % quantile, the background below the 30 % one."""
    cv2 = pytest.importorskip("cv2")
    seeds = []

    def grab(pixels, labels, *_):
        seeds.append((pixels.copy(), labels.copy()))

    picture = Image.fromarray(np.tile(np.arange(100, dtype="uint8"), (20, 1))).convert("RGB")
    heat = np.tile(np.arange(100.0), (20, 1))
    for options, front, back in (
        ({}, range(95, 100), range(30)),
        ({"foreground": 0.8, "background": 0.1}, range(80, 100), range(10)),
    ):
        seeds.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cv2, "grabCut", grab)
            localise([picture], [heat], **options)
        pixels, labels = seeds[0]
        grey = pixels.reshape(-1, 3)[:, 0]
        assert set(grey[labels.ravel() == cv2.GC_FGD].tolist()) == set(front)
        assert set(grey[labels.ravel() == cv2.GC_BGD].tolist()) == set(back)


def test_graph_cut_is_the_default_and_repeatable():
    pytest.importorskip("cv2")
    picture, heat, _ = picture_with_object("disc", (60, 40), (38, 20), 12, noise=70)
    masks = [
        localise([picture], [heat], **options)[0].mask
        for options in ({}, {}, {"engine": "grabcut", "foreground": 0.95, "background": 0.3})
    ]
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])
    assert 0 < masks[0].sum() < masks[0].size


@pytest.mark.parametrize("scene", SCENES, ids=str)
@pytest.mark.parametrize("shape", ["HW", "1HW"])
@pytest.mark.parametrize("scale", [1, 1e-6, 300])
def test_threshold_is_a_share_of_the_largest_value(scene, shape, scale):
    """exp(−r²/R²) > s where r < R √(−ln s)."""
    picture, heat, _ = picture_with_object(*scene)
    (width, height), (right, down), radius = scene[1:]
    y, x = np.mgrid[:height, :width]
    values = heat * scale if shape == "HW" else heat[None] * scale
    for threshold in (0.2, 0.5, 0.9):
        inside = np.hypot(x - right, y - down) < radius * np.sqrt(-np.log(threshold))
        (found,) = localise([picture], [values], threshold=threshold, **UNSMOOTHED_THRESHOLD)
        np.testing.assert_array_equal(found.mask, inside)
        assert found.box == box_of(inside)
    (plain,) = localise([picture], [values], **UNSMOOTHED_THRESHOLD)
    assert plain.box == localise([picture], [values], threshold=0.4, **UNSMOOTHED_THRESHOLD)[0].box


def test_threshold_is_applied_to_the_smoothed_map():
    """Unsmoothed, a single bright pixel is the object; smoothed, the large square is."""
    heat = np.zeros((40, 60))
    heat[5, 5], heat[15:30, 30:50] = 3, 1
    picture = [Image.new("RGB", (60, 40))]
    assert localise(picture, [heat], **UNSMOOTHED_THRESHOLD)[0].box == (5, 5, 6, 6)
    (smooth,) = localise(picture, [heat], engine="threshold", smoothing=0.05)
    assert np.abs(np.subtract(smooth.box, (30, 15, 50, 30))).max() <= 1
    assert smooth.box == localise(picture, [heat], engine="threshold")[0].box


def test_threshold_takes_the_largest_part_of_each_picture():
    heat = np.zeros((2, 20, 30))
    heat[0, 2:4, 3:5] = 9
    heat[0, 10:15, 20:28] = 5
    heat[1, 6:9, 1:3] = 1
    heat[1, 11, 11] = 0.1999
    found = localise([Image.new("RGB", (30, 20))] * 2, list(heat), **UNSMOOTHED_THRESHOLD)
    assert [each.box for each in found] == [Box(20, 10, 28, 15), Box(1, 6, 3, 9)]
    assert [int(each.mask.sum()) for each in found] == [40, 6]


@pytest.mark.parametrize("value", [0, -3])
@pytest.mark.parametrize("engine", ["threshold", "grabcut"])
def test_map_without_positive_values_finds_nothing(engine, value):
    if engine == "grabcut":
        pytest.importorskip("cv2")
    picture = Image.new("RGB", (30, 20))
    (found,) = localise([picture], [np.full((20, 30), value)], engine=engine)
    assert not found.mask.any() and found.mask.shape == (20, 30)
    assert found.box == box_of(found.mask)


@pytest.mark.parametrize(
    "shape", [(30, 20), (20, 29), (1, 30, 20), (3, 20, 30), (600,), (0,), (2, 1, 20, 30), ()]
)
@pytest.mark.parametrize("engine", ["threshold", "grabcut"])
def test_maps_of_another_size_are_refused(engine, shape):
    with pytest.raises(ImageError, match="does not fit a picture of 30×20"):
        localise([Image.new("RGB", (30, 20))], [np.ones(shape)], engine=engine)


def test_map_with_nan_is_refused():
    heat = np.ones((20, 30))
    heat[4, 5] = np.nan
    with pytest.raises(ImageError):
        localise([Image.new("RGB", (30, 20))], [heat], engine="threshold")


def test_fewer_maps_than_pictures_are_refused():
    with pytest.raises(VisualizeError):
        localise([Image.new("RGB", (30, 20))] * 2, [np.ones((20, 30))], engine="threshold")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"foreground": 0.3, "background": 0.3}, "quantiles must be.*0.3, 0.3"),
        ({"foreground": 0.2}, "quantiles"),
        ({"foreground": 1.01}, "quantiles"),
        ({"background": -0.1}, "quantiles"),
        ({"background": float("nan")}, "quantiles"),
        ({"smoothing": 2}, "smoothing"),
        ({"threshold": 1}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"engine": "snake"}, "unknown engine 'snake'; use grabcut, threshold"),
        ({"engine": None}, "unknown engine"),
    ],
    ids=str,
)
def test_message_names_the_wrong_option(options, message):
    with pytest.raises(ConfigError, match=message):
        localise([Image.new("RGB", (30, 20))], [np.ones((20, 30))], **options)


def test_without_opencv_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    picture, heat, _ = picture_with_object(*SCENES[0])
    with pytest.raises(ConfigError, match=r"\[localise\].*engine=threshold"):
        localise([picture], [heat])
    assert localise([picture], [heat], engine="threshold")[0].mask.any()
