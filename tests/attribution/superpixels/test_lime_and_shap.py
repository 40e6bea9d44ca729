"""LIME against a regression in plain NumPy, Kernel SHAP against Shapley values by enumeration."""

from itertools import combinations
from math import comb

import numpy as np
import paddle
import pytest
from additive_toys import Nonlinear, W, score_by_hand
from fills import FILLS
from toys import Linear, close, images

from visualize_pd import VisualizeError, kernel_shap, lime
from visualize_pd.attribution.superpixels.kernel_shap import drawn
from visualize_pd.attribution.superpixels.lime import neighbours

TARGETS = [2, 0]
METHODS = [lime, kernel_shap]


def labels_of(players, count=2, seed=3):
    """Scattered segments [count, 7, 10]. Each number from 0 to `players` − 1 is there."""
    random = np.random.default_rng(seed)
    each = [random.permutation(np.arange(70) % players).reshape(7, 10) for _ in range(count)]
    return np.stack(each)


def play(image, fill, labels, coalition, target, score="logit"):
    """The score while the segments in `coalition` are visible."""
    mask = np.isin(labels, list(coalition))
    return score_by_hand(np.where(mask, image, fill), target, score)


def shapley(players, value):
    """Shapley values by their definition: weighted sums over all coalitions."""
    values = np.zeros(players)
    for k in range(players):
        others = [j for j in range(players) if j != k]
        for size in range(players):
            weight = 1 / (players * comb(players - 1, size))
            for coalition in combinations(others, size):
                gain = value(frozenset((*coalition, k))) - value(frozenset(coalition))
                values[k] += weight * gain
    return values


def cached(function):
    known = {}

    def value(coalition):
        if coalition not in known:
            known[coalition] = function(coalition)
        return known[coalition]

    return value


def shapley_maps(batch, fills, labels, score):
    maps = []
    for image, fill, each, target in zip(batch.numpy(), fills, labels, TARGETS):
        value = cached(lambda c: play(image, fill, each, c, target, score))  # noqa: B023
        maps.append(shapley(each.max() + 1, value)[each])
    return np.stack(maps)[:, None]


@pytest.mark.parametrize("players", [1, 2, 5, 10])
def test_kernel_shap_equals_shapley_values_by_enumeration(players):
    batch, labels = images(2, 7, 10), labels_of(players)
    maps = kernel_shap(Nonlinear(W), batch, TARGETS, segments=paddle.to_tensor(labels)).numpy()
    close(maps, shapley_maps(batch, np.zeros(batch.shape), labels, "logit"), 2e-5)


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
@pytest.mark.parametrize("baseline", FILLS)
def test_kernel_shap_with_each_baseline_and_score(score, baseline):
    batch, labels = images(2, 7, 10), labels_of(4)
    options = {"segments": paddle.to_tensor(labels), "baseline": baseline, "score": score}
    maps = kernel_shap(Nonlinear(W), batch, TARGETS, **options).numpy()
    fills = [FILLS[baseline](image) for image in batch.numpy()]
    close(maps, shapley_maps(batch, fills, labels, score), 1e-4)


def test_kernel_shap_of_two_images_with_exact_and_drawn_coalitions():
    """One image has three segments, the other one 15. The score has products of two segments.

    Its Shapley values are z_k + z_k·Z/8 with Z = Σ z_k. Coalitions in pairs find them exactly.
    """
    batch = images(2, 7, 10)
    labels = np.concatenate([labels_of(3, 1), labels_of(15, 1)])
    options = {"segments": paddle.to_tensor(labels), "samples": 100}
    maps = kernel_shap(Nonlinear(W), batch, TARGETS, **options).numpy()
    expected = []
    for image, each, target in zip(batch.numpy(), labels, TARGETS):
        parts = (W[target] * image).sum(0).astype("float64") / 4
        z = np.bincount(each.ravel(), parts.ravel())
        expected.append((z + z * z.sum() / 8)[each])
    close(maps, np.stack(expected)[:, None], 1e-4)


def test_coalitions_are_drawn_as_the_shapley_kernel_weights_them():
    """Of five segments: all coalitions of 1, 2, 3, 4 have weights as 1/4, 1/6, 1/6, 1/4."""
    draws = drawn(5, np.random.default_rng(0))
    coalitions = np.stack([next(draws) for _ in range(12000)])
    np.testing.assert_array_equal(coalitions[::2], ~coalitions[1::2])
    shares = np.bincount(coalitions.sum(1), minlength=6) / 12000
    assert np.abs(shares - [0, 0.3, 0.2, 0.2, 0.3, 0]).max() < 0.02
    alone = coalitions[coalitions.sum(1) == 1].mean(0)
    assert np.abs(alone - 1 / 5).max() < 0.03


@pytest.mark.parametrize("samples", [2, 9, 60])
def test_drawn_values_sum_to_the_gain_over_the_baseline(samples):
    """Also with so few samples that the regression has many solutions."""
    batch, labels = images(2, 7, 10), labels_of(23)
    options = {"segments": paddle.to_tensor(labels), "samples": samples, "baseline": "mean"}
    maps = (
        kernel_shap(Nonlinear(W), batch, TARGETS, **options, score="probability")
        .numpy()
        .astype("float64")
    )
    for image, heat, each, target in zip(batch.numpy(), maps[:, 0], labels, TARGETS):
        values = [heat[each == k][0] for k in range(23)]
        gain = score_by_hand(image, target, "probability")
        gain -= score_by_hand(FILLS["mean"](image), target, "probability")
        assert np.sum(values) == pytest.approx(gain, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_score_gives_the_share_of_each_segment(method):
    """The share of a segment is Σ w · (I − fill) over its pixels."""
    batch, fills, labels = images(2, 7, 10), images(1, 7, 10, seed=5), labels_of(17)
    options = {"segments": paddle.to_tensor(labels), "baseline": fills, "samples": 200}
    if method is lime:
        options["ridge"] = 0.0
    maps = method(Linear(W), batch, TARGETS, **options).numpy()
    shares = (W[TARGETS] * (batch - fills).numpy()).sum(1).astype("float64")
    expected = [
        np.bincount(each.ravel(), share.ravel())[each] for each, share in zip(labels, shares)
    ]
    close(maps, np.stack(expected)[:, None], 1e-4)


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
@pytest.mark.parametrize(("width", "ridge"), [(0.25, 1.0), (1.0, 0.1), (0.4, 30)])
def test_lime_equals_a_weighted_ridge_regression(score, width, ridge):
    """As least squares of rows times √π, with the penalty as further rows."""
    batch, labels = images(2, 7, 10), labels_of(6)
    maps = lime(
        *(Nonlinear(W), batch, TARGETS),
        segments=paddle.to_tensor(labels),
        samples=40,
        width=width,
        ridge=ridge,
        seed=4,
        score=score,
    ).numpy()
    expected = []
    for image, each, target in zip(batch.numpy(), labels, TARGETS):
        draws = neighbours(6, np.random.default_rng(4))
        rows, values = [], []
        for _ in range(40):
            z = next(draws)
            cosine = z.sum() / (np.linalg.norm(z) * np.sqrt(6))
            root = np.exp(-((1 - cosine) ** 2) / width**2) ** 0.5
            rows.append(root * np.array([1, *z]))
            values.append(root * play(image, 0 * image, each, np.flatnonzero(z), target, score))
        for k in range(6):
            rows.append(np.sqrt(ridge) * np.eye(7)[k + 1])
            values.append(0)
        expected.append(np.linalg.lstsq(np.stack(rows), np.array(values), rcond=None)[0][1:][each])
    close(maps, np.stack(expected)[:, None], 1e-4)


def test_neighbours_have_a_uniform_number_of_uniform_segments():
    draws = neighbours(4, np.random.default_rng(0))
    drawn = np.stack([next(draws) for _ in range(8000)])
    sizes = np.bincount(drawn.sum(1), minlength=5)
    assert sizes[0] == 0 and np.abs(sizes[1:] - 2000).max() < 160
    assert np.abs(drawn[drawn.sum(1) == 1].mean(0) - 1 / 4).max() < 0.04
    assert np.abs(drawn[drawn.sum(1) == 3].mean(0) - 3 / 4).max() < 0.04


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_does_not_change_the_map(method, batch_size):
    batch, segments = images(2, 7, 10), paddle.to_tensor(labels_of(14))
    options = {"segments": segments, "samples": 51}
    expected = method(Nonlinear(W), batch, TARGETS, **options).numpy()
    found = method(Nonlinear(W), batch, TARGETS, **options, batch_size=batch_size).numpy()
    close(found, expected, 1e-4)


class CountsImages(Nonlinear):
    def __init__(self, w):
        super().__init__(w)
        self.sizes = []

    def forward(self, batch):
        self.sizes.append(len(batch))
        return super().forward(batch)


@pytest.mark.parametrize(("method", "passes"), [(lime, 1 + 40), (kernel_shap, 2 + 40)])
def test_passes_and_batch_size(method, passes):
    network = CountsImages(W)
    options = {"segments": paddle.to_tensor(labels_of(14, 1)), "samples": 40, "batch_size": 6}
    method(network, images(1, 7, 10), 1, **options)
    assert max(network.sizes) == 6 and sum(network.sizes) == passes


@pytest.mark.parametrize("method", METHODS)
def test_seed_and_top_class(method):
    batch = images(4, 7, 10)
    top = [int(np.argmax([score_by_hand(one, k) for k in range(3)])) for one in batch.numpy()]
    assert len(set(top)) > 1
    options = {"segments": paddle.to_tensor(labels_of(20, 4)), "samples": 30}
    first, same, other = (
        method(Nonlinear(W), batch, targets, **options, seed=seed, score="probability").numpy()
        for targets, seed in ((None, 3), (top, 3), (top, 4))
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_score_that_is_a_function(method):
    batch, segments = images(2, 7, 10), paddle.to_tensor(labels_of(8))
    expected = method(Nonlinear(W), batch, 1, segments=segments, samples=50).numpy()
    doubled = method(
        Nonlinear(W), batch, segments=segments, samples=50, score=lambda out, _: 2 * out[:, 1]
    ).numpy()
    close(doubled, 2 * expected)


@pytest.mark.parametrize(
    ("method", "option"),
    [
        *((method, {"samples": value}) for method in METHODS for value in (0, 1.5, 10**7)),
        *((method, {"seed": -1}) for method in METHODS),
        *((method, {"batch_size": 0}) for method in METHODS),
        *((method, {"baseline": "black"}) for method in METHODS),
        *((method, {"score": "loss"}) for method in METHODS),
        *((lime, {"width": value}) for value in (0, -1, True, "wide", float("inf"))),
        *((lime, {"ridge": value}) for value in (-1, None, float("nan"))),
        (kernel_shap, {"samples": 1}),
    ],
)
def test_wrong_options(method, option):
    with pytest.raises(VisualizeError, match=next(iter(option))):
        method(Nonlinear(W), images(2, 7, 10), 1, segments="grid", **option)
