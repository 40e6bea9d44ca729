"""Masks and boxes of objects whose place is known, since the test put them there."""

import json
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn
from PIL import Image

from visualize_pd import Classifier, VisualizeError, to_tensor
from visualize_pd.core.errors import ConfigError, ImageError
from visualize_pd.evaluate import (
    Box,
    Truth,
    box_of,
    crops_map,
    localise,
    overlap,
    pointing_game,
    read_truth,
)
from visualize_pd.evaluate.localisation import largest_part
from visualize_pd.evaluate.truth import truth_of

PHOTOS = Path(__file__).parents[2] / "content" / "images"

AS_IT_IS = {"engine": "threshold", "smoothing": 0}


def peak(y, x, height=6, width=9):
    plane = np.zeros((1, 1, height, width))
    plane[0, 0, y, x] = 1
    return plane


def mask_of(box, height=6, width=9):
    mask = np.zeros((height, width), dtype=bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@pytest.mark.parametrize(
    ("box", "hit"),
    [
        (Box(7, 1, 8, 2), True),  # the pixel alone
        (Box(0, 0, 9, 6), True),
        (Box(1, 5, 2, 6), False),  # x and y swapped
        (Box(6, 1, 7, 2), False),  # to the left, to the right, over and under it
        (Box(8, 1, 9, 2), False),
        (Box(7, 0, 8, 1), False),
        (Box(7, 2, 8, 3), False),
        (Box(5, 0, 8, 2), True),
        (Box(7, 1, 9, 6), True),
    ],
)
def test_pointing_game_on_a_box_and_its_mask(box, hit):
    assert pointing_game(peak(1, 7), [[box]]).tolist() == [hit]
    assert pointing_game(peak(1, 7), [[tuple(box)]]).tolist() == [hit]
    assert pointing_game(peak(1, 7), [mask_of(box)]).tolist() == [hit]
    tensor = paddle.to_tensor(peak(1, 7).astype("float32"))
    assert pointing_game(tensor, [[box]]).tolist() == [hit]


@pytest.mark.parametrize("kind", ["uint8", "int64", "float32"])
@pytest.mark.parametrize("width", [4, 9])
def test_pointing_game_on_a_mask_of_numbers(kind, width):
    """Also of four columns, which are not boxes."""
    mask = np.zeros((6, width), dtype=kind)
    mask[1, 3] = 1
    assert pointing_game(peak(1, 3, width=width), [mask]).tolist() == [True]
    assert pointing_game(peak(2, 3, width=width), [mask]).tolist() == [False]


@pytest.mark.parametrize(
    ("tolerance", "hit"), [(0, False), (4, False), (4.99, False), (5, True), (15, True)]
)
def test_pointing_game_measures_in_a_straight_line(tolerance, hit):
    """From row 1, column 7 to row 4, column 3: 3, 4, 5."""
    assert pointing_game(peak(1, 7), [[Box(0, 4, 4, 6)]], tolerance).tolist() == [hit]


def test_pointing_game_sums_channels_and_minds_the_sign():
    """The sum is largest at (4, 2); a channel and its size are at (0, 0), a maximum at (5, 8)."""
    maps = np.zeros((1, 3, 6, 9))
    maps[0, :, 0, 0] = [-90, 20, -20]
    maps[0, :, 5, 8] = [60, -30, -29]
    maps[0, :, 4, 2] = [2, 1, 2]
    for (y, x), hit in {(0, 0): False, (5, 8): False, (4, 2): True}.items():
        assert pointing_game(maps, [[Box(x, y, x + 1, y + 1)]]).tolist() == [hit]


def test_pointing_game_of_a_map_below_zero():
    assert pointing_game(peak(1, 7) - 5, [[Box(7, 1, 8, 2)]]).tolist() == [True]


def test_pointing_game_counts_any_box_of_its_own_image():
    maps = np.concatenate([peak(1, 7), peak(5, 0), peak(1, 7), peak(3, 3)])
    truth = [
        [Box(0, 0, 2, 2), Box(6, 1, 9, 3)],
        mask_of((6, 1, 9, 3)),
        [],
        np.zeros((6, 9), dtype=bool),
    ]
    assert pointing_game(maps, truth).tolist() == [True, False, False, False]
    assert pointing_game(maps, truth, tolerance=100).tolist() == [True, True, False, False]


def test_pointing_game_with_boxes_beyond_the_edge():
    truth = [[Box(-5, -5, 1, 1)], [Box(8, 5, 20, 20)], [Box(-9, 0, -1, 6)], [Box(0, -9, 9, -1)]]
    maps = np.concatenate([peak(0, 0), peak(5, 8), peak(1, 1), peak(1, 1)])
    assert pointing_game(maps, truth).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("maps", "truth"),
    [
        (peak(1, 7), [[Box(0, 0, 1, 1)]] * 2),
        (peak(1, 7), []),
        (peak(1, 7)[0], [[Box(0, 0, 1, 1)]]),
        (peak(1, 7), [np.ones((9, 6), dtype=bool)]),
        (peak(1, 7) * np.nan, [[Box(0, 0, 1, 1)]]),
    ],
    ids=["two", "none", "3d", "swapped", "nan"],
)
def test_pointing_game_refuses_what_does_not_fit(maps, truth):
    with pytest.raises(ImageError):
        pointing_game(maps, truth)


def parts(mask):
    """All connected parts, by filling one after the other."""
    left, found = {(y, x) for y, x in zip(*map(np.ndarray.tolist, np.nonzero(mask)))}, []
    while left:
        waiting, part = [left.pop()], set()
        while waiting:
            y, x = waiting.pop()
            part.add((y, x))
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in left:
                    left.remove(near)
                    waiting.append(near)
        found.append(part)
    return found


def places(mask):
    return set(zip(*map(np.ndarray.tolist, np.nonzero(mask))))


@pytest.mark.parametrize("density", [0.1, 0.4, 0.55, 0.6, 0.7, 0.95])
@pytest.mark.parametrize("shape", [(13, 29), (30, 12), (1, 40), (40, 1), (2, 2)])
def test_largest_part_is_that_of_a_flood_fill(density, shape):
    random = np.random.default_rng(3)
    for _ in range(6):
        mask = random.random(shape) < density
        mask[0, 0] = True
        found, every = places(largest_part(mask)), parts(mask)
        assert found in every and len(found) == max(map(len, every))


def spiral(side):
    """A path of one pixel's width from a corner to the middle."""
    mask = np.zeros((side, side), dtype=bool)
    y = x = 0
    lengths = [side - 1, *(n for n in range(side - 1, 0, -2) for _ in range(2))]
    for turn, length in enumerate(lengths):
        down, right = ((0, 1), (1, 0), (0, -1), (-1, 0))[turn % 4]
        for _ in range(length):
            mask[y, x] = True
            y, x = y + down, x + right
    mask[y, x] = True
    return mask


@pytest.mark.parametrize("flip", [np.array, np.flipud, np.fliplr, np.transpose, np.rot90])
def test_largest_part_of_a_spiral_and_a_comb(flip):
    comb = np.zeros((21, 31), dtype=bool)
    comb[::2], comb[1:20:4, 0], comb[3:20:4, -1] = True, True, True  # a snake
    teeth = np.zeros((21, 31), dtype=bool)
    teeth[:, ::2], teeth[-1] = True, True
    for whole in (spiral(23), comb, teeth):
        whole = flip(whole)
        assert len(parts(whole)) == 1 and 0.4 < whole.mean() < 0.6
        np.testing.assert_array_equal(largest_part(whole), whole)
        holes = ~whole
        found, every = places(largest_part(holes)), parts(holes)
        assert found in every and len(found) == max(map(len, every))


def test_diagonal_neighbours_do_not_touch():
    mask = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0]], dtype=bool)
    assert places(largest_part(mask)) == {(1, 2), (2, 2), (3, 2)}
    board = np.indices((5, 6)).sum(0) % 2 == 0
    assert largest_part(board).sum() == 1


def test_rows_do_not_touch_round_the_edge():
    mask = np.array([[0, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=bool)
    assert places(largest_part(mask)) == {(1, 0), (1, 1)}


def test_largest_part_of_nothing_and_of_all():
    for mask in (np.zeros((4, 7), dtype=bool), np.ones((4, 7), dtype=bool)):
        np.testing.assert_array_equal(largest_part(mask), mask)


def test_box_of_a_mask():
    assert box_of(mask_of((3, 1, 8, 2))) == Box(3, 1, 8, 2)
    assert box_of(np.ones((4, 7), dtype=bool)) == Box(0, 0, 7, 4)
    assert box_of(np.eye(3, 5, 1, dtype=bool)) == Box(1, 0, 4, 3)
    box = box_of(np.zeros((4, 7), dtype=bool))
    assert box.x0 == box.x1 and box.y0 == box.y1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 4, 2), (0, 0, 4, 2), 1),
        ((0, 0, 4, 2), (2, 1, 6, 4), 2 / 18),
        ((0, 0, 10, 10), (2, 3, 4, 8), 10 / 100),
        ((0, 0, 4, 2), (4, 0, 6, 2), 0),  # they touch
        ((0, 0, 4, 2), (9, 9, 12, 12), 0),  # apart both ways: no product of two negatives
        ((0, 0, 4, 2), (1, 5, 3, 7), 0),
        ((0, 0, 0, 0), (0, 0, 4, 2), 0),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0),
    ],
)
def test_overlap(first, second, expected):
    assert abs(overlap(Box(*first), Box(*second)) - expected) < 1e-12
    assert abs(overlap(Box(*second), Box(*first)) - expected) < 1e-12


def composed(kind, size, centre, radius, noise=0):
    """An orange disc or square on blue, and a map with a soft peak in the middle of it."""
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
    """All of it, from seeds in its middle alone."""
    pytest.importorskip("cv2")
    picture, heat, inside = composed(*scene, noise=noise)
    (found,) = localise([picture], [heat])
    if noise:
        wrong = found.mask != inside
        assert wrong.mean() < 0.005 and overlap(found.box, box_of(inside)) > 0.9
    else:
        np.testing.assert_array_equal(found.mask, inside)
        assert found.box == box_of(inside)


def test_graph_cut_finds_the_object_and_not_its_twin():
    """Two of one colour: the larger part is the one that the map is about."""
    pytest.importorskip("cv2")
    picture, heat, inside = composed("disc", (90, 50), (64, 25), 14)
    pixels = np.array(picture)
    pixels[20:27, 5:12] = (230, 140, 30)
    (found,) = localise([Image.fromarray(pixels)], [heat])
    np.testing.assert_array_equal(found.mask, inside)


@pytest.mark.parametrize("kind", ["cut", "binary", "plateau"])
def test_graph_cut_by_a_map_of_many_equal_values(kind):
    """As of a CAM, whose ReLU leaves zeros in most places."""
    pytest.importorskip("cv2")
    picture, heat, inside = composed("disc", (80, 60), (55, 22), 13)
    heat = {
        "cut": np.maximum(heat - 0.6, 0),
        "binary": (heat > 0.6).astype(float),
        "plateau": np.minimum(heat, 0.6),
    }[kind]
    (found,) = localise([picture], [heat])
    np.testing.assert_array_equal(found.mask, inside)


def test_graph_cut_learns_from_the_quantiles_that_it_is_told():
    """Of 100 columns the last 5 are surely the object, and the first 30 are not, by default."""
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


def test_graph_cut_is_the_default_and_gives_the_same_again():
    pytest.importorskip("cv2")
    picture, heat, _ = composed("disc", (60, 40), (38, 20), 12, noise=70)
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
def test_threshold_finds_what_is_over_a_share_of_the_peak(scene, shape, scale):
    """exp(−(r/R)²) > s where r < R √(−ln s)."""
    picture, heat, _ = composed(*scene)
    (width, height), (right, down), radius = scene[1:]
    y, x = np.mgrid[:height, :width]
    values = heat * scale if shape == "HW" else heat[None] * scale
    for threshold in (0.2, 0.5, 0.9):
        inside = np.hypot(x - right, y - down) < radius * np.sqrt(-np.log(threshold))
        (found,) = localise([picture], [values], threshold=threshold, **AS_IT_IS)
        np.testing.assert_array_equal(found.mask, inside)
        assert found.box == box_of(inside)
    (plain,) = localise([picture], [values], **AS_IT_IS)
    assert plain.box == localise([picture], [values], threshold=0.4, **AS_IT_IS)[0].box


def test_threshold_is_of_the_smoothed_map():
    """A single bright pixel is the object of the map as it is, a square that of the smooth one."""
    heat = np.zeros((40, 60))
    heat[5, 5], heat[15:30, 30:50] = 3, 1
    picture = [Image.new("RGB", (60, 40))]
    assert localise(picture, [heat], **AS_IT_IS)[0].box == (5, 5, 6, 6)
    (smooth,) = localise(picture, [heat], engine="threshold", smoothing=0.05)
    assert np.abs(np.subtract(smooth.box, (30, 15, 50, 30))).max() <= 1
    assert smooth.box == localise(picture, [heat], engine="threshold")[0].box


def test_threshold_takes_the_largest_part_of_each_picture():
    heat = np.zeros((2, 20, 30))
    heat[0, 2:4, 3:5] = 9
    heat[0, 10:15, 20:28] = 5
    heat[1, 6:9, 1:3] = 1
    heat[1, 11, 11] = 0.1999
    found = localise([Image.new("RGB", (30, 20))] * 2, list(heat), **AS_IT_IS)
    assert [each.box for each in found] == [Box(20, 10, 28, 15), Box(1, 6, 3, 9)]
    assert [int(each.mask.sum()) for each in found] == [40, 6]


@pytest.mark.parametrize("value", [0, -3])
@pytest.mark.parametrize("engine", ["threshold", "grabcut"])
def test_a_map_of_nothing_finds_nothing(engine, value):
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
def test_maps_must_be_as_large_as_their_pictures(engine, shape):
    with pytest.raises(ImageError, match="does not fit a picture of 30×20"):
        localise([Image.new("RGB", (30, 20))], [np.ones(shape)], engine=engine)


def test_a_map_must_be_numbers():
    heat = np.ones((20, 30))
    heat[4, 5] = np.nan
    with pytest.raises(ImageError):
        localise([Image.new("RGB", (30, 20))], [heat], engine="threshold")


def test_each_picture_wants_its_map():
    with pytest.raises(VisualizeError):
        localise([Image.new("RGB", (30, 20))] * 2, [np.ones((20, 30))], engine="threshold")


@pytest.mark.parametrize(
    ("options", "told"),
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
def test_wrong_options_are_named(options, told):
    with pytest.raises(ConfigError, match=told):
        localise([Image.new("RGB", (30, 20))], [np.ones((20, 30))], **options)


def test_a_graph_cut_without_opencv_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    picture, heat, _ = composed(*SCENES[0])
    with pytest.raises(ConfigError, match=r"\[localise\].*engine=threshold"):
        localise([picture], [heat])
    assert localise([picture], [heat], engine="threshold")[0].mask.any()


def classifier(size=16, resize=20, resample="bicubic", **options):
    return Classifier(
        nn.Identity(), "none", "None", size, resize=resize, resample=resample, **options
    )


def coloured(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype="uint8")
    return Image.fromarray(pixels)


def itself(_network, batch, _targets):
    """What the crops show."""
    return batch


def normalised(picture):
    return to_tensor([picture]).numpy()[0].sum(0)


@pytest.mark.parametrize("size", [(20, 20), (31, 20), (20, 31), (27, 20), (20, 24)])
def test_ten_crops_are_put_back_where_they_were(size):
    """What they show adds up to the picture, so mirrored ones are mirrored back."""
    picture = coloured(*size)
    resized, found = crops_map(classifier(), picture, itself, 0)
    assert resized.size == size and resized.tobytes() == picture.tobytes()
    np.testing.assert_allclose(found, normalised(picture), atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(60, 20), (20, 60)])
def test_what_no_crop_shows_is_zero(width, height):
    """Of 60 pixels the crops show 0 to 16, 22 to 38 and 44 to 60."""
    picture = coloured(width, height)
    seen = np.isin(np.arange(60) // 2, [*range(8), *range(11, 19), *range(22, 30)])
    seen = np.broadcast_to(seen if width > height else seen[:, None], (height, width)).copy()
    # The centre's crop leaves two pixels out at either side.
    middle = np.s_[[0, 1, 18, 19], 22:38] if width > height else np.s_[22:38, [0, 1, 18, 19]]
    seen[middle] = False
    _, found = crops_map(classifier(), picture, itself, 0)
    np.testing.assert_allclose(found, normalised(picture) * seen, atol=1e-5)


@pytest.mark.parametrize("size", [(30, 20), (20, 30), (20, 20)])
def test_the_centre_alone(size):
    picture, (left, top) = coloured(*size), ((size[0] - 16) // 2, (size[1] - 16) // 2)
    model, shown = classifier(), []

    def method(_network, batch, _targets):
        shown.append(batch.numpy())
        return batch

    _, found = crops_map(model, picture, method, 0, ten=False)
    middle = np.s_[top : top + 16, left : left + 16]
    expected = np.zeros(size[::-1])
    expected[middle] = normalised(picture)[middle]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(shown[0], model.prepare([picture]).numpy(), atol=1e-5)


def test_the_crops_are_the_papers():
    """Four corners and the centre, and the same mirrored; all of the class that is asked for."""
    picture, asked = coloured(30, 20), []
    model = classifier()

    def method(network, batch, targets):
        asked.append((network, batch.numpy(), list(targets)))
        return batch

    crops_map(model, picture, method, 7)
    ((network, shown, targets),) = asked
    assert network is model.network and targets == [7] * 10
    whole = to_tensor([picture]).numpy()[0]
    wanted = []
    for top, left in ((2, 7), (0, 0), (0, 14), (4, 0), (4, 14)):
        crop = whole[:, top : top + 16, left : left + 16]
        wanted += [crop.tobytes(), np.ascontiguousarray(crop[..., ::-1]).tobytes()]
    assert sorted(np.ascontiguousarray(each).tobytes() for each in shown) == sorted(wanted)


def test_a_crops_map_is_a_mean():
    """A ramp and the same mirrored: 7½ wherever a crop shows something; sums over channels."""

    def ramp(_network, batch, _targets):
        values = np.broadcast_to(np.arange(16.0), (len(batch), 2, 16, 16))
        return paddle.to_tensor(np.stack([values[:, 0], 0 * values[:, 1]], 1).astype("float32"))

    _, found = crops_map(classifier(), coloured(20, 20), ramp, 0)
    counts = np.zeros((20, 20))
    total = np.zeros((20, 20))
    for top, left in ((2, 2), (0, 0), (0, 4), (4, 0), (4, 4)):
        counts[top : top + 16, left : left + 16] += 1
        total[top : top + 16, left : left + 16] += 7.5
    assert counts.min() == 1 and counts.max() == 5
    np.testing.assert_allclose(found, total / counts, atol=1e-6)


def test_crops_weigh_alike_where_they_overlap():
    """The n-th crop says n everywhere."""

    def numbers(_network, batch, _targets):
        values = np.arange(10.0)[:, None, None, None] * np.ones((1, 1, 16, 16))
        return paddle.to_tensor(values.astype("float32"))

    _, found = crops_map(classifier(), coloured(20, 20), numbers, 0)
    np.testing.assert_allclose(found[10, 10], 4.5, atol=1e-6)  # all ten
    corners = found[0, 0], found[0, -1], found[-1, 0], found[-1, -1]
    assert len(set(corners)) == 4  # one crop and its mirrored twin each
    middle = 45 - 2 * sum(corners)  # what is left for the centre and its twin
    np.testing.assert_allclose(found[2, 2], (2 * found[0, 0] + middle) / 4, atol=1e-6)
    np.testing.assert_allclose(found[2, -3], (2 * found[0, -1] + middle) / 4, atol=1e-6)


@pytest.mark.parametrize("size", [(90, 60), (47, 71), (13, 10), (50, 50)])
@pytest.mark.parametrize("resample", ["bicubic", "bilinear"])
def test_a_picture_is_resized_as_for_the_network(size, resample):
    """The short side to `resize`, by the filter that the network was trained with."""
    picture = coloured(*size)
    resized, found = crops_map(classifier(resample=resample), picture, itself, 0)
    scale = 20 / min(size)
    wanted = tuple(round(side * scale) for side in size)
    assert min(wanted) == 20 and resized.size == wanted and found.shape == wanted[::-1]
    expected = picture.resize(wanted, getattr(Image.Resampling, resample.upper()))
    assert resized.tobytes() == expected.tobytes()
    np.testing.assert_allclose(found, normalised(resized), atol=1e-5)


def test_crops_are_normalised_as_the_network_wants_them():
    picture, mean, std = coloured(20, 20), (0.1, 0.2, 0.3), (0.5, 0.25, 2)
    _, found = crops_map(classifier(mean=mean, std=std), picture, itself, 0)
    pixels = np.asarray(picture, dtype="float64") / 255
    np.testing.assert_allclose(found, ((pixels - mean) / std).sum(2), atol=1e-5)


def written(folder, name, content):
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")
    return path


TABLE = "file,x0,y0,x1,y1,class\nb.jpg,1,2,30,40,7\na.png,0,0,5,6,\nb.jpg,50,60,70,80.4,7\n"
EXPECTED = {
    "b.jpg": Truth(7, (Box(1, 2, 30, 40), Box(50, 60, 70, 80))),
    "a.png": Truth(None, (Box(0, 0, 5, 6),)),
}


def test_boxes_of_a_csv_file(tmp_path):
    assert read_truth(written(tmp_path, "boxes.csv", TABLE)) == EXPECTED
    assert read_truth(str(tmp_path / "boxes.csv")) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.rstrip("\n"),
        "class,y1,x1,y0,x0,file\n7,40,30,2,1,b.jpg\n,6,5,0,0,a.png\n7,80,70,60,50,b.jpg\n",
        'author,"file",x0,y0,x1,y1,class\nI,"b.jpg",1,2,30,40,7\n"he, she",a.png,0,0,"5",6,\n'
        ",b.jpg,50,60,70,80,7\n",
    ],
    ids=["bom", "crlf", "no end", "order", "quotes"],
)
def test_csv_files_of_all_kinds(tmp_path, text):
    assert read_truth(written(tmp_path, "boxes.csv", text.encode())) == EXPECTED


def test_a_csv_file_without_classes(tmp_path):
    path = written(tmp_path, "boxes.CSV", "file,x0,y0,x1,y1\nä_ö.jpg,1,2,3,4\n")
    assert read_truth(path) == {"ä_ö.jpg": Truth(None, (Box(1, 2, 3, 4),))}


ROWS = [
    {"file": "b.jpg", "x0": 1, "y0": 2, "x1": 30, "y1": 40, "class": 7},
    {"file": "a.png", "x0": 0, "y0": 0.0, "x1": 5, "y1": "6"},
    {"file": "b.jpg", "x0": 50, "y0": 60, "x1": 70, "y1": 80, "class": 7},
]


def test_boxes_of_a_json_file(tmp_path):
    assert read_truth(written(tmp_path, "boxes.json", json.dumps(ROWS))) == EXPECTED
    assert read_truth(written(tmp_path, "bom.JSON", "\ufeff" + json.dumps(ROWS))) == EXPECTED
    found = read_truth(written(tmp_path, "boxes.json", one(**{"class": None})))
    assert found == {"b.jpg": Truth(None, (Box(1, 2, 30, 40),))}


def one(**changes):
    return json.dumps([{**ROWS[0], **changes}])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", "", "must hold a list of boxes"),
        ("a.csv", "file,x0,y0,x1,y1\n", "must hold a list of boxes"),
        ("a.csv", "x0,y0,x1,y1\n1,2,3,4\n", "box 1 lacks one of file, x0"),
        ("a.csv", "file,x0,y0,x1\na,2,3,4\n", "box 1 lacks"),
        ("a.csv", "file;x0;y0;x1;y1\na;1;2;3;4\n", "box 1 lacks"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,2,3,4\nb,1,2,3\n", "box 2 lacks"),
        ("a.csv", "file,x0,y0,x1,y1\n,1,2,3,4\n", "box 1 lacks"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,,3,4\n", "box 1 lacks"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,two,3,4\n", "box 1 has a value that is no number"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,nan,3,4\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,2,inf,4\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,2,1e999,4\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1,class\na,1,2,3,4,cat\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1,class\na,1,2,3,4,1.5\n", "no number"),
        ("a.csv", "file,x0,y0,x1,y1\na,3,2,3,4\n", r"box 1 is empty: \[3, 2, 3, 4\]"),
        ("a.csv", "file,x0,y0,x1,y1\na,1,4,3,2\n", "is empty"),
        ("a.csv", "file,x0,y0,x1,y1\na,1.2,2,1.4,4\n", "is empty"),
        ("a.csv", b"file,x0,y0,x1,y1\n\xff\xfe,1,2,3,4\n", "cannot read"),
        ("a.csv", 'file,x0,y0,x1,y1\n"' + "a" * 200_000 + '",1,2,3,4\n', "cannot read"),
        ("a.json", "", "cannot read"),
        ("a.json", "{", "cannot read"),
        ("a.json", "[" * 100_000, "cannot read"),
        ("a.json", b"\x80\x81", "cannot read"),
        ("a.json", "{}", "must hold a list of boxes"),
        ("a.json", "[]", "must hold a list of boxes"),
        ("a.json", "7", "must hold a list of boxes"),
        ("a.json", "null", "must hold a list of boxes"),
        ("a.json", json.dumps({"boxes": ROWS}), "must hold a list of boxes"),
        ("a.json", "[1]", "box 1 lacks"),
        ("a.json", "[[1, 2, 3, 4]]", "box 1 lacks"),
        ("a.json", json.dumps([ROWS[0], {"file": "b.jpg"}]), "box 2 lacks"),
        ("a.json", one(x0=None), "box 1 lacks"),
        ("a.json", one(file=""), "box 1 lacks"),
        ("a.json", one(x0=[1]), "no number"),
        ("a.json", one(x0={}), "no number"),
        ("a.json", one(x0="left"), "no number"),
        ("a.json", one(x1=float("nan")), "no number"),
        ("a.json", one(x1=float("inf")), "no number"),
        ("a.json", one(x1=10**400), "no number"),
        ("a.json", one(x1=1), "is empty"),
        ("a.json", one(**{"class": "panda"}), "no number"),
        ("a.json", one(**{"class": [7]}), "no number"),
        ("a.json", one(**{"class": 7.5}), "no number"),
        ("a.json", one(**{"class": True}), "no number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_list_of_boxes_is_refused_by_name(tmp_path, name, content, told):
    path = written(tmp_path, name, content)
    with pytest.raises(ConfigError, match=told) as error:
        read_truth(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_file_of_boxes_that_is_not_there(tmp_path):
    for name in ("boxes.csv", "boxes.json", "folder"):
        with pytest.raises(ConfigError, match=f"no such file of boxes: .*{name}"):
            read_truth(tmp_path / name)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "~no one/boxes.csv"])
def test_boxes_that_are_in_no_file(name):
    with pytest.raises(ConfigError, match="boxes"):
        read_truth(name)


def test_boxes_in_a_pipe_are_not_waited_for(pipe):
    with pytest.raises(ConfigError, match="is a pipe or a device"):
        read_truth(pipe("boxes.csv"))


def test_a_folder_without_masks(tmp_path):
    written(tmp_path, "notes.txt", "no masks")
    with pytest.raises(ConfigError, match=f"{tmp_path.name} holds no masks"):
        read_truth(tmp_path)


LEVELS = np.tile(np.array([0, 40, 127, 128, 200, 255, 0, 255], dtype="uint8"), (8, 1))
OVER_A_HALF = LEVELS > 127.5


def saved(folder, kind):
    """The levels as a mask of this kind; the colours beside an alpha say the contrary."""
    other = Image.fromarray(255 - LEVELS)
    grey, path, options = Image.fromarray(LEVELS), folder / "cat.png", {}
    if kind == "grey":
        mask = grey
    elif kind == "rgb":
        mask = grey.convert("RGB")
    elif kind == "black and white":
        mask = Image.fromarray(OVER_A_HALF)
    elif kind == "grey and alpha":
        mask = Image.merge("LA", [other, grey])
    elif kind == "alpha":
        mask = Image.merge("RGBA", [other, other, other, grey])
    elif kind == "sixteen bits":
        mask = Image.fromarray(LEVELS.astype("uint16") * 257)
    else:  # a palette whose first colour, white, is transparent, and whose second is black
        mask = Image.fromarray(OVER_A_HALF.astype("uint8"), "P")
        mask.putpalette([255, 255, 255, 0, 0, 0])
        options = {"transparency": 0}
    mask.save(path, **options)
    return path


@pytest.mark.parametrize(
    "kind",
    ["grey", "rgb", "black and white", "grey and alpha", "alpha", "sixteen bits", "palette"],
)
@pytest.mark.filterwarnings("ignore:.*mode.*:DeprecationWarning")
def test_masks_of_all_kinds(tmp_path, kind):
    """The object is where alpha is over a half, and without alpha the grey value."""
    saved(tmp_path, kind)
    known = read_truth(tmp_path)
    assert list(known) == ["cat"] and known["cat"].target is None
    picture = Image.new("RGB", (8, 8))
    found = known["cat"].on(picture)
    assert found.size == picture.size
    np.testing.assert_array_equal(np.asarray(found) > 127, OVER_A_HALF)
    seen = known["cat"].seen(picture, classifier(8, 8))
    np.testing.assert_array_equal(seen, OVER_A_HALF)


def test_a_mask_must_be_as_large_as_its_picture(tmp_path):
    saved(tmp_path, "grey")
    with pytest.raises(VisualizeError, match=r"cat\.png"):
        read_truth(tmp_path)["cat"].on(Image.new("RGB", (8, 9)))


def test_boxes_are_drawn_on_a_picture():
    truth = Truth(None, (Box(2, 1, 5, 3), Box(-4, -4, 1, 1), Box(8, 5, 40, 40)))
    drawn = np.asarray(truth.on(Image.new("RGB", (9, 6))))
    expected = np.zeros((6, 9), dtype="uint8")
    expected[1:3, 2:5] = expected[0, 0] = expected[5, 8] = 255
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("size", "box", "rows", "columns"),
    [
        ((40, 20), (5, 2, 15, 12), (2, 12), (0, 5)),  # columns 10 to 30 are seen
        ((20, 40), (2, 5, 12, 15), (0, 5), (2, 12)),
        ((20, 20), (3, 4, 5, 20), (4, 20), (3, 5)),
        ((80, 40), (30, 4, 44, 24), (2, 12), (5, 12)),  # at half the size
        ((40, 80), (4, 30, 24, 44), (5, 12), (2, 12)),
    ],
)
@pytest.mark.parametrize("kind", ["boxes", "mask"])
def test_truth_is_seen_as_the_network_sees_the_picture(tmp_path, kind, size, box, rows, columns):
    picture, model = Image.new("RGB", size), classifier(20, 20, "bilinear")
    truth = Truth(None, (Box(*box),))
    if kind == "mask":
        pixels = mask_of(box, size[1], size[0]).astype("uint8") * 255
        Image.fromarray(pixels).save(tmp_path / "cat.png")
        truth = read_truth(tmp_path)["cat"]
    expected = np.zeros((20, 20), dtype=bool)
    expected[slice(*rows), slice(*columns)] = True
    found = truth.seen(picture, model)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, expected)


def test_truth_is_seen_with_the_margin_of_the_network():
    """Of 40 pixels it sees the middle 32, in 16 × 16."""
    truth = Truth(None, (Box(4, 4, 12, 36), Box(0, 0, 4, 40)))
    expected = np.zeros((16, 16), dtype=bool)
    expected[:, :4] = True
    found = truth.seen(Image.new("RGB", (40, 40)), classifier(16, 20, "bilinear"))
    np.testing.assert_array_equal(found, expected)


def test_truth_of_a_picture_by_its_name(tmp_path):
    saved(tmp_path, "grey")
    masks, boxes = read_truth(tmp_path), EXPECTED
    assert truth_of(Path("photos/cat.jpg"), masks) == masks["cat"]
    assert truth_of(Path("photos/b.jpg"), boxes) == boxes["b.jpg"]
    assert truth_of(Path("photos/b.png"), boxes) is None


def test_the_boxes_of_the_sample_photographs():
    """Each file is there, has a class and holds its boxes."""
    for name, truth in read_truth(PHOTOS / "boxes.csv").items():
        with Image.open(PHOTOS / name) as picture:
            width, height = picture.size
        assert truth.target is not None and 0 <= truth.target < 1000
        for box in truth.boxes:
            assert 0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height
