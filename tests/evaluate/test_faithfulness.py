"""Insertion, deletion, average drop, infidelity and max-sensitivity of networks with known answers.

The score of a linear network is a sum over pixels, so that each of their numbers is plain algebra.
"""

import numpy as np
import paddle
import pytest
from paddle import nn
from test_contracts import convolutional, state_of
from test_perturbation import FILLS
from toys import Linear, Quadratic, close, images, weights

from visualize_pd import VisualizeError, gradient
from visualize_pd.evaluate import (
    average_drop,
    deletion,
    infidelity,
    insertion,
    max_sensitivity,
    pointing_game,
)

W = weights()
TARGETS = [2, 0]
CURVES = [insertion, deletion]
OF_MAPS = [insertion, deletion, average_drop, infidelity]
VALUES = [[8.0, 1.0], [4.0, 2.0]]
ZERO = {"baseline": "zero", "score": "logit"}


def shares_of(values, others=()):
    """A network for which the pixels of an image of ones give class 0 these shares of its logit."""
    planes = [np.asarray(each, dtype="float32") for each in (values, *others)]
    w = [np.stack([plane / 2, plane / 4, plane / 4]) for plane in planes]
    return Linear(w), paddle.ones([1, 3, *planes[0].shape])


def as_map(values):
    return np.asarray(values, dtype="float32")[None, None]


def contributions(batch, targets=TARGETS, w=W):
    """Each pixel's share of its image's logit, `[N, H, W]`."""
    return (w[targets].astype("float64") * batch.numpy()).sum(1)


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def logits_of(pixels, w=W):
    return np.einsum("nchw,kchw->nk", np.asarray(pixels, dtype="float64"), w)


class Recording(Linear):
    """It keeps what it was asked."""

    def __init__(self, w):
        super().__init__(w)
        self.asked = []

    def forward(self, batch):
        self.asked.append(batch.numpy())
        return super().forward(batch)


def test_curves_by_hand():
    network, batch = shares_of(VALUES)
    rising = insertion(network, batch, as_map(VALUES), 0, **ZERO)
    close(rising.shares, [0, 0.25, 0.5, 0.75, 1])
    close(rising.scores, [[0, 8, 12, 14, 15]])
    close(rising.areas, [(4 + 10 + 13 + 14.5) / 4])
    falling = deletion(network, batch, as_map(VALUES), 0, **ZERO)
    close(falling.shares, [0, 0.25, 0.5, 0.75, 1])
    close(falling.scores, [[15, 7, 3, 1, 0]])
    close(falling.areas, [(11 + 5 + 2 + 0.5) / 4])


def test_curves_by_hand_in_two_steps():
    network, batch = shares_of(VALUES)
    rising = insertion(network, batch, as_map(VALUES), 0, **ZERO, steps=2)
    close(rising.shares, [0, 0.5, 1])
    close(rising.scores, [[0, 12, 15]])
    close(rising.areas, [(6 + 13.5) / 2])
    falling = deletion(network, batch, as_map(VALUES), 0, **ZERO, steps=2)
    close(falling.scores, [[15, 3, 0]])


def test_curves_of_the_worst_order_by_hand():
    network, batch = shares_of(VALUES)
    worst = -as_map(VALUES)
    close(insertion(network, batch, worst, 0, **ZERO).scores, [[0, 1, 3, 7, 15]])
    close(deletion(network, batch, worst, 0, **ZERO).scores, [[15, 14, 12, 8, 0]])


def test_curves_of_probabilities_by_hand():
    network, batch = shares_of(VALUES, others=[[[1.0, 3.0], [2.0, 0.5]]])
    mine, theirs = np.array([0, 8, 12, 14, 15]), np.array([0, 1, 3, 3.5, 6.5])
    curve = insertion(network, batch, as_map(VALUES), 0, baseline="zero")
    close(curve.scores, [1 / (1 + np.exp(theirs - mine))])
    curve = deletion(network, batch, as_map(VALUES), 0)
    close(curve.scores, [1 / (1 + np.exp((6.5 - theirs) - (15 - mine)))])


def test_area_is_the_mean_height():
    """Of a straight line from 0 to its end, half of it, whatever the steps."""
    network, batch = shares_of(np.ones((4, 6)))
    for steps in (1, 2, 3, 8, 24):
        curve = insertion(network, batch, np.ones((1, 1, 4, 6)), 0, **ZERO, steps=steps)
        close(curve.areas, [12.0])


@pytest.mark.parametrize("method", CURVES)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9, 10, 34, 35, 36, 500])
def test_each_step_has_an_equal_share(method, steps):
    """5 × 7 pixels: the score is the sum of as many of the largest shares as have had a turn."""
    batch = images()
    exact = contributions(batch)
    curve = method(Linear(W), batch, exact[:, None], TARGETS, **ZERO, steps=steps)
    assert curve.shares[0] == 0 and curve.shares[-1] == 1
    taken = np.round(curve.shares * 35).astype(int)
    np.testing.assert_allclose(curve.shares, taken / 35, atol=1e-12)
    steps = min(steps, 35)
    assert np.abs(taken - 35 * np.arange(steps + 1) / steps).max() < 1
    falling = -np.sort(-exact.reshape(2, -1))
    sums = np.concatenate([np.zeros((2, 1)), np.cumsum(falling, axis=1)], axis=1)[:, taken]
    close(curve.scores, sums if method is insertion else sums[:, -1:] - sums)


def fill_of(baseline, batch):
    """What stands for a baseline as an option, and the images that it means."""
    if baseline in FILLS:
        return baseline, np.stack([FILLS[baseline](image) for image in batch.numpy()])
    fill = images(1 if baseline == "one" else 2, seed=5)
    return fill, np.broadcast_to(fill.numpy(), batch.shape)


BASELINES = [*FILLS, "one", "each"]
READ = {
    "logit": lambda z: z,
    "probability": softmax,
    "log_probability": lambda z: np.log(softmax(z)),
}


@pytest.mark.parametrize("score", READ)
@pytest.mark.parametrize("baseline", BASELINES)
def test_curves_go_from_image_to_baseline_and_back(baseline, score):
    batch, w = images(), W / 16
    fill, start = fill_of(baseline, batch)
    maps = np.random.default_rng(0).standard_normal((2, 1, 5, 7))
    options = {"baseline": fill, "score": score, "steps": 6}
    falling = deletion(Linear(w), batch, maps, TARGETS, **options).scores
    rising = insertion(Linear(w), batch, maps, TARGETS, **options).scores
    first, last = (READ[score](logits_of(x, w))[[0, 1], TARGETS] for x in (start, batch.numpy()))
    assert np.abs(first - last).min() > 0.002
    for found, expected in (
        (falling[:, 0], last),
        (falling[:, -1], first),
        (rising[:, 0], first),
        (rising[:, -1], last),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_unless_told_deletion_ends_in_the_mean_colour_and_insertion_starts_blurred():
    batch, maps, network = images(), images(seed=3).numpy(), Linear(W / 16)
    for method, baseline in ((deletion, "zero"), (insertion, "blurred")):
        plain = method(network, batch, maps, TARGETS).scores
        _, start = fill_of(baseline, batch)
        expected = softmax(logits_of(start, W / 16))[[0, 1], TARGETS]
        np.testing.assert_allclose(plain[:, 0 if method is insertion else -1], expected, rtol=1e-5)


def test_unless_told_a_curve_has_a_hundred_steps():
    batch = images(1, 12, 13)
    for method in CURVES:
        curve = method(Linear(weights(2, 12, 13)), batch, images(1, 12, 13).numpy(), 0)
        assert curve.shares.shape == (101,) and curve.scores.shape == (1, 101)


@pytest.mark.parametrize("method", CURVES)
def test_channels_of_a_map_are_summed(method):
    """By their sums the order is that of VALUES; by any channel, by sizes or maxima it is not."""
    network, batch = shares_of(VALUES)
    maps = np.array([[[-90, 0], [1, 50]], [[90, 1], [1, -50]], [[8, 0], [2, 2]]])[None]
    expected = method(network, batch, as_map(VALUES), 0, **ZERO).scores
    np.testing.assert_array_equal(method(network, batch, maps, 0, **ZERO).scores, expected)
    tensor = paddle.to_tensor(maps.astype("float32"))
    np.testing.assert_array_equal(method(network, batch, tensor, 0, **ZERO).scores, expected)


@pytest.mark.parametrize("method", CURVES)
def test_height_and_width_of_a_map_keep_their_places(method):
    batch, place = paddle.ones([1, 3, 4, 9]), np.zeros((4, 9))
    place[1, 6] = 1
    network, _ = shares_of(place)
    curve = method(network, batch, as_map(place), 0, **ZERO)
    expected = np.r_[0, np.ones(36)]
    close(curve.scores[0], expected if method is insertion else 1 - expected)


@pytest.mark.parametrize("method", CURVES)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_equal_pixels_go_in_no_order_of_rows(method, axis, sign):
    """A constant map's curve is nearly straight; taken row by row it would sag by a quarter."""
    ramp = np.arange(1.0, 25)[::sign]
    values = np.ones((24, 24)) * (ramp[:, None] if axis == 0 else ramp)
    network, batch = shares_of(values)
    curve = method(network, batch, np.full((1, 1, 24, 24), 3.0), 0, **ZERO)
    line = values.sum() * (curve.shares if method is insertion else 1 - curve.shares)
    assert np.abs(curve.scores[0] - line).max() < 0.05 * values.sum()


def test_equal_pixels_keep_their_turn_among_the_others():
    """The left half is worth more than the right one: two straight lines that meet."""
    half = np.repeat([1.0, 0.0], 12) * np.ones((24, 1))
    values = half * 3 + 1
    network, batch = shares_of(values)
    curve = insertion(network, batch, as_map(half), 0, **ZERO, steps=24)
    # Pixels of a half are alike, so that the curve is known exactly.
    close(curve.scores[0], 24 * np.r_[np.arange(13) * 4, 48 + np.arange(1, 13)])


def ranked(batch, w=W):
    """The exact shares of a linear network, others in a random order, and in the reverse one."""
    exact = contributions(batch, [0] * len(batch), w).reshape(len(batch), -1)
    random = np.random.default_rng(6)
    mixed = np.stack([random.permutation(each) for each in exact])
    reverse = np.empty_like(exact)
    for out, each in zip(reverse, exact):
        out[np.argsort(each)] = np.sort(each)[::-1]
    shape = (len(batch), 1, *batch.shape[2:])
    return [each.reshape(shape) for each in (exact, mixed, reverse)]


def test_true_shares_beat_random_ones_and_these_their_reverse_on_curves():
    batch = images(6)
    true, mixed, reverse = ranked(batch)
    curves = [insertion(Linear(W), batch, maps, 0, **ZERO) for maps in (true, mixed, reverse)]
    assert (curves[0].scores >= curves[1].scores - 1e-4).all()
    assert (curves[1].scores >= curves[2].scores - 1e-4).all()
    assert (curves[0].areas > curves[1].areas + 1).all()
    assert (curves[1].areas > curves[2].areas + 1).all()
    curves = [deletion(Linear(W), batch, maps, 0, **ZERO) for maps in (true, mixed, reverse)]
    assert (curves[0].scores <= curves[1].scores + 1e-4).all()
    assert (curves[1].scores <= curves[2].scores + 1e-4).all()
    assert (curves[0].areas < curves[1].areas - 1).all()
    assert (curves[1].areas < curves[2].areas - 1).all()


def test_true_shares_beat_random_ones_and_these_their_reverse_at_pointing():
    batch = images(40)
    true, mixed, reverse = ranked(batch)
    limits = np.quantile(true, 0.6, axis=(1, 2, 3), keepdims=True)
    truth = list((true > limits)[:, 0])
    first, second, third = (pointing_game(maps, truth) for maps in (true, mixed, reverse))
    assert first.all() and not third.any()
    assert 0.2 < second.mean() < 0.6  # the objects cover 14 of 35 pixels


def test_true_shares_beat_random_ones_and_these_their_reverse_by_average_drop():
    """All shares are positive, and the maps hold the same values: sums of products are sorted."""
    batch, w = paddle.to_tensor(np.abs(images(6).numpy())), np.abs(W)
    first, second, third = (
        average_drop(Linear(w), batch, maps, 0, score="logit").drops for maps in ranked(batch, w)
    )
    assert (first < second - 0.02).all() and (second < third - 0.02).all()


@pytest.mark.parametrize("scaled", [True, False])
def test_true_shares_beat_random_ones_and_these_their_reverse_by_infidelity(scaled):
    batch, w = paddle.to_tensor(np.abs(images(30).numpy())), np.abs(W)
    first, second, third = (
        infidelity(Linear(w), batch, maps, 0, scaled=scaled) for maps in ranked(batch, w)
    )
    assert first.max() < 1e-9 * third.min()
    assert second.mean() < 0.9 * third.mean()


def test_a_map_of_the_wrong_sign_is_the_worst_also_when_scaled():
    """No units turn what speaks for a class into what speaks against it."""
    batch = images(6)
    true, mixed, _ = ranked(batch)
    random, wrong, nothing = (
        infidelity(Linear(W), batch, maps, 0) for maps in (mixed, -true, 0 * true)
    )
    assert (wrong >= random).all() and wrong.mean() > random.mean()
    assert (wrong >= nothing * (1 - 1e-9)).all()


def test_average_drop_by_hand():
    """8 + 1 + 4 + 2 = 15 are 8 + 4/2 = 10 behind the map 1, −½ → 0, ½, 0."""
    network, batch = shares_of(VALUES)
    drop = average_drop(network, batch, as_map([[2, -1], [1, 0]]), 0, score="logit")
    close(drop.drops, [1 / 3])
    assert not drop.increases.any()


def test_average_drop_of_an_image_that_is_better_behind_its_map():
    network, batch = shares_of([[8, -5], [4, 2]])
    drop = average_drop(network, batch, as_map([[2, -1], [1, 0]]), 0, score="logit")
    assert drop.drops.tolist() == [0] and drop.increases.tolist() == [True]


@pytest.mark.parametrize("value", [0.2, 1, 30])
def test_average_drop_of_what_hides_nothing(value):
    network, batch = shares_of(VALUES)
    drop = average_drop(network, batch, np.full((1, 1, 2, 2), value), 0, score="logit")
    assert drop.drops.tolist() == [0] and drop.increases.tolist() == [False]


@pytest.mark.parametrize("value", [0, -1, -1e-30])
def test_average_drop_of_what_hides_everything(value):
    network, batch = shares_of(VALUES)
    drop = average_drop(network, batch, np.full((1, 1, 2, 2), value), 0, score="logit")
    close(drop.drops, [1])
    assert drop.increases.tolist() == [False]


def test_average_drop_of_probabilities_is_the_default():
    network, batch = shares_of(VALUES, others=[[[1.0, 14.0], [0.0, 1.0]]])
    maps = np.array([[[3, -9], [0, 0]], [[-1, 5], [1, 0]]])[None]  # sums 2, −4, 1, 0
    whole, shown = 1 / (1 + np.exp(16 - 15)), 1 / (1 + np.exp(1 - 10))
    drop = average_drop(network, batch, maps, 0)
    assert shown > whole and drop.drops.tolist() == [0] and drop.increases.tolist() == [True]
    drop = average_drop(network, batch, maps, 1)
    close(drop.drops, [1 - (1 - shown) / (1 - whole)])
    assert drop.increases.tolist() == [False]


def test_average_drop_scales_each_map_by_its_own_peak():
    batch = paddle.ones([2, 3, 2, 2])
    network, _ = shares_of(VALUES)
    maps = np.concatenate([as_map([[2, 0], [1, 0]]), as_map([[20, 0], [0, 10]])])
    drop = average_drop(network, batch, maps, 0, score="logit")
    close(drop.drops, [(15 - 10) / 15, (15 - 9) / 15])


def squares_of(network, count):
    """Where each asked version of images of ones was made zero, `[N · samples, H, W]`."""
    asked = np.concatenate(network.asked)
    assert (asked == asked[:, :1]).all()
    return (asked[count:] == 0)[:, 0]


def test_infidelity_hides_squares_of_many_sizes_everywhere():
    network = Recording(weights(2, 8, 11))
    infidelity(network, paddle.ones([1, 3, 8, 11]), np.ones((1, 1, 8, 11)), 0)
    hidden = squares_of(network, 1)
    assert len(hidden) == 100 and hidden.any(axis=0).all()
    sides = set()
    for one in hidden:
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        assert len(rows) == len(columns) and one.sum() == len(rows) ** 2 > 0
        assert np.ptp(rows) == np.ptp(columns) == len(rows) - 1
        sides.add(len(rows))
    assert len(sides) >= 3 and not hidden.all(axis=(1, 2)).any()
    for edge in (hidden[:, 0], hidden[:, -1], hidden[:, :, 0], hidden[:, :, -1]):
        assert edge.any()


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_infidelity_is_a_mean_over_squares(score):
    """The definition, over the squares that the network was seen to be asked."""
    w = weights(3, 8, 11)
    network, batch = Recording(w), paddle.ones([1, 3, 8, 11])
    heat = 3 * w[1].sum(0) + np.random.default_rng(2).standard_normal((8, 11))
    options = {"samples": 60, "score": score}
    plain = infidelity(network, batch, as_map(heat), 1, **options, scaled=False)
    hidden = squares_of(network, 1)
    told = np.array([heat[one].sum() for one in hidden])
    read = READ[score]
    whole = read(logits_of(np.ones((1, 3, 8, 11)), w))[0, 1]
    found = np.array(
        [whole - read(logits_of(np.ones((1, 3, 8, 11)) * ~one, w))[0, 1] for one in hidden]
    )
    close(plain, [((told - found) ** 2).mean()])
    scaled = infidelity(network, batch, as_map(heat), 1, **options)
    (factor,), left, *_ = np.linalg.lstsq(told[:, None], found, rcond=None)
    assert factor > 0
    close(scaled, left / 60)
    assert scaled[0] < 0.9 * plain[0]


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_of_exact_shares_is_zero(baseline, scaled):
    batch = images()
    fill, start = fill_of(baseline, batch)
    exact = W[TARGETS] * (batch.numpy() - start)
    nothing, found = (
        infidelity(Linear(W), batch, maps, TARGETS, baseline=fill, scaled=scaled)
        for maps in (0 * exact, exact)
    )
    assert (nothing > 0.1).all() and (found <= 1e-9 * nothing).all()


def test_infidelity_of_a_doubled_map():
    """Scaled it is 0; as it is it errs by what each square holds, as a map of zeros does."""
    network, batch = Recording(weights(2, 6, 5)), paddle.ones([1, 3, 6, 5])
    exact = weights(2, 6, 5)[1].sum(0)
    plain = infidelity(network, batch, as_map(2 * exact), 1, scaled=False)
    found = np.array([exact[one].sum(dtype="float64") for one in squares_of(network, 1)])
    close(plain, [(found**2).mean()])
    assert infidelity(network, batch, as_map(2 * exact), 1)[0] < 1e-9 * plain[0]
    for scaled in (True, False):
        close(infidelity(network, batch, as_map(0 * exact), 1, scaled=scaled), plain)


def test_infidelity_is_scaled_for_each_image():
    batch = images()
    exact = W[TARGETS] * batch.numpy() * np.array([3, 0.01])[:, None, None, None]
    size = infidelity(Linear(W), batch, 0 * exact, TARGETS)
    assert (infidelity(Linear(W), batch, exact, TARGETS) <= 1e-9 * size).all()


def test_infidelity_draws_by_its_seed():
    batch, maps = images(), images(seed=3).numpy()
    first, again, other = (
        infidelity(Linear(W), batch, maps, TARGETS, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 1e-3


@pytest.mark.parametrize("shape", [(1, 7), (5, 1), (1, 1)])
def test_infidelity_of_images_of_one_row(shape):
    w = weights(2, *shape)
    batch = images(1, *shape)
    exact = w[:1] * batch.numpy()
    for scaled in (True, False):
        assert infidelity(Linear(w), batch, exact, 0, scaled=scaled)[0] < 1e-9


def test_sensitivity_of_a_linear_networks_gradient_is_zero():
    assert max_sensitivity(Linear(W), images(), gradient, TARGETS).tolist() == [0, 0]


def noises(batch, network=None, **options):
    """The draws that a method is shown, `[samples, N, C, H, W]`."""
    seen = []

    def method(_network, shown, _targets):
        seen.append(shown.numpy())
        return paddle.zeros_like(shown)

    max_sensitivity(network or Linear(W), batch, method, TARGETS, **options)
    np.testing.assert_array_equal(seen[0], batch.numpy())
    return np.stack(seen[1:]) - seen[0]


@pytest.mark.parametrize("radius", [0.02, 0.5])
def test_sensitivity_of_a_quadratic_networks_gradient(radius):
    """The gradient is w · I, so that a step δ changes it by w · δ."""
    batch, w = images(), W[TARGETS].astype("float64")
    draws = noises(batch, radius=radius, samples=7, seed=3).astype("float64")
    assert len(draws) == 7
    found = max_sensitivity(
        Quadratic(W), batch, gradient, TARGETS, radius=radius, samples=7, seed=3
    )

    def norm(values):
        return np.sqrt((values**2).sum((-3, -2, -1)))

    close(found, (norm(w * draws) / norm(w * batch.numpy())).max(0), 1e-4)
    bound = radius * norm(w) / norm(w * batch.numpy())
    # A draw is uniform: its size is that of the largest one by √3, and more so for many pixels.
    assert (found < bound).all() and (found > 0.45 * bound).all()


def test_sensitivity_moves_every_value_within_its_radius():
    draws = noises(images(2, 20, 25), Linear(weights(3, 20, 25)), samples=20)
    assert len(draws) == 20
    assert 0.0195 < np.abs(draws).max() <= 0.02 + 1e-6
    assert abs(draws.mean()) < 2e-4 and abs(draws.std() - 0.02 / np.sqrt(3)) < 2e-4
    flat = draws[:, 0].reshape(20, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(20)).max() < 0.15  # no draw is another's


def test_sensitivity_by_default_is_of_ten_draws_within_a_fiftieth():
    batch = images()
    plain = max_sensitivity(Quadratic(W), batch, gradient, TARGETS)
    named = max_sensitivity(Quadratic(W), batch, gradient, TARGETS, radius=0.02, samples=10, seed=0)
    np.testing.assert_array_equal(plain, named)
    more = max_sensitivity(Quadratic(W), batch, gradient, TARGETS, samples=50)
    other = max_sensitivity(Quadratic(W), batch, gradient, TARGETS, seed=1)
    assert (more >= plain).all() and (more > plain).any() and (other != plain).all()


def test_sensitivity_is_of_the_class_of_the_untouched_image():
    """Noise of ± 3 changes the top class on the way."""
    network, batch, asked = Quadratic(W), images(3), []

    def method(network, shown, targets):
        asked.append((np.asarray(targets).tolist(), network(shown).numpy().argmax(1).tolist()))
        return gradient(network, shown, targets)

    found = max_sensitivity(network, batch, method, radius=3)
    top = network(batch).numpy().argmax(1).tolist()
    assert all(targets == top for targets, _ in asked)
    assert any(seen != top for _, seen in asked)
    np.testing.assert_array_equal(found, max_sensitivity(network, batch, gradient, top, radius=3))


def run(method, network, batch, maps, targets=None, **options):
    """Every number that a measure returns, an image to a row."""
    if method is max_sensitivity:
        options.pop("batch_size", None)
        return method(network, batch, gradient, targets, **options)[:, None]
    if method in CURVES:
        return method(network, batch, maps, targets, **options).scores
    if method is average_drop:
        return np.stack(method(network, batch, maps, targets, **options), axis=1).astype(float)
    return method(network, batch, maps, targets, **options)[:, None]


EVERY = [*OF_MAPS, max_sensitivity]


@pytest.mark.parametrize("method", EVERY)
def test_batch_gives_what_single_images_give(method):
    network, batch = convolutional(), images(3, 14, 11)
    maps, targets = images(3, 14, 11, seed=4).numpy(), [0, 3, 1]
    together = run(method, network, batch, maps, targets)
    for i, target in enumerate(targets):
        alone = run(method, network, batch[i : i + 1], maps[i : i + 1], target)[0]
        close(together[i], alone)


@pytest.mark.parametrize("method", OF_MAPS)
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_changes_nothing(method, batch_size):
    network, batch, maps = convolutional(), images(3, 14, 11), images(3, 14, 11, seed=4).numpy()
    expected = run(method, network, batch, maps, [0, 3, 1])
    close(run(method, network, batch, maps, [0, 3, 1], batch_size=batch_size), expected)


@pytest.mark.parametrize("method", OF_MAPS)
def test_batch_size_bounds_a_pass(method):
    network, batch = Recording(W), images(5)
    run(method, network, batch, images(5, seed=4).numpy(), 0, batch_size=6, score="probability")
    assert max(len(asked) for asked in network.asked) <= 6


@pytest.mark.parametrize("method", OF_MAPS)
def test_the_class_of_the_untouched_image_stays(method):
    """It is asked for by default, although what is shown instead has other top classes."""
    batch, maps, network = images(4), images(4, seed=4).numpy(), Recording(W)
    options = {} if method is average_drop else {"baseline": -batch}
    top = logits_of(batch.numpy()).argmax(1)
    expected = run(method, Linear(W), batch, maps, top.tolist(), **options)
    np.testing.assert_array_equal(run(method, network, batch, maps, **options), expected)
    assert (logits_of(-batch.numpy()).argmax(1) != top).all()
    assert any(set(logits_of(asked).argmax(1)) - set(top) for asked in network.asked[1:])
    other = run(method, Linear(W), batch, maps, ((top + 1) % 3).tolist(), **options)
    assert np.abs(other - expected).max(axis=1).min() > 1e-3


@pytest.mark.parametrize("method", EVERY)
def test_network_and_images_come_back_as_they_were(method):
    network, batch, maps = convolutional(), images(2, 14, 11), images(2, 14, 11, seed=4).numpy()
    before, pixels, heat = state_of(network), batch.numpy().tobytes(), maps.tobytes()
    run(method, network, batch, maps, 1)
    assert state_of(network) == before
    assert batch.stop_gradient and batch.grad is None and batch.numpy().tobytes() == pixels
    assert maps.tobytes() == heat


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("call", [1, 2, 3])
def test_network_comes_back_after_an_exception_inside_it(method, call):
    network, calls = convolutional(), []

    def explode(*_):
        calls.append(1)
        if len(calls) == call:
            raise ZeroDivisionError

    handle = network[7].register_forward_pre_hook(explode)
    before = state_of(network)
    maps = images(2, 14, 11, seed=4).numpy()
    options = {} if method is max_sensitivity else {"batch_size": 1}
    with pytest.raises(ZeroDivisionError):
        run(method, network, images(2, 14, 11), maps, 1, **options)
    assert state_of(network) == before
    handle.remove()


@pytest.mark.parametrize("method", EVERY)
def test_evaluation_mode_is_what_is_measured(method):
    network, batch, maps = convolutional(), images(2, 14, 11), images(2, 14, 11, seed=4).numpy()
    in_training = run(method, network, batch, maps, 1)
    network.eval()
    np.testing.assert_array_equal(run(method, network, batch, maps, 1), in_training)


@pytest.mark.parametrize("method", OF_MAPS)
@pytest.mark.parametrize(
    "shape", [(2, 1, 7, 5), (2, 1, 5, 6), (1, 1, 5, 7), (3, 1, 5, 7), (2, 5, 7), (5, 7), (2, 1)]
)
def test_maps_must_be_as_large_as_the_images(method, shape):
    with pytest.raises(VisualizeError, match=r"maps of \[.*do not fit images of .*2, 3, 5, 7"):
        method(Linear(W), images(), np.ones(shape), 1)


@pytest.mark.parametrize("method", OF_MAPS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_maps_must_be_numbers(method, value):
    maps = np.ones((2, 3, 5, 7))
    maps[1, 2, 4, 3] = value
    with pytest.raises(VisualizeError, match="no numbers"):
        method(Linear(W), images(), maps, 1)


@pytest.mark.parametrize("method", OF_MAPS)
@pytest.mark.parametrize("wrong", ["array", "three"])
def test_images_must_be_a_batch_of_tensors(method, wrong):
    batch = images().numpy() if wrong == "array" else images()[0]
    maps = np.ones((2, 1, 5, 7)) if wrong == "array" else np.ones((1, 1, 5, 7))
    with pytest.raises(VisualizeError):
        method(Linear(W), batch, maps, 1)


def test_sensitivity_wants_a_batch_of_tensors():
    for batch in (images().numpy(), images()[0]):
        with pytest.raises(VisualizeError, match="images must be"):
            max_sensitivity(Linear(W), batch, gradient, 1)


@pytest.mark.parametrize(
    ("method", "option"),
    [
        *[(method, {"steps": steps}) for method in CURVES for steps in (0, -1, 2.5, True, "all")],
        *[(method, {"batch_size": 0}) for method in OF_MAPS],
        *[(method, {"batch_size": 1.5}) for method in OF_MAPS],
        *[(method, {"score": "loss"}) for method in OF_MAPS],
        *[(method, {"baseline": "grey"}) for method in (*CURVES, infidelity)],
        *[(method, {"baseline": None}) for method in (*CURVES, infidelity)],
        *[(method, {"baseline": paddle.ones([2, 3, 7, 5])}) for method in (*CURVES, infidelity)],
        *[(method, {"baseline": paddle.ones([3, 3, 5, 7])}) for method in (*CURVES, infidelity)],
        *[(infidelity, {"samples": samples}) for samples in (0, 1.5, True)],
        *[(infidelity, {"seed": seed}) for seed in (-1, 0.5)],
    ],
    ids=lambda value: getattr(value, "__name__", None) or "-".join(map(str, value.items()))[:30],
)
def test_wrong_options_are_named(method, option):
    (name,) = option
    with pytest.raises(VisualizeError, match=name):
        method(Linear(W), images(), np.ones((2, 1, 5, 7)), 1, **option)


@pytest.mark.parametrize(
    "option",
    [
        {"samples": 0},
        {"samples": 2.0},
        {"seed": -1},
        {"radius": -0.1},
        {"radius": float("nan")},
        {"radius": float("inf")},
        {"radius": "wide"},
    ],
    ids=str,
)
def test_wrong_options_of_sensitivity_are_named(option):
    (name,) = option
    with pytest.raises(VisualizeError, match=name):
        max_sensitivity(Linear(W), images(), gradient, 1, **option)


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("target", [3, -1, [0, 1, 2], "cat"])
def test_targets_must_fit(method, target):
    with pytest.raises(VisualizeError, match=r"class|targets"):
        run(method, Linear(W), images(), np.ones((2, 1, 5, 7)), target)


@pytest.mark.parametrize("values", [[[-8, 1], [4, 2]], [[-7, 1], [4, 2]]])
def test_a_drop_wants_a_score_over_zero(values):
    """A share of −1, or of 0, says nothing."""
    network, batch = shares_of(values)
    with pytest.raises(VisualizeError, match="score=logit is not over 0"):
        average_drop(network, batch, np.ones((1, 1, 2, 2)), 0, score="logit")


def test_a_drop_of_a_logarithm_is_refused():
    with pytest.raises(VisualizeError, match="score=log_probability is not over 0"):
        average_drop(Linear(W), images(), np.ones((2, 1, 5, 7)), 1, score="log_probability")


def test_network_comes_back_after_a_refusal():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    network[1].weight.set_value(-np.ones((12, 2), dtype="float32"))
    before = state_of(network)
    with pytest.raises(VisualizeError, match="not over 0"):
        average_drop(network, paddle.ones([1, 3, 2, 2]), np.ones((1, 1, 2, 2)), score="logit")
    assert state_of(network) == before and network.training
