"""Sobol indices and HSIC against plain loops, and against values known by algebra."""

import numpy as np
import paddle
import pytest
from additive_toys import Nonlinear, W, score_by_hand
from fills import FILLS
from toys import Linear, close, images, weights

from visualize_pd import VisualizeError, hsic, sobol
from visualize_pd.attribution.perturbation.grid import latin_hypercube
from visualize_pd.attribution.perturbation.hsic import dependence

TARGETS = [2, 0]
METHODS = [sobol, hsic]
SCORES = ["logit", "probability", "log_probability"]


def masked(image, fill, mask):
    """The image where the mask `[cells, cells]` is 1, `fill` where it is 0, a mixture between."""
    cells, mixed = len(mask), np.empty(image.shape)
    _, height, width = image.shape
    for y in range(height):
        for x in range(width):
            share = float(mask[y * cells // height, x * cells // width])
            mixed[:, y, x] = share * image[:, y, x] + (1 - share) * fill[:, y, x]
    return mixed


def bilinear(values, height, width):
    """Values of cells at the pixels: linear between the centres of cells, and flat outside them."""
    cells = len(values)
    rows = np.clip((np.arange(height) + 0.5) * cells / height - 0.5, 0, cells - 1)
    columns = np.clip((np.arange(width) + 0.5) * cells / width - 0.5, 0, cells - 1)
    places = np.arange(cells)
    across = np.stack([np.interp(columns, places, row) for row in values])
    return np.stack([np.interp(rows, places, column) for column in across.T], axis=1)


def sobol_loop(image, fill, target, cells, samples, seed, score):
    count = cells * cells
    design = latin_hypercube(samples, 2 * count, np.random.default_rng(seed))
    first, second = design[:, :count], design[:, count:]

    def of(row):
        return score_by_hand(masked(image, fill, row.reshape(cells, cells)), target, score)

    scores = np.array([of(row) for row in first])
    indices = np.zeros(count)
    for i in range(count):
        for j in range(samples):
            row = first[j].copy()
            row[i] = second[j, i]
            indices[i] += (scores[j] - of(row)) ** 2 / (2 * samples)
    indices /= np.sum((scores - scores.mean()) ** 2) / (samples - 1)
    return bilinear(indices.reshape(cells, cells), 7, 10)


def criterion(column, scores):
    """tr(K H L H) / (n − 1)² by whole matrices, with loops over all pairs."""
    n = len(scores)
    sigma = np.median([abs(scores[i] - scores[j]) for i in range(n) for j in range(i)])
    inputs, outputs = np.empty((n, n)), np.empty((n, n))
    for i in range(n):
        for j in range(n):
            inputs[i, j] = column[i] == column[j]
            outputs[i, j] = np.exp(-((scores[i] - scores[j]) ** 2) / (2 * sigma**2))
    centre = np.eye(n) - 1 / n
    return np.trace(inputs @ centre @ outputs @ centre) / (n - 1) ** 2


def hsic_loop(image, fill, target, cells, samples, seed, score):
    masks = latin_hypercube(samples, cells * cells, np.random.default_rng(seed)) < 0.5
    scores = [
        score_by_hand(masked(image, fill, mask.reshape(cells, cells)), target, score)
        for mask in masks
    ]
    values = np.array([criterion(column, scores) for column in masks.T])
    return bilinear(values.reshape(cells, cells), 7, 10)


LOOPS = {sobol: sobol_loop, hsic: hsic_loop}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("cells", "samples"), [(2, 9), (3, 6)])
def test_map_equals_loops(method, score, cells, samples):
    batch = images(2, 7, 10)
    options = {"cells": cells, "samples": samples, "seed": 4, "score": score}
    maps = method(Nonlinear(W), batch, TARGETS, **options).numpy()
    expected = [
        LOOPS[method](image, 0 * image, target, cells, samples, 4, score)
        for image, target in zip(batch.numpy(), TARGETS)
    ]
    close(maps, np.stack(expected)[:, None], 1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("baseline", [*FILLS, "image"])
def test_map_with_each_baseline(method, baseline):
    batch, fill = images(2, 7, 10), images(1, 7, 10, seed=5)
    options = {"cells": 2, "samples": 7, "baseline": fill if baseline == "image" else baseline}
    maps = method(Nonlinear(W), batch, TARGETS, **options).numpy()
    expected = [
        LOOPS[method](
            image,
            fill.numpy()[0] if baseline == "image" else FILLS[baseline](image),
            target,
            *(2, 7, 0, "logit"),
        )
        for image, target in zip(batch.numpy(), TARGETS)
    ]
    close(maps, np.stack(expected)[:, None], 1e-4)


def cell_shares(image, target):
    """What each of 2 × 2 cells adds to z of the score of an image of 4 × 4 pixels."""
    parts = (weights(3, 4, 4)[target] * image).sum(0).astype("float64")
    return parts.reshape(2, 2, 2, 2).sum((1, 3)).ravel()


def corners(maps):
    """The values of 2 × 2 cells in a map of 4 × 4 pixels."""
    return maps[0, 0, ::3, ::3].ravel()


def test_total_indices_of_an_additive_score():
    """With Σ a_i M_i and independent M_i, the index of cell i is a_i² / Σ a²."""
    image = images(1, 4, 4)
    shares = cell_shares(image.numpy()[0], 1)
    maps = sobol(
        *(Linear(weights(3, 4, 4)), image, 1), cells=2, samples=6000, batch_size=3000
    ).numpy()
    close(corners(maps), shares**2 / (shares**2).sum(), 0.05)


def test_total_indices_of_a_score_with_interactions():
    """S = z + z²/8 with z = Σ a_i M_i. The variances are integrals of polynomials of degree 4."""
    image = images(1, 4, 4)
    shares = cell_shares(image.numpy()[0], 2) / 4
    nodes, node_weights = np.polynomial.legendre.leggauss(3)
    nodes, node_weights = (nodes + 1) / 2, node_weights / 2
    z = sum(np.meshgrid(*(share * nodes for share in shares), indexing="ij"))
    scores = z + z * z / 8

    def mean(values, axes):
        for axis in sorted(axes, reverse=True):
            values = np.tensordot(values, node_weights, axes=(axis, 0))
        return values

    everything = range(4)
    variance = mean(scores**2, everything) - mean(scores, everything) ** 2
    expected = []
    for i in everything:
        within = mean(scores**2, [i]) - mean(scores, [i]) ** 2
        expected.append(mean(within, range(3)) / variance)
    assert sum(expected) > 1.0001  # interactions count for each of their cells
    maps = sobol(
        *(Nonlinear(weights(3, 4, 4)), image, 2), cells=2, samples=6000, batch_size=3000
    ).numpy()
    close(corners(maps), np.array(expected), 0.05)


def test_criterion_equals_matrices_over_several_blocks():
    random = np.random.default_rng(0)
    visible = random.random((300, 3)) < [0.5, 0.3, 0.9]
    scores = visible @ [1.0, -0.5, 0] + 0.1 * random.standard_normal(300)
    close(dependence(visible, scores), np.array([criterion(each, scores) for each in visible.T]))


def test_criterion_of_scores_of_which_most_are_the_same():
    visible = np.zeros((9, 2), dtype=bool)
    visible[0, 0] = visible[1, 1] = True
    scores = np.zeros(9)
    scores[0] = 5.0  # the median distance is 0, so that σ is 5
    first, second = dependence(visible, scores)
    # HLH has (1 − e^(−1/2)) · (8/9)² · 2 in its corner: x for L = 1 − x where only one is shown.
    lost = 1 - np.exp(-0.5)
    assert first == pytest.approx(2 * 2 * lost * (8 / 9) ** 2 / 64)
    assert 0 < second < first / 50
    assert not dependence(visible, np.ones(9)).any()


def test_latin_hypercube_has_one_number_in_each_part():
    design = latin_hypercube(50, 6, np.random.default_rng(1))
    assert design.shape == (50, 6)
    np.testing.assert_array_equal(np.sort((design * 50).astype(int), axis=0).T, [np.arange(50)] * 6)
    assert np.abs(np.corrcoef(design.T) - np.eye(6)).max() < 0.5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_batch_size_does_not_change_the_map(method, batch_size):
    options = {"cells": 3, "samples": 8}
    expected = method(Nonlinear(W), images(2, 7, 10), TARGETS, **options).numpy()
    found = method(Nonlinear(W), images(2, 7, 10), TARGETS, **options, batch_size=batch_size)
    close(found.numpy(), expected, 1e-4)


class CountsImages(Nonlinear):
    def __init__(self, w):
        super().__init__(w)
        self.sizes = []

    def forward(self, batch):
        self.sizes.append(len(batch))
        return super().forward(batch)


@pytest.mark.parametrize(("method", "passes"), [(sobol, 1 + 5 * 10), (hsic, 1 + 5)])
def test_passes_and_batch_size(method, passes):
    network = CountsImages(W)
    method(network, images(2, 7, 10), 1, cells=3, samples=5, batch_size=6)
    assert max(network.sizes) <= 6 and sum(network.sizes) == 2 * passes


@pytest.mark.parametrize("method", METHODS)
def test_seed_top_class_and_defaults(method):
    batch = images(4, 7, 10)
    top = [int(np.argmax([score_by_hand(one, k) for k in range(3)])) for one in batch.numpy()]
    assert len(set(top)) > 1
    usual = {sobol: {"samples": 16}, hsic: {"samples": 500}}[method]
    default = method(Nonlinear(W), batch).numpy()
    options = {"cells": 7, **usual, "baseline": "zero"}
    first, other = (
        method(Nonlinear(W), batch, top, **options, seed=seed).numpy() for seed in (0, 1)
    )
    np.testing.assert_array_equal(default, first)
    assert np.abs(first - other).max() > 1e-4


def test_cells_by_default():
    """As many as usual, but no more than there are pixels on a side."""
    w, batch = weights(2, 20, 9), images(1, 20, 9)
    for method, cells in ((sobol, 8), (hsic, 7)):
        default = method(Linear(w), batch, 1, samples=5).numpy()
        asked = method(Linear(w), batch, 1, samples=5, cells=cells).numpy()
        np.testing.assert_array_equal(default, asked)


@pytest.mark.parametrize("method", METHODS)
def test_score_that_is_a_function(method):
    batch = images(2, 7, 10)
    expected = method(Nonlinear(W), batch, 1, cells=3, samples=8).numpy()
    found = method(Nonlinear(W), batch, cells=3, samples=8, score=lambda out, _: 2 * out[:, 1])
    close(found.numpy(), expected)  # neither changes with the unit of the score


@pytest.mark.parametrize(
    ("method", "option"),
    [
        *((method, {"samples": value}) for method in METHODS for value in (1, 1.5, 10**7)),
        *((method, {"cells": value}) for method in METHODS for value in (0, 1.5, 8)),
        *((method, {"seed": -1}) for method in METHODS),
        *((method, {"batch_size": 0}) for method in METHODS),
        *((method, {"baseline": "black"}) for method in METHODS),
        *((method, {"score": "loss"}) for method in METHODS),
    ],
)
def test_wrong_options(method, option):
    with pytest.raises(VisualizeError, match=next(iter(option))):
        method(Nonlinear(W), images(2, 7, 10), 1, **option)


@pytest.mark.parametrize("method", METHODS)
def test_images_must_be_a_batch(method):
    with pytest.raises(VisualizeError, match="N, C, H, W"):
        method(Nonlinear(W), paddle.zeros([3, 7, 10]), 1)
