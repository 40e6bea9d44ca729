"""Maps from crops (the paper's ten, or the centre alone), put together on the whole picture.

The network sees 16 × 16 pixels of pictures whose shorter side is resized to 20.
"""

import numpy as np
import paddle
import pytest
from object_masks import identity_classifier
from PIL import Image

from visualize_pd import to_tensor
from visualize_pd.evaluate import crops_map


def coloured(width, height, seed=0):
    """A picture of random colours."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype="uint8")
    return Image.fromarray(pixels)


def crops_themselves(_network, batch, _targets):
    """An attribution method that returns the crops as their own maps."""
    return batch


def normalised(picture):
    """The normalised pixels `[H, W]`, summed over channels."""
    return to_tensor([picture]).numpy()[0].sum(0)


@pytest.mark.parametrize("size", [(20, 20), (31, 20), (20, 31), (27, 20), (20, 24)])
def test_ten_crops_are_put_back_where_they_were(size):
    """The crops add up to the whole picture, so mirrored crops are mirrored back."""
    picture = coloured(*size)
    resized, found = crops_map(identity_classifier(), picture, crops_themselves, 0)
    assert resized.size == size and resized.tobytes() == picture.tobytes()
    np.testing.assert_allclose(found, normalised(picture), atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(60, 20), (20, 60)])
def test_map_is_zero_where_no_crop_reaches(width, height):
    """Of 60 pixels the crops show 0 to 16, 22 to 38 and 44 to 60."""
    picture = coloured(width, height)
    seen = np.isin(np.arange(60) // 2, [*range(8), *range(11, 19), *range(22, 30)])
    seen = np.broadcast_to(seen if width > height else seen[:, None], (height, width)).copy()
    # The centre crop leaves out two rows or columns at each edge.
    middle = np.s_[[0, 1, 18, 19], 22:38] if width > height else np.s_[22:38, [0, 1, 18, 19]]
    seen[middle] = False
    _, found = crops_map(identity_classifier(), picture, crops_themselves, 0)
    np.testing.assert_allclose(found, normalised(picture) * seen, atol=1e-5)


@pytest.mark.parametrize("size", [(30, 20), (20, 30), (20, 20)])
def test_without_ten_only_the_centre_crop_is_used(size):
    picture, (left, top) = coloured(*size), ((size[0] - 16) // 2, (size[1] - 16) // 2)
    model, shown = identity_classifier(), []

    def method(_network, batch, _targets):
        shown.append(batch.numpy())
        return batch

    _, found = crops_map(model, picture, method, 0, ten=False)
    middle = np.s_[top : top + 16, left : left + 16]
    expected = np.zeros(size[::-1])
    expected[middle] = normalised(picture)[middle]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(shown[0], model.prepare([picture]).numpy(), atol=1e-5)


def test_crops_are_those_of_the_paper():
    """Four corners, the centre and their mirror images, all for the requested class."""
    picture, asked = coloured(30, 20), []
    model = identity_classifier()

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


def test_overlapping_crops_are_averaged():
    """A ramp plus its mirror image is 7½ everywhere. The channels are summed."""

    def ramp(_network, batch, _targets):
        values = np.broadcast_to(np.arange(16.0), (len(batch), 2, 16, 16))
        return paddle.to_tensor(np.stack([values[:, 0], 0 * values[:, 1]], 1).astype("float32"))

    _, found = crops_map(identity_classifier(), coloured(20, 20), ramp, 0)
    counts = np.zeros((20, 20))
    total = np.zeros((20, 20))
    for top, left in ((2, 2), (0, 0), (0, 4), (4, 0), (4, 4)):
        counts[top : top + 16, left : left + 16] += 1
        total[top : top + 16, left : left + 16] += 7.5
    assert counts.min() == 1 and counts.max() == 5
    np.testing.assert_allclose(found, total / counts, atol=1e-6)


def test_overlapping_crops_have_equal_weights():
    """The map of crop n is n everywhere."""

    def numbers(_network, batch, _targets):
        values = np.arange(10.0)[:, None, None, None] * np.ones((1, 1, 16, 16))
        return paddle.to_tensor(values.astype("float32"))

    _, found = crops_map(identity_classifier(), coloured(20, 20), numbers, 0)
    np.testing.assert_allclose(found[10, 10], 4.5, atol=1e-6)  # all ten crops overlap here
    corners = found[0, 0], found[0, -1], found[-1, 0], found[-1, -1]
    assert len(set(corners)) == 4  # each corner has one crop and its mirror image
    middle = 45 - 2 * sum(corners)  # the centre crop plus its mirror image
    np.testing.assert_allclose(found[2, 2], (2 * found[0, 0] + middle) / 4, atol=1e-6)
    np.testing.assert_allclose(found[2, -3], (2 * found[0, -1] + middle) / 4, atol=1e-6)


@pytest.mark.parametrize("size", [(90, 60), (47, 71), (13, 10), (50, 50)])
@pytest.mark.parametrize("resample", ["bicubic", "bilinear"])
def test_a_picture_is_resized_as_for_the_network(size, resample):
    """The shorter side becomes `resize`, with the filter of the classifier."""
    picture = coloured(*size)
    resized, found = crops_map(identity_classifier(resample=resample), picture, crops_themselves, 0)
    scale = 20 / min(size)
    wanted = tuple(round(side * scale) for side in size)
    assert min(wanted) == 20 and resized.size == wanted and found.shape == wanted[::-1]
    expected = picture.resize(wanted, getattr(Image.Resampling, resample.upper()))
    assert resized.tobytes() == expected.tobytes()
    np.testing.assert_allclose(found, normalised(resized), atol=1e-5)


def test_crops_are_normalised_by_the_mean_and_std_of_the_classifier():
    picture, mean, std = coloured(20, 20), (0.1, 0.2, 0.3), (0.5, 0.25, 2)
    _, found = crops_map(identity_classifier(mean=mean, std=std), picture, crops_themselves, 0)
    pixels = np.asarray(picture, dtype="float64") / 255
    np.testing.assert_allclose(found, ((pixels - mean) / std).sum(2), atol=1e-5)


@pytest.mark.parametrize("mode", ["resize", "pad", "full"])
@pytest.mark.parametrize("size", [(40, 20), (20, 40)])
def test_a_whole_picture_is_seen_once(mode, size):
    """Without crops there is one pass, and its map lies on the whole picture."""
    model, shown = identity_classifier(preprocess=mode), []
    picture = coloured(*size)

    def method(_network, batch, _targets):
        shown.append(batch.numpy())
        return batch

    resized, found = crops_map(model, picture, method, 0)
    (images,) = shown
    np.testing.assert_array_equal(images, model.prepare([picture]).numpy())
    assert resized.size == size and found.shape == size[::-1]
    expected = model.on_picture(images.sum(axis=1), size)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
