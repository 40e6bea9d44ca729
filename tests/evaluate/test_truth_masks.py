"""Known objects as masks: at the size of the picture, and in the square that the network sees."""

from pathlib import Path

import numpy as np
import pytest
from object_masks import identity_classifier, mask_of
from PIL import Image

from visualize_pd import VisualizeError
from visualize_pd.evaluate import Box, Truth, read_truth
from visualize_pd.evaluate.truth import truth_of

LEVELS = np.tile(np.array([0, 40, 127, 128, 200, 255, 0, 255], dtype="uint8"), (8, 1))
OVER_A_HALF = LEVELS > 127.5


def saved(folder, kind):
    """Write `LEVELS` as a mask file of this kind.

    Where the file has an alpha channel, its colours show the opposite.
    """
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
    else:  # a palette: colour 0 is white and transparent, colour 1 is black
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
def test_mask_files_of_all_kinds(tmp_path, kind):
    """The object is where alpha, or without alpha the grey value, is over a half."""
    saved(tmp_path, kind)
    known = read_truth(tmp_path)
    assert list(known) == ["cat"] and known["cat"].target is None
    picture = Image.new("RGB", (8, 8))
    found = known["cat"].on(picture)
    assert found.size == picture.size
    np.testing.assert_array_equal(np.asarray(found) > 127, OVER_A_HALF)
    seen = known["cat"].seen(picture, identity_classifier(8, 8))
    np.testing.assert_array_equal(seen, OVER_A_HALF)


def test_mask_of_another_size_is_refused(tmp_path):
    saved(tmp_path, "grey")
    with pytest.raises(VisualizeError, match=r"cat\.png"):
        read_truth(tmp_path)["cat"].on(Image.new("RGB", (8, 9)))


def test_boxes_become_a_mask_cut_at_the_edge():
    truth = Truth(None, (Box(2, 1, 5, 3), Box(-4, -4, 1, 1), Box(8, 5, 40, 40)))
    drawn = np.asarray(truth.on(Image.new("RGB", (9, 6))))
    expected = np.zeros((6, 9), dtype="uint8")
    expected[1:3, 2:5] = expected[0, 0] = expected[5, 8] = 255
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("size", "box", "rows", "columns"),
    [
        ((40, 20), (5, 2, 15, 12), (2, 12), (0, 5)),  # the network sees columns 10 to 30
        ((20, 40), (2, 5, 12, 15), (0, 5), (2, 12)),
        ((20, 20), (3, 4, 5, 20), (4, 20), (3, 5)),
        ((80, 40), (30, 4, 44, 24), (2, 12), (5, 12)),  # at half the size
        ((40, 80), (4, 30, 24, 44), (5, 12), (2, 12)),
    ],
)
@pytest.mark.parametrize("kind", ["boxes", "mask"])
def test_object_in_the_square_that_the_network_sees(tmp_path, kind, size, box, rows, columns):
    picture, model = Image.new("RGB", size), identity_classifier(20, 20, "bilinear")
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


def test_object_when_the_network_sees_less_than_the_shorter_side():
    """Of 40 × 40 pixels the network sees the middle 32 × 32, at a size of 16 × 16."""
    truth = Truth(None, (Box(4, 4, 12, 36), Box(0, 0, 4, 40)))
    expected = np.zeros((16, 16), dtype=bool)
    expected[:, :4] = True
    found = truth.seen(Image.new("RGB", (40, 40)), identity_classifier(16, 20, "bilinear"))
    np.testing.assert_array_equal(found, expected)


def test_object_is_found_by_the_name_of_the_picture(tmp_path):
    saved(tmp_path, "grey")
    masks, boxes = read_truth(tmp_path), {"b.jpg": Truth(7, (Box(1, 2, 30, 40),))}
    assert truth_of(Path("photos/cat.jpg"), masks) == masks["cat"]
    assert truth_of(Path("photos/b.jpg"), boxes) == boxes["b.jpg"]
    assert truth_of(Path("photos/b.png"), boxes) is None
