"""Segments of images whose right segments are known."""

import sys

import numpy as np
import paddle
import pytest
from toys import Linear, images, weights

from visualize_pd import VisualizeError, kernel_shap, lime, xrai
from visualize_pd.attribution.superpixels.segments import segment, segment_often

METHODS = [lime, kernel_shap, xrai]
ON_GIVEN = [lime, kernel_shap]


def halves(channels=3):
    """An image [1, C, 20, 30]: dark on the left of column 12, bright on its right."""
    values = np.zeros((1, channels, 20, 30), dtype="float32")
    values[..., 12:] = 1
    return paddle.to_tensor(values)


def test_grid_has_the_asked_rows_and_columns():
    labels = segment(images(2, 4, 6), "grid", 6)
    expected = [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2
    np.testing.assert_array_equal(labels, [expected, expected])


@pytest.mark.parametrize(("height", "width"), [(3, 50), (50, 3), (7, 7)])
def test_grid_of_an_odd_shape(height, width):
    labels = segment(images(1, height, width), "grid", 20)[0]
    assert labels.min() == 0 and abs(labels.max() + 1 - 20) <= 5
    areas = np.bincount(labels.ravel())
    assert areas.min() > 0 and areas.max() <= 4 * areas.min()
    assert segment(images(1, height, width), "grid", 1).max() == 0
    one_each = segment(images(1, height, width), "grid", height * width)
    assert len(np.unique(one_each)) == height * width


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_slic_and_felzenszwalb_find_the_edge_between_two_colours(channels):
    """No segment has pixels on both sides of it. The scale of the values does not matter.

    SLIC blurs the pixels a little, so that its edge may be a pixel away.
    """
    image = halves(channels)
    for shown in (image, 3 * image - 1):
        slic = segment(shown, "slic", 6)[0]
        cuts = [np.delete(slic, [11, 12], axis=1), *segment_often(shown, "felzenszwalb")[0]]
        for labels, edge in zip(cuts, [11, *[12] * 6]):
            assert not set(labels[:, :edge].ravel()) & set(labels[:, edge:].ravel())
        np.testing.assert_array_equal(slic, segment(image, "slic", 6)[0])
        assert 4 <= slic.max() + 1 <= 8


def test_each_image_has_its_own_segments():
    batch = paddle.concat([halves(), halves().flip(3)])
    labels = segment(batch, "slic", 6)
    np.testing.assert_array_equal(labels[0], segment(batch[:1], "slic", 6)[0])
    np.testing.assert_array_equal(labels[1], segment(batch[1:], "slic", 6)[0])
    assert not np.array_equal(labels[0], labels[1])


def test_given_segments_may_have_any_numbers():
    labels = np.array([[[7, 7, -1], [3, 3, -1]]])
    expected = [[2, 2, 0], [1, 1, 0]]
    found = segment(images(2, 2, 3), paddle.to_tensor(labels))
    np.testing.assert_array_equal(found, [expected, expected])
    two = paddle.to_tensor(np.concatenate([labels, 0 * labels]).astype("int32"))
    np.testing.assert_array_equal(
        segment_often(images(2, 2, 3), two)[:, 0], [expected, np.zeros((2, 3))]
    )


def test_default_is_fifty_segments_or_a_quarter_of_the_pixels():
    for shape, count in [((5, 7), 8), ((40, 40), 50), ((1, 2), 1)]:
        batch = images(1, *shape)
        default, asked = segment(batch, "grid"), segment(batch, "grid", count)
        np.testing.assert_array_equal(default, asked)


@pytest.mark.parametrize("method", ON_GIVEN)
@pytest.mark.parametrize(
    ("count", "message"),
    [
        (0, "segment_count must be a whole number of at least 1"),
        (2.5, "segment_count must be a whole number"),
        (71, "71 segments are more than the 70 pixels of an image"),
    ],
)
def test_wrong_number_of_segments(method, count, message):
    with pytest.raises(VisualizeError, match=message):
        method(Linear(weights(3, 7, 10)), images(1, 7, 10), 1, segments="grid", segment_count=count)


@pytest.mark.parametrize("method", ON_GIVEN)
def test_too_many_given_segments(method):
    labels = paddle.arange(2500).reshape([1, 50, 50])
    with pytest.raises(VisualizeError, match=r"2,500 segments, more than 2,000"):
        method(Linear(weights(1, 50, 50)), images(1, 50, 50), 0, segments=labels)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "segments",
    [
        "slick",
        None,
        5,
        paddle.zeros([1, 7, 10]),
        paddle.zeros([3, 7, 10], dtype="int64"),
        paddle.zeros([2, 10, 7], dtype="int64"),
        paddle.zeros([7, 10], dtype="int64"),
    ],
    ids=str,
)
def test_wrong_segments(method, segments):
    with pytest.raises(VisualizeError, match="segments"):
        method(Linear(weights(3, 7, 10)), images(2, 7, 10), 1, segments=segments)


@pytest.mark.parametrize("method", METHODS)
def test_without_scikit_image_a_sentence_says_what_to_install(method, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    network, batch = Linear(weights(3, 7, 10)), images(1, 7, 10)
    with pytest.raises(VisualizeError, match=r'pip install -e "\.\[segments\]".*segments=grid'):
        method(network, batch, 1)
    assert method(network, batch, 1, segments="grid").numpy().any()
