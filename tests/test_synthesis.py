import itertools

import numpy as np
import paddle
import pytest
from test_contracts import convolutional, state_of
from toys import Linear, weights

from visualize_pd import VisualizeError, class_image, noise

W = weights(classes=2)
START = paddle.zeros([1, 3, 5, 7])
PLAIN = {"shift": 0, "total_variation": 0}


def adam(gradient_at, start, steps, rate):
    """Adam (Kingma & Ba 2015, algorithm 1) upwards, in float64."""
    image, m, v = start.astype("f8"), 0.0, 0.0
    for t in range(1, steps + 1):
        g = -gradient_at(image)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        image = image - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return image


def test_steps_are_adams_on_the_papers_equation():
    rate, l2 = 0.05, 0.1
    start = noise((1, 3, 5, 7), std=0.3)
    frames = list(
        class_image(Linear(W), 1, iterations=5, learning_rate=rate, l2=l2, init=start, **PLAIN)
    )
    assert [frame.iteration for frame in frames] == [0, 1, 2, 3, 4, 5]
    for frame in frames:
        expected = adam(lambda x: W[1:] - 2 * l2 * x, start.numpy(), frame.iteration, rate)
        np.testing.assert_allclose(frame.image.numpy(), expected, atol=2e-6)
        assert frame.score == pytest.approx(float((W[1] * expected).sum()), rel=1e-4, abs=1e-4)


def test_total_variation_is_subtracted_from_the_score():
    """One step: the sign of w − tv · ∂TV, for a start without equal neighbours."""
    start = noise((1, 3, 5, 7), std=0.3)
    image = paddle.to_tensor(start.numpy(), stop_gradient=False)
    down, right = image[:, :, 1:] - image[:, :, :-1], image[:, :, :, 1:] - image[:, :, :, :-1]
    (slope,) = paddle.grad(down.abs().sum() + right.abs().sum(), image)
    tv = 0.7
    options = {"iterations": 1, "learning_rate": 0.01, "l2": 0, "total_variation": tv, "shift": 0}
    frames = list(class_image(Linear(W), 0, init=start, **options))
    moved = (frames[1].image - frames[0].image).numpy()
    np.testing.assert_allclose(moved, 0.01 * np.sign(W[:1] - tv * slope.numpy()), atol=1e-6)


def test_maximiser_of_a_linear_score_is_reached():
    """S − λ‖I‖² with S = w·I is largest at w / 2λ."""
    frames = class_image(
        Linear(W), 0, iterations=800, learning_rate=0.02, l2=0.25, init=START, **PLAIN
    )
    *_, last = frames
    np.testing.assert_allclose(last.image.numpy()[0], W[0] / 0.5, atol=1e-3)


def test_score_rises_on_a_network():
    start = noise((1, 3, 14, 11))
    options = {"iterations": 30, "total_variation": 1e-3, "init": start}
    frames = list(class_image(convolutional(), 2, **options))
    assert frames[-1].score > frames[0].score + 1


def run(seed, **options):
    start = noise((1, 3, 14, 11), seed=seed)
    frames = class_image(convolutional(), 2, iterations=6, seed=seed, init=start, **options)
    return [frame.image.numpy().tobytes() for frame in frames]


def test_same_seed_same_frames():
    assert run(4) == run(4)
    assert run(4) != run(5)


def test_seed_moves_the_shifts_too():
    first = class_image(convolutional(), 2, iterations=3, seed=0, init=noise((1, 3, 14, 11)))
    second = class_image(convolutional(), 2, iterations=3, seed=1, init=noise((1, 3, 14, 11)))
    assert [f.score for f in first] != [f.score for f in second]


def test_frames_do_not_change_after_they_were_given():
    frames = class_image(Linear(W), 0, iterations=3, init=START, **PLAIN)
    first = next(frames)
    values = first.image.numpy().copy()
    list(frames)
    np.testing.assert_array_equal(first.image.numpy(), values)


def test_network_is_as_it_was_between_frames_and_after_them():
    network = convolutional()
    before = state_of(network)
    frames = class_image(network, 1, iterations=4, init=noise((1, 3, 14, 11)))
    for _ in itertools.islice(frames, 3):
        assert state_of(network) == before
    del frames
    assert state_of(network) == before


def test_class_that_is_not_there():
    with pytest.raises(VisualizeError, match="class 2 does not exist"):
        next(class_image(Linear(W), 2, init=START))


def test_noise_is_seeded_and_as_strong_as_asked():
    values = noise((1, 3, 100, 100), std=0.2, seed=3).numpy()
    assert values.std() == pytest.approx(0.2, rel=0.02) and abs(values.mean()) < 0.01
    np.testing.assert_array_equal(values, noise((1, 3, 100, 100), std=0.2, seed=3).numpy())
