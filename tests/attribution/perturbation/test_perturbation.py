"""Occlusion and RISE against plain loops over the squares and over the masks."""

import numpy as np
import paddle
import pytest
from fills import FILLS
from toys import Linear, close, images, weights

from visualize_pd import VisualizeError, occlusion, rise
from visualize_pd.attribution.perturbation.rise import random_masks

W = weights(3, 7, 10)
TARGETS = [2, 0]


class Nonlinear(Linear):
    """S_c = z + z²/8 with z = Σ w_c · I/4. The effects of two pixels do not simply add up."""

    def forward(self, batch):
        z = super().forward(batch) / 4
        return z + z * z / 8


def logits(image, w=W):
    z = (w.astype("float64") * image).sum((1, 2, 3)) / 4
    return z + z * z / 8


def score_by_hand(values, target, score):
    exponentials = np.exp(values - values.max())
    probability = (exponentials / exponentials.sum())[target]
    table = {"probability": probability, "log_probability": np.log(probability)}
    return table.get(score, values[target])


def starts(length, size, stride):
    """Where the squares begin: every `stride` pixels. The last square ends at the edge."""
    found, at = [], 0
    while at + size < length:
        found.append(at)
        at += stride
    return [*found, max(length - size, 0)]


def occlusion_loop(image, fill, target, size, stride, score="logit", w=W):
    _, height, width = image.shape
    drops = [[[] for _ in range(width)] for _ in range(height)]
    for top in starts(height, size, stride):
        for left in starts(width, size, stride):
            hidden = image.astype("float64")
            square = np.s_[:, top : top + size, left : left + size]
            hidden[square] = fill[square]
            drop = score_by_hand(logits(image, w), target, score)
            drop -= score_by_hand(logits(hidden, w), target, score)
            for y in range(top, min(top + size, height)):
                for x in range(left, min(left + size, width)):
                    drops[y][x].append(drop)
    return np.array([[np.mean(cell) if cell else 0 for cell in row] for row in drops])


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 3, 4])
def test_occlusion_equals_a_loop_over_squares(size, stride):
    """Some strides divide 7 − size or 10 − size, others do not. Some leave gaps."""
    batch = images(2, 7, 10)
    heat = occlusion(Nonlinear(W), batch, TARGETS, size=size, stride=stride).numpy()
    expected = [
        occlusion_loop(image, np.zeros_like(image), target, size, stride)
        for image, target in zip(batch.numpy(), TARGETS)
    ]
    close(heat, np.stack(expected)[:, None])


def test_last_square_of_the_loop_ends_at_the_edge():
    assert starts(7, 3, 2) == [0, 2, 4]
    assert starts(7, 3, 3) == [0, 3, 4]
    assert starts(10, 4, 4) == [0, 4, 6]
    assert starts(7, 7, 2) == [0]


@pytest.mark.parametrize("baseline", FILLS)
@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
def test_occlusion_with_each_baseline_and_score(baseline, score):
    batch = images(2, 7, 10)
    heat = occlusion(
        Nonlinear(W), batch, TARGETS, size=3, stride=2, baseline=baseline, score=score
    ).numpy()
    expected = [
        occlusion_loop(image, FILLS[baseline](image), target, 3, 2, score)
        for image, target in zip(batch.numpy(), TARGETS)
    ]
    close(heat, np.stack(expected)[:, None], 5e-5 if score == "probability" else 1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_occlusion_with_an_image_as_baseline(count):
    batch, fills = images(2, 7, 10), images(count, 7, 10, seed=5)
    heat = occlusion(Nonlinear(W), batch, TARGETS, size=3, stride=2, baseline=fills).numpy()
    expected = [
        occlusion_loop(image, fills.numpy()[i % count], target, 3, 2)
        for i, (image, target) in enumerate(zip(batch.numpy(), TARGETS))
    ]
    close(heat, np.stack(expected)[:, None])


def test_occlusion_of_single_pixels_for_a_linear_score():
    """To hide a pixel lowers the score by w · (I − fill) of that pixel."""
    batch, fill = images(2, 7, 10), images(1, 7, 10, seed=5)
    heat = occlusion(Linear(W), batch, TARGETS, size=1, stride=1, baseline=fill).numpy()
    expected = (W[TARGETS] * (batch - fill).numpy()).sum(1, keepdims=True)
    close(heat, expected)


def test_occlusion_with_a_square_larger_than_the_image():
    """The whole image is hidden once, so each pixel has the same value: the drop of the score."""
    batch = images(1, 7, 10)
    heat = occlusion(Nonlinear(W), batch, 1, size=20, stride=3).numpy()
    close(heat, np.full((1, 1, 7, 10), logits(batch.numpy()[0])[1]))


def test_occlusion_is_zero_in_the_gaps_between_squares():
    heat = occlusion(Nonlinear(W), images(1, 7, 10), 1, size=1, stride=3).numpy()[0, 0]
    hidden = {(y, x) for y in (0, 3, 6) for x in (0, 3, 6, 9)}
    assert set(zip(*np.nonzero(heat))) == hidden


@pytest.mark.parametrize(
    ("height", "width", "size", "stride"),
    [(15, 31, 3, 1), (37, 30, 6, 2), (4, 9, 1, 1), (2, 3, 1, 1), (46, 60, 9, 3)],
)
def test_default_size_is_a_fifth_of_the_shorter_side(height, width, size, stride):
    w = weights(2, height, width)
    batch = images(1, height, width)
    heat = occlusion(Nonlinear(w), batch, 1, batch_size=64).numpy()
    asked = occlusion(Nonlinear(w), batch, 1, batch_size=64, size=size, stride=stride).numpy()
    np.testing.assert_array_equal(heat, asked)
    other = occlusion(Nonlinear(w), batch, 1, batch_size=64, size=size, stride=stride + 1).numpy()
    assert np.abs(heat - other).max() > 1e-3


@pytest.mark.parametrize("method", [occlusion, rise])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 1000])
def test_batch_size_does_not_change_the_map(method, batch_size):
    options = {"masks": 40, "cells": 3} if method is rise else {"size": 3, "stride": 2}
    batch = images(2, 7, 10)
    expected = method(Nonlinear(W), batch, TARGETS, **options).numpy()
    heat = method(Nonlinear(W), batch, TARGETS, **options, batch_size=batch_size).numpy()
    close(heat, expected, 2e-6)


class CountsImages(Nonlinear):
    """Keeps, in `sizes`, how many images each pass had."""

    def __init__(self, w):
        super().__init__(w)
        self.sizes = []

    def forward(self, batch):
        self.sizes.append(len(batch))
        return super().forward(batch)


@pytest.mark.parametrize("method", [occlusion, rise])
def test_batch_size_limits_the_images_of_a_pass(method):
    network = CountsImages(W)
    options = {"masks": 40} if method is rise else {"size": 3, "stride": 2}
    method(network, images(2, 7, 10), 1, **options, batch_size=6)
    assert max(network.sizes) == 6 and sum(network.sizes) == (82 if method is rise else 2 + 2 * 15)


@pytest.mark.parametrize("method", [occlusion, rise])
def test_top_class_of_the_whole_image_is_explained_by_default(method):
    """The class with the highest score changes while parts are hidden."""
    options = {"masks": 60} if method is rise else {"size": 5, "stride": 1}
    batch = images(4, 7, 10)
    top = [int(logits(image).argmax()) for image in batch.numpy()]
    assert len(set(top)) > 1
    heat = method(Nonlinear(W), batch, **options).numpy()
    np.testing.assert_array_equal(heat, method(Nonlinear(W), batch, top, **options).numpy())


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
@pytest.mark.parametrize(("cells", "keep"), [(3, 0.5), (7, 0.2), (2, 0.9)])
def test_rise_equals_a_loop_over_masks(score, cells, keep):
    batch = images(2, 7, 10)
    heat = rise(
        Nonlinear(W), batch, TARGETS, masks=30, cells=cells, keep=keep, seed=4, score=score
    ).numpy()
    random = np.random.default_rng(4)
    total = np.zeros((2, 7, 10))
    for _ in range(30):
        mask = random_masks(1, (7, 10), cells, keep, random).numpy()[0, 0].astype("float64")
        for i, image in enumerate(batch.numpy()):
            total[i] += score_by_hand(logits(image * mask), TARGETS[i], score) * mask
    close(heat, (total / 30 / keep)[:, None])


def test_default_options_of_rise():
    batch = images(1, 7, 10)
    heat = rise(Nonlinear(W), batch, 1, masks=20).numpy()
    named = rise(
        Nonlinear(W), batch, 1, masks=20, cells=7, keep=0.5, seed=0, score="probability"
    ).numpy()
    np.testing.assert_array_equal(heat, named)


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_rise_that_hides_nothing_gives_the_score_at_every_pixel(score):
    batch = images(1, 7, 10)
    heat = rise(Nonlinear(W), batch, 2, masks=5, keep=1, score=score).numpy()
    close(heat, np.full((1, 1, 7, 10), score_by_hand(logits(batch.numpy()[0]), 2, score)))


def test_seed_of_rise():
    batch = images(1, 7, 10)
    first, again, other = (
        rise(Nonlinear(W), batch, 1, masks=10, seed=seed).numpy() for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-2 * np.abs(first).max()


def test_masks_are_random_grids_resized_and_shifted():
    """7 × 10 pixels in 3 × 3 cells need cells of 3 × 4 pixels.

    With one more cell on each axis the grid is resized to 12 × 16, then a part of it is cut out.
    """
    masks = random_masks(6, (7, 10), 3, 0.4, np.random.default_rng(8)).numpy()
    random = np.random.default_rng(8)
    for mask in masks[:, 0]:
        grid = (random.random((1, 1, 3, 3)) < 0.4)[0, 0]
        top, left = random.integers(3), random.integers(4)
        for y, x in np.ndindex(7, 10):
            row = max((y + top + 0.5) * 3 / 12 - 0.5, 0)
            column = max((x + left + 0.5) * 3 / 16 - 0.5, 0)
            value = 0.0
            for i, j in np.ndindex(3, 3):
                weight = max(0, 1 - abs(min(row, 2) - i)) * max(0, 1 - abs(min(column, 2) - j))
                value += weight * grid[i, j]
            assert abs(mask[y, x] - value) < 1e-6


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(("height", "width", "cells"), [(9, 14, 4), (16, 5, 3), (3, 4, 7)])
def test_masks_are_smooth_and_keep_the_asked_share(height, width, cells, keep):
    masks = random_masks(1500, (height, width), cells, keep, np.random.default_rng(1)).numpy()
    assert masks.shape == (1500, 1, height, width)
    assert abs(masks.min()) < 1e-6 and abs(masks.max() - 1) < 1e-6
    assert abs(masks.mean() - keep) < 0.02
    assert np.abs(masks.mean((0, 1)) - keep).max() < 0.06  # also at the edges
    for axis, side in ((2, height), (3, width)):
        steps = np.abs(np.diff(masks, axis=axis))
        cell = -(-side // cells)
        assert 0 < steps.max() <= cells / ((cells + 1) * cell) + 1e-6


@pytest.mark.parametrize(
    ("method", "option"),
    [
        (occlusion, {"size": 0}),
        (occlusion, {"size": 2.5}),
        (occlusion, {"size": True}),
        (occlusion, {"size": "large"}),
        (occlusion, {"stride": 0}),
        (occlusion, {"stride": -1}),
        (occlusion, {"stride": 1.0}),
        (occlusion, {"baseline": "grey"}),
        (occlusion, {"baseline": paddle.zeros([1, 3, 7, 9])}),
        (occlusion, {"baseline": paddle.zeros([3, 3, 7, 10])}),
        (rise, {"masks": 0}),
        (rise, {"masks": 1.5}),
        (rise, {"cells": 0}),
        (rise, {"cells": None}),
        (rise, {"keep": 0}),
        (rise, {"keep": 1.01}),
        (rise, {"keep": -0.5}),
        (rise, {"keep": True}),
        (rise, {"keep": "half"}),
        (rise, {"keep": float("nan")}),
        (rise, {"seed": -1}),
        (rise, {"seed": 0.5}),
        (occlusion, {"score": "loss"}),
        (rise, {"score": "loss"}),
        (occlusion, {"batch_size": 0}),
        (rise, {"batch_size": 0}),
        (rise, {"batch_size": "all"}),
    ],
    ids=lambda value: getattr(value, "__name__", None) or "-".join(map(str, value.items()))[:30],
)
def test_wrong_option_is_named_in_the_error(method, option):
    (name,) = option
    with pytest.raises(VisualizeError, match=name):
        method(Nonlinear(W), images(2, 7, 10), 1, **option)


@pytest.mark.parametrize("method", [occlusion, rise])
@pytest.mark.parametrize("shape", [(3, 7, 10), (7, 10)])
def test_images_must_be_a_batch(method, shape):
    with pytest.raises(VisualizeError, match="N, C, H, W"):
        method(Nonlinear(W), paddle.zeros(shape), 1)


@pytest.mark.parametrize("method", [occlusion, rise])
@pytest.mark.parametrize("target", [3, -1, [0, 1, 2]])
def test_wrong_targets(method, target):
    with pytest.raises(VisualizeError):
        method(Nonlinear(W), images(2, 7, 10), target)
