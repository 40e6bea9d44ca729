"""XRAI against its definition, computed slowly with sets of pixels, and against PAIR's library."""

import numpy as np
import paddle
import pytest
from toys import Linear, Quadratic, close, weights

from visualize_pd import integrated_gradients, xrai
from visualize_pd.attribution.superpixels.segments import GRIDS, segment
from visualize_pd.attribution.superpixels.xrai import region_map, regions_of

HEIGHT, WIDTH = 28, 36


def patches(count=2, seed=5):
    """Images with noisy patches of colour, so that they have segments of many sizes."""
    random = np.random.default_rng(seed)
    coarse = paddle.to_tensor(random.standard_normal((count, 3, 5, 6)).astype("float32"))
    large = paddle.nn.functional.interpolate(coarse, [HEIGHT, WIDTH], mode="bicubic")
    noise = random.standard_normal(large.shape).astype("float32")
    return (large * 2).round() + 0.05 * paddle.to_tensor(noise)


def sets_of(labels, radius):
    """The pixels of each segment, with those at most `radius` from it."""
    near = [
        (y, x)
        for y in range(-radius, radius + 1)
        for x in range(-radius, radius + 1)
        if y * y + x * x <= radius * radius
    ]
    found = []
    for one in labels:
        for number in np.unique(one):
            grown = {
                (y + dy, x + dx) for y, x in zip(*np.nonzero(one == number)) for dy, dx in near
            }
            found.append({(y, x) for y, x in grown if 0 <= y < HEIGHT and 0 <= x < WIDTH})
    return found


def greedy(attribution, regions, fewest):
    """Algorithm 1: take the region with the largest mean of what it adds, while it adds enough."""
    heat, taken = np.full(attribution.shape, np.nan), set()
    while True:
        added = [region - taken for region in regions]
        added = [each for each in added if len(each) >= fewest]
        if not added:
            break
        means = [sum(attribution[pixel] for pixel in each) / len(each) for each in added]
        best = int(np.argmax(means))
        for pixel in added[best]:
            heat[pixel] = means[best]
        taken |= added[best]
    left = np.isnan(heat)
    if left.any():
        heat[left] = attribution[left].mean()
    return heat


def felzenszwalb(image):
    """The six segmentations of the paper's code. Its values are for an image of 224 × 224."""
    from skimage.segmentation import felzenszwalb

    share = HEIGHT * WIDTH / 224**2
    pixels = image.transpose(1, 2, 0).astype("float64")
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()) * 2 - 1
    return [
        felzenszwalb(
            *(pixels, scale * share, 0.8 * share**0.5), min_size=round(150 * share), channel_axis=2
        )
        for scale in (50, 100, 150, 250, 500, 1200)
    ]


def grids(image):
    batch = paddle.to_tensor(image[None])
    return [segment(batch, "grid", count)[0] for count in GRIDS]


@pytest.mark.parametrize("segments", ["felzenszwalb", "grid"])
def test_xrai_equals_its_definition(segments):
    """For a linear score, integrated gradients are w · (I − baseline)."""
    batch, w = patches(), weights(3, HEIGHT, WIDTH)
    maps = xrai(Linear(w), batch, [2, 0], segments=segments, steps=1).numpy()
    image, share = batch.numpy()[1], HEIGHT * WIDTH / 224**2
    black, white = (f(image, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    shares = w[0].astype("float64") * ((image - black) + (image - white)) / 2
    cuts = felzenszwalb(image) if segments == "felzenszwalb" else grids(image)
    assert len({each.max() for each in cuts}) > 2
    expected = greedy(shares.max(0), sets_of(cuts, round(5 * share**0.5)), round(50 * share))
    close(maps[1, 0], expected, 1e-5)


def test_regions_are_grown_by_a_disc():
    labels = np.zeros((1, HEIGHT, WIDTH), dtype=int)
    labels[0, 10:13, 0:4] = 1
    labels[0, 20, 30] = 2
    found = regions_of(labels, 3)
    expected = sets_of(labels, 3)
    assert [{divmod(int(p), WIDTH) for p in each} for each in found] == expected
    assert len(found[2]) == 29  # pixels of a disc of radius 3


def test_given_segments_are_taken_as_they_are():
    """Each segment has the mean of its own pixels, because segments do not overlap."""
    batch, w = patches(1), weights(2, HEIGHT, WIDTH)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    labels = rows // 7 * 4 + columns // 9
    start = patches(1, seed=8)
    maps = xrai(
        Quadratic(w), batch, 1, segments=paddle.to_tensor(labels[None]), baseline=start, steps=4
    ).numpy()
    shares = integrated_gradients(Quadratic(w), batch, 1, baseline=start, steps=4).numpy()[0].max(0)
    means = np.bincount(labels.ravel(), shares.ravel()) / np.bincount(labels.ravel())
    close(maps[0, 0], means[labels])


def test_a_score_that_is_a_function():
    batch, w = patches(), weights(2, HEIGHT, WIDTH)
    expected = xrai(Linear(w), batch, 1, segments="grid", steps=2).numpy()
    doubled = xrai(
        Linear(w), batch, segments="grid", steps=2, score=lambda out, _: 2 * out[:, 1]
    ).numpy()
    close(doubled, 2 * expected)


GOLDEN = [
    (0.4532373317909547, 304),
    (0.3968444926037612, 149),
    (0.24788735812447024, 69),
    (0.2555750628265531, 93),
    (0.23007637874897924, 162),
    (0.1579988352305003, 472),
    (0.1878325151185113, 751),  # the pixels that no region has taken
]


def test_regions_are_taken_as_by_pairs_library():
    """`GOLDEN` has the gain and the area of each region that XRAI of saliency 0.2.1 takes.

    It was made by XRAI._xrai(attr=heat, segs=discs, min_pixel_diff=50) on the same formulas.
    """
    y, x = np.mgrid[:40, :50]
    heat = np.sin(0.31 * y) * np.cos(0.17 * x) + 0.01 * x
    discs = [
        np.flatnonzero((y - 4 * k) ** 2 + (x - (7 * k) % 50) ** 2 < (5 + k % 4 * 3) ** 2)
        for k in range(1, 10)
    ]
    found = region_map(heat, discs, 50)
    values, areas = np.unique(found, return_counts=True)
    golden = sorted(GOLDEN)
    assert len(values) == len(golden)
    np.testing.assert_allclose(values, [gain for gain, _ in golden], rtol=1e-12)
    np.testing.assert_array_equal(areas, [area for _, area in golden])
