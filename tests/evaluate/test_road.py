"""ROAD: the imputed pixels, which pixels are missing, and the scores without them."""

import sys

import numpy as np
import pytest
from known_scores import Recording, W, logits_of
from toys import Linear, close, images, weights

from visualize_pd import VisualizeError
from visualize_pd.evaluate import road
from visualize_pd.evaluate.faithfulness.imputation import impute

# Of noisy_linear_imputation in Quantus 0.6.0, without noise, for `case()`.
QUANTUS = [
    [-0.96927382, -1.5219464877, -1.6694480422, -0.708189781, -0.6561062471, -1.0094464886,
     -1.5726709279, -0.350111318, -0.43672234, -0.7290224844, -1.1066437046, 0.0632766643,
     0.0184866169, -0.1528016092, -0.3975492366, 0.4267032319, 0.4212073576, 0.3647092658,
     0.3019560299, 0.5702491672, 0.6225303898, 0.7431385045, 0.7417532016],
    [0.2876502771, 0.5647162934, 0.6521306768, 0.0500753046, 0.1832575049, 0.4369709523,
     0.6870813688, 0.5047106659, 0.538649038, 0.594195876, 0.6481753022, 0.8964631206,
     0.8840528958, 0.7478451933, 0.5975649681, 1.1793958191, 0.9709433536, 0.7738882378,
     0.7218986375, 1.2649949971, 1.2347230908, 1.1019906142, 0.8703304269],
]  # fmt: skip


def case():
    """An image `[2, 6, 5]`, and 23 missing pixels."""
    random = np.random.default_rng(3)
    random.standard_normal((2, 1, 6, 5))
    return random.standard_normal((2, 6, 5)), random.random((6, 5)) < 0.6


def slowly_imputed(image, missing):
    """All pixels as unknowns of a dense system: a known one equals itself."""
    height, width = missing.shape
    left, right = np.eye(height * width), image.reshape(len(image), -1).T.copy()
    for y, x in np.argwhere(missing):
        row = left[y * width + x]
        right[y * width + x] = 0
        near = [
            (v, u, 1 / 6 if v == y or u == x else 1 / 12)
            for v in range(max(0, y - 1), min(height, y + 2))
            for u in range(max(0, x - 1), min(width, x + 2))
            if (v, u) != (y, x)
        ]
        for v, u, weight in near:
            row[v * width + u] = -weight / sum(each[2] for each in near)
    return np.linalg.solve(left, right).T.reshape(image.shape)


def test_one_missing_pixel_is_the_weighted_mean_of_its_neighbours():
    image = np.arange(18.0).reshape(2, 3, 3) ** 2
    missing = np.zeros((3, 3), dtype=bool)
    missing[1, 1] = True
    kernel = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    filled = impute(image, missing)
    close(filled[:, 1, 1], (image * kernel).sum((1, 2)), 1e-12)
    np.testing.assert_array_equal(filled[:, ~missing], image[:, ~missing])


def test_at_a_corner_there_are_three_neighbours():
    image = np.array([[[0.0, 6.0], [30.0, 12.0]]])
    filled = impute(image, np.array([[True, False], [False, False]]))
    close(filled[0, 0, 0], (2 * 6 + 2 * 30 + 12) / 5, 1e-12)


def test_a_hole_in_a_ramp_is_filled_with_the_ramp():
    y, x = np.mgrid[:9, :12]
    image = np.stack([3.0 * x - 2 * y, x + y + 1.0])
    missing = np.zeros((9, 12), dtype=bool)
    missing[1:8, 2:11] = True
    close(impute(image, missing), image, 1e-10)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("shape", [(7, 11), (1, 9), (8, 2)])
def test_all_missing_pixels_are_solved_together(share, shape):
    random = np.random.default_rng(1)
    image, missing = random.standard_normal((3, *shape)), random.random(shape) < share
    missing.flat[4] = False
    close(impute(image, missing), slowly_imputed(image, missing), 1e-10)


def test_imputation_equals_that_of_quantus():
    image, missing = case()
    close(impute(image, missing)[:, missing], QUANTUS, 1e-9)


@pytest.mark.parametrize("order", ["morf", "lerf"])
def test_scores_are_those_of_the_imputed_images(order):
    w, shares = weights(3, 6, 5), (0.1, 0.5, 0.99)
    batch, maps = images(2, 6, 5), images(2, 6, 5, seed=4).numpy()
    curve = road(Linear(w), batch, maps, [2, 0], order=order, shares=shares, noise=0, score="logit")
    close(curve.shares, shares)
    expected = np.empty((2, 3))
    for n, (image, plane) in enumerate(zip(batch.numpy(), maps.sum(axis=1))):
        ranks = (-plane if order == "morf" else plane).ravel().argsort().argsort().reshape(6, 5)
        for k, count in enumerate((3, 15, 29)):  # of 30 pixels at least one is left
            filled = slowly_imputed(image.astype("float64"), ranks < count)
            expected[n, k] = logits_of(filled[None], w)[0, [2, 0][n]]
    close(curve.scores, expected)


def test_noise_is_added_to_the_missing_pixels_alone():
    """It is normal, the same for each image, and decided by the seed."""
    batch, maps = images(2, 20, 30), images(2, 20, 30, seed=4).numpy()

    def seen(**options):
        network = Recording(weights(2, 20, 30))
        road(network, batch, maps, 0, shares=(0.5,), **options)
        return np.concatenate(network.inputs[1:]).astype("float64")

    shift = (seen(noise=0.3) - seen(noise=0.0)) / 0.3
    missing = np.abs(shift) > 1e-9
    assert (missing == missing[:, :1]).all() and (missing[:, 0].sum((1, 2)) == 300).all()
    planes = maps.sum(axis=1)
    for gone, plane in zip(missing[:, 0], planes):
        assert plane[gone].min() > plane[~gone].max()
    drawn = shift[missing]
    assert abs(drawn.mean()) < 0.1 and abs(drawn.std() - 1) < 0.1
    both = missing[0] & missing[1]
    close(shift[0][both], shift[1][both], 1e-4)
    assert np.abs(seen(noise=0.3) - seen(noise=0.3, seed=1)).max() > 0.1
    np.testing.assert_array_equal(seen(), seen(noise=0.01))


def test_a_better_map_loses_the_score_sooner():
    """The image has one bright square, which is the whole score."""
    w = np.zeros((2, 3, 12, 12), dtype="float32")
    w[0, :, 4:8, 4:8] = 1
    batch = images(1, 12, 12) * 0
    batch[:, :, 4:8, 4:8] = 1
    maps = w[:1].sum(1, keepdims=True)
    first, last = (
        road(Linear(w), batch, maps, 0, order=order, score="logit", shares=(0.12, 0.8)).scores
        for order in ("morf", "lerf")
    )
    assert np.abs(first).max() < 1 and last.min() > 47


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "random"}, "unknown order 'random'; use morf, lerf"),
        ({"shares": (0.1, 1.0)}, "shares must be"),
        ({"shares": ()}, "shares must be"),
        ({"shares": 0.5}, "shares must be"),
        ({"noise": -1}, "noise must be"),
        ({"noise": True}, "noise must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(VisualizeError, match=message):
        road(Linear(W), images(), np.ones((2, 1, 5, 7)), 1, **options)


def test_without_scipy_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
    with pytest.raises(VisualizeError, match=r'pip install -e "\.\[evaluate\]"'):
        road(Linear(W), images(), np.ones((2, 1, 5, 7)), 1)
