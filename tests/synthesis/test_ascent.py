"""The ascent: steps of Adam, frames, seeds, batches and resuming, also for dream and inversion."""

import itertools

import numpy as np
import paddle
import pytest
from convnet import convolutional
from network_state import state_of
from paddle import nn
from toys import Linear, weights

from visualize_pd import Frame, VisualizeError, class_image, noise
from visualize_pd.synthesis.ascent import ascend, ascend_together
from visualize_pd.synthesis.deep_dream import deep_dream
from visualize_pd.synthesis.inversion import inversion
from visualize_pd.synthesis.objectives import class_score
from visualize_pd.synthesis.parametrisations import Fourier, Pixels

W = weights(classes=2)
START = paddle.zeros([1, 3, 5, 7])
PLAIN = {"shift": 0, "total_variation": 0}


def adam(gradient_at, start, steps, rate):
    """Maximise by Adam (Kingma & Ba 2015, algorithm 1) in float64."""
    image, m, v = start.astype("f8"), 0.0, 0.0
    for t in range(1, steps + 1):
        g = -gradient_at(image)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        image = image - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return image


def test_frames_are_adam_steps_on_the_papers_equation():
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
    """The first step of Adam is the sign of w − tv · ∂TV. The start has no equal neighbours."""
    start = noise((1, 3, 5, 7), std=0.3)
    image = paddle.to_tensor(start.numpy(), stop_gradient=False)
    down, right = image[:, :, 1:] - image[:, :, :-1], image[:, :, :, 1:] - image[:, :, :, :-1]
    (slope,) = paddle.grad(down.abs().sum() + right.abs().sum(), image)
    tv = 0.7
    options = {"iterations": 1, "learning_rate": 0.01, "l2": 0, "total_variation": tv, "shift": 0}
    frames = list(class_image(Linear(W), 0, init=start, **options))
    moved = (frames[1].image - frames[0].image).numpy()
    np.testing.assert_allclose(moved, 0.01 * np.sign(W[:1] - tv * slope.numpy()), atol=1e-6)


def test_ascent_reaches_the_maximum_of_a_linear_score():
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


def test_seed_changes_the_random_shifts():
    first = class_image(convolutional(), 2, iterations=3, seed=0, init=noise((1, 3, 14, 11)))
    second = class_image(convolutional(), 2, iterations=3, seed=1, init=noise((1, 3, 14, 11)))
    assert [f.score for f in first] != [f.score for f in second]


def test_a_frame_is_not_changed_by_later_steps():
    frames = class_image(Linear(W), 0, iterations=3, init=START, **PLAIN)
    first = next(frames)
    values = first.image.numpy().copy()
    list(frames)
    np.testing.assert_array_equal(first.image.numpy(), values)


def test_network_is_unchanged_between_frames_and_after_them():
    network = convolutional()
    before = state_of(network)
    frames = class_image(network, 1, iterations=4, init=noise((1, 3, 14, 11)))
    for _ in itertools.islice(frames, 3):
        assert state_of(network) == before
    del frames
    assert state_of(network) == before


def test_missing_class_is_refused():
    with pytest.raises(VisualizeError, match="class 2 does not exist"):
        next(class_image(Linear(W), 2, init=START))


def test_noise_has_a_seed_and_the_requested_standard_deviation():
    values = noise((1, 3, 100, 100), std=0.2, seed=3).numpy()
    assert values.std() == pytest.approx(0.2, rel=0.02) and abs(values.mean()) < 0.01
    np.testing.assert_array_equal(values, noise((1, 3, 100, 100), std=0.2, seed=3).numpy())


def test_a_batch_of_classes_gives_what_single_classes_give():
    network, start = convolutional(), noise((1, 3, 14, 11))
    options = {"iterations": 8, "shift": 3, "init": start}
    *_, together = class_image(network, [2, 0], **options)
    for place, target in enumerate([2, 0]):
        *_, alone = class_image(network, target, **options)
        size = np.abs(alone.image.numpy()).max()
        assert np.abs(together.image.numpy()[place] - alone.image.numpy()[0]).max() < 1e-4 * size
        assert together.scores[place] == pytest.approx(alone.score, rel=1e-4, abs=1e-4)


def test_learning_rate_falls_along_a_cosine():
    """For a linear score, every step of Adam has the size of the learning rate."""
    canvas = Pixels(START)
    options = {"iterations": 4, "learning_rate": 0.1, "cooling": 0.2}
    frames = [f.image.numpy() for f in ascend(Linear(W), class_score(0), canvas, **options)]
    steps = [np.abs(after - before).mean() for before, after in zip(frames, frames[1:])]
    expected = [0.1 * (0.2 + 0.8 * (1 + np.cos(np.pi * t / 4)) / 2) for t in range(4)]
    np.testing.assert_allclose(steps, expected, rtol=1e-4)


def test_pixel_steps_change_the_image_after_each_step():
    seen = []

    def halve_the_clipped(image, gradient, iteration):
        seen.append((iteration, gradient.numpy()))
        return image.clip(-0.01, 0.01) / 2

    canvas = Pixels(START)
    options = {"iterations": 3, "learning_rate": 0.1, "pixel_steps": [halve_the_clipped]}
    *_, last = ascend(Linear(W), class_score(1), canvas, **options)
    np.testing.assert_allclose(last.image.numpy(), 0.005 * np.sign(W[1:]), atol=1e-8)
    assert [iteration for iteration, _ in seen] == [1, 2, 3]
    np.testing.assert_allclose(seen[0][1], -W[1:], rtol=1e-6)


def test_pixel_steps_get_zeros_if_the_score_does_not_depend_on_the_image():
    seen = []

    def note(image, gradient, iteration):
        seen.append(gradient.numpy())
        return image

    def constant(network, images):
        return paddle.ones([len(images)])

    *_, last = ascend(Linear(W), constant, Pixels(START), iterations=1, pixel_steps=[note])
    assert last.scores == [1.0]
    np.testing.assert_array_equal(seen, [np.zeros(START.shape)])


def test_pixel_steps_of_a_spectrum_are_refused():
    canvas = Fourier(START)
    with pytest.raises(VisualizeError, match="pixels"):
        next(ascend(Linear(W), class_score(0), canvas, pixel_steps=[lambda image, *_: image]))


def test_network_sees_the_transformed_image_and_penalties_the_image_itself():
    """The gradient of S(2I) − 1.5 I² is 2w − 3I. The first step of Adam is its sign."""
    options = {
        "transforms": [lambda image, random: image * 2],
        "penalties": [(0.0, lambda image: 1 / 0), (1.5, lambda image: (image * image).sum())],
    }
    start = noise((1, 3, 5, 7), std=1.0)
    first, second = ascend(
        Linear(W), class_score(0), Pixels(start), iterations=1, learning_rate=0.01, **options
    )
    assert first.score == pytest.approx(2 * float((W[0] * start.numpy()).sum()), rel=1e-4)
    moved = (second.image - first.image).numpy()
    np.testing.assert_allclose(moved, 0.01 * np.sign(2 * W[:1] - 3 * start.numpy()), atol=1e-5)


def test_score_rises_with_a_spectrum():
    start = noise((1, 3, 14, 11))
    options = {"iterations": 30, "learning_rate": 0.05}
    frames = list(ascend(convolutional(), class_score(2), Fourier(start), **options))
    assert frames[-1].score > frames[0].score + 1
    shares = frames[-1].image.numpy() * np.reshape([0.229, 0.224, 0.225], (3, 1, 1))
    assert shares.min() > -0.486 and shares.max() < 1 - 0.405


class Maps(nn.Layer):
    """Its feature maps are the image. Their energy has the gradient I / (number of values)."""

    def __init__(self):
        super().__init__()
        self.same = nn.Identity()

    def forward(self, batch):
        return self.same(batch).flatten(1)


def test_dream_of_one_octave_amplifies_the_image():
    photograph = noise((1, 3, 12, 16), std=1.0)
    options = {"octaves": 1, "iterations": 3, "learning_rate": 0.01, "shift": 0}
    frames = list(deep_dream(Maps(), "same", photograph, **options))
    assert [frame.iteration for frame in frames] == [0, 1, 2, 3]
    for frame in frames:
        expected = adam(lambda x: x / x.size, photograph.numpy(), frame.iteration, 0.01)
        np.testing.assert_allclose(frame.image.numpy(), expected, atol=1e-4)


def test_dream_frames_have_the_photographs_size_and_are_numbered_throughout():
    photograph = noise((1, 3, 13, 18), std=1.0)
    frames = list(deep_dream(Maps(), "same", photograph, octaves=3, iterations=4))
    assert [frame.iteration for frame in frames] == list(range(13))
    assert all(frame.image.shape == photograph.shape for frame in frames)
    np.testing.assert_allclose(frames[0].image.numpy(), photograph.numpy(), atol=1e-6)
    sizes = [float((frame.image**2).sum()) for frame in frames]
    assert sizes[-1] > sizes[0]


def test_each_octave_continues_from_what_the_last_one_added():
    photograph = noise((1, 3, 16, 16), std=1.0)
    options = {"octaves": 2, "iterations": 5, "learning_rate": 0.01, "shift": 0}
    frames = [f.image.numpy() for f in deep_dream(Maps(), "same", photograph, **options)]
    steps = [np.abs(after - before).max() for before, after in zip(frames, frames[1:])]
    assert max(steps[5:]) < 0.011  # one step of Adam; a restart would lose the 0.05 of five steps


def test_octaves_keep_the_details_of_the_photograph():
    """With steps near 0 the last frame is the photograph itself, not an enlarged small copy."""
    photograph = noise((1, 3, 16, 16), std=1.0)
    options = {"octaves": 3, "iterations": 1, "learning_rate": 1e-9}
    *_, last = deep_dream(Maps(), "same", photograph, **options)
    np.testing.assert_allclose(last.image.numpy(), photograph.numpy(), atol=1e-6)


def test_inversion_of_an_identity_layer_gives_the_image():
    photograph = noise((1, 3, 6, 5), std=1.0, seed=7)
    options = {"alpha_norm": 0, "total_variation": 0, "shift": 0, "iterations": 300}
    *_, last = inversion(Maps(), "same", photograph, learning_rate=0.05, **options)
    np.testing.assert_allclose(last.image.numpy(), photograph.numpy(), atol=2e-2)
    assert last.score == pytest.approx(0, abs=1e-3)


def test_penalties_of_an_inversion_are_those_of_the_paper():
    """The first step of Adam is the sign of −∂(distance + a ‖I‖₄⁴ + v Σ d²), d the differences."""
    photograph = noise((1, 3, 6, 5), std=1.0, seed=7)
    start = noise((1, 3, 6, 5), std=1.0, seed=8)
    x, wanted = start.numpy().astype("f8"), photograph.numpy().astype("f8")
    slope = 2 * (x - wanted) / (wanted**2).sum() + 0.01 * 4 * x**3
    for axis in (2, 3):
        change = np.diff(x, axis=axis)
        pad = [(0, 0)] * 4
        pad[axis] = (1, 1)
        wide = np.pad(change, pad)
        slope += 0.02 * 2 * -np.diff(wide, axis=axis)
    frames = inversion(
        *(Maps(), "same", photograph),
        **{"alpha": 4, "alpha_norm": 0.01, "total_variation": 0.02, "shift": 0, "init": start},
        **{"iterations": 1, "learning_rate": 0.01},
    )
    first, second = frames
    moved = (second.image - first.image).numpy()
    np.testing.assert_allclose(moved, -0.01 * np.sign(slope), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"octaves": 0}, "octaves"),
        ({"octave_scale": 1}, "octave_scale"),
        ({"layer": "none"}, "no layer 'none'"),
    ],
)
def test_message_names_the_wrong_option_of_a_dream(options, message):
    layer = options.pop("layer", "same")
    with pytest.raises(VisualizeError, match=message):
        list(deep_dream(Maps(), layer, noise((1, 3, 8, 8)), **options))


def resumable():
    """Every kind of ascent, as a function of the frame to resume from."""
    network, start = convolutional(), noise((1, 3, 14, 11), std=0.5)
    photograph = noise((1, 3, 16, 16), std=1.0)
    options = {"rotation": 20, "zoom": (0.8, 1.2), "shift": 3, "cooling": 0.1, "init": start}
    return {
        "class": lambda r: class_image(network, 2, iterations=8, resume=r, **options),
        "spectrum": lambda r: class_image(
            network, [2, 0], iterations=8, parametrisation=Fourier, resume=r, **options
        ),
        "dream": lambda r: deep_dream(
            Maps(), "same", photograph, octaves=2, iterations=4, resume=r
        ),
        "inversion": lambda r: inversion(Maps(), "same", photograph, iterations=8, resume=r),
    }


@pytest.mark.parametrize("broken_off", [0, 1, 4, 5, 8])
@pytest.mark.parametrize("kind", resumable())
def test_resumed_ascent_gives_the_same_frames(kind, broken_off):
    ascent = resumable()[kind]
    frames = list(ascent(None))
    # As when read from a file: new tensors with the same numbers.
    state = {
        key: paddle.to_tensor(value.numpy()) for key, value in frames[broken_off].state.items()
    }
    resumed = list(resumable()[kind](Frame(broken_off, None, paddle.empty([0]), state)))
    assert [frame.iteration for frame in resumed] == list(range(broken_off, 9))
    for before, after in zip(frames[broken_off:], resumed):
        np.testing.assert_array_equal(before.image.numpy(), after.image.numpy())
        assert before.scores == after.scores


def test_frame_of_another_ascent_is_refused():
    *_, last = class_image(Linear(W), 1, iterations=2, init=START, **PLAIN)
    with pytest.raises(VisualizeError, match="of another ascent"):
        next(class_image(convolutional(), 1, init=noise((1, 3, 14, 11)), resume=last))


def test_ascents_together_equal_one_ascent_of_all_images():
    """Images and scores keep their order, and the frame of all resumes all of them."""
    network, start = convolutional(), noise((1, 3, 14, 11))
    options = {"iterations": 6, "init": start, "shift": 3}

    def part(targets):
        return lambda resume: class_image(network, targets, resume=resume, **options)

    parts = [part([2, 0]), part([1])]
    frames = list(ascend_together(parts))
    alone = list(class_image(network, [2, 0, 1], **options))
    assert [frame.iteration for frame in frames] == list(range(7))
    for found, wanted in zip(frames, alone):
        close = {"atol": 1e-4 * float(wanted.image.abs().max())}
        np.testing.assert_allclose(found.image.numpy(), wanted.image.numpy(), rtol=0, **close)
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-4, atol=1e-4)
    *_, resumed = ascend_together(parts, frames[3])
    np.testing.assert_array_equal(resumed.image.numpy(), frames[6].image.numpy())
