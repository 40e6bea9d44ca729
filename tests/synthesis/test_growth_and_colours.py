"""Images that grow, colours and noise that change in each step, and zooms that change slowly."""

import numpy as np
import paddle
import pytest

from visualize_pd import ascend
from visualize_pd.core.errors import ConfigError
from visualize_pd.synthesis.builder import build_ascent
from visualize_pd.synthesis.parametrisations import Fourier
from visualize_pd.synthesis.priors import transforms
from visualize_pd.synthesis.priors.penalties import for_whole_size, l2_norm, total_variation
from visualize_pd.synthesis.settings import Priors, Steps


def waves(height, width, down=2, right=3):
    """Colours of a low frequency, sampled at `height × width` points of the same picture."""
    y, x = np.mgrid[:height, :width]
    plane = 0.5 + 0.2 * np.cos(2 * np.pi * (down * y / height + right * x / width))
    return paddle.to_tensor(np.stack([plane, 1 - plane, plane])[None].astype("float32"))


UNIT = {"mean": (0, 0, 0), "std": (1, 1, 1)}


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (63, 50)])
def test_a_small_image_shows_the_same_picture(size):
    whole = Fourier(waves(*size), start_size=32, growth=0.5, **UNIT)
    small = whole.image(0.0)
    shape = [round(side * 32 / max(size)) for side in size]
    assert small.shape == [1, 3, *shape]
    np.testing.assert_allclose(small.numpy(), waves(*shape).numpy(), atol=2e-3)
    np.testing.assert_allclose(whole.image().numpy(), waves(*size).numpy(), atol=1e-5)


def test_an_image_grows_by_32_pixels_at_a_time():
    growing = Fourier(waves(224, 224), start_size=96, growth=0.4)
    sides = [growing.image(done).shape[2] for done in (0, 0.09, 0.11, 0.21, 0.31, 0.4, 1)]
    assert sides == [96, 96, 128, 160, 192, 224, 224]
    assert Fourier(waves(64, 64), start_size=0).image(0.0).shape[2] == 64
    assert Fourier(waves(64, 64), start_size=300).image(0.0).shape[2] == 64


def test_frames_of_a_growing_image_are_whole_and_can_be_resumed():
    seen = []

    def objective(network, images):
        seen.append(images.shape[2])
        return (images * images).sum(axis=[1, 2, 3])

    def frames(resume=None):
        return list(
            build_ascent(
                paddle.nn.Identity(),
                objective,
                waves(96, 96),
                Steps(iterations=8, learning_rate=0.1),
                Priors(colour_jitter=0.2, noise=0.1, last_zoom=[1, 1], zoom=[0.8, 1.2]),
                parametrisation=lambda start: Fourier(start, start_size=32, growth=0.5, **UNIT),
                resume=resume,
            )
        )

    whole = frames()
    assert seen == [32, 32, 64, 64, 96, 96, 96, 96, 96]
    assert all(frame.image.shape == [1, 3, 96, 96] for frame in whole)
    for begin in (whole[2], whole[5]):
        again = frames(begin)
        for one, other in zip(again, whole[begin.iteration :]):
            assert one.scores == other.scores
            assert (one.image == other.image).all()


@pytest.mark.parametrize(("penalty", "degree"), [(l2_norm, 2), (total_variation, 1)])
def test_penalties_count_as_for_the_whole_size(penalty, degree):
    """Large waves look the same at both sizes, and so they cost about the same."""
    small, large = waves(64, 64, 1, 1), waves(128, 128, 1, 1)
    scaled = for_whole_size(penalty, 128, degree)
    assert float(scaled(large)) == float(penalty(large))
    assert float(scaled(small)) == pytest.approx(float(penalty(large)), rel=0.03)


class Drawn:
    """Random numbers that are always the same."""

    def __init__(self, value):
        self.value = value

    def uniform(self, low, high, size=None):
        self.low, self.high = low, high
        return self.value if size is None else np.reshape(self.value, size)

    def normal(self, mean, std, size):
        return np.full(size, std * self.value)


def test_colour_jitter_by_hand():
    images = waves(4, 4)
    drawn = Drawn([0.1, 0.0, -0.1, 0.2, -0.2, 0.0])
    found = transforms.colour_jitter(images, 0.2, drawn).numpy()
    factors, offsets = np.exp([0.1, 0.0, -0.1]), [0.2, -0.2, 0.0]
    for channel in range(3):
        expected = images.numpy()[:, channel] * factors[channel] + offsets[channel]
        np.testing.assert_allclose(found[:, channel], expected, rtol=1e-6)
    assert (drawn.low, drawn.high) == (-0.2, 0.2)
    assert transforms.colour_jitter(images, 0, drawn) is images


def test_noise_by_hand():
    images = paddle.concat([waves(4, 4), waves(4, 4, 1, 0)])
    found = transforms.add_noise(images, 0.5, Drawn(3.0)).numpy()
    np.testing.assert_allclose(found, images.numpy() + 1.5, rtol=1e-6)
    assert transforms.add_noise(images, 0, Drawn(3.0)) is images


def test_schedules_end_as_they_should():
    """Jitter and noise fall to 0, and the zoom goes over to the last one."""
    priors = Priors(shift=0, zoom=[0.5, 2.0], last_zoom=[1.0, 1.2], colour_jitter=0.3, noise=0.2)
    assert transforms._zoom_at(priors, 0.0) == (0.5, 2.0)
    assert transforms._zoom_at(priors, 0.5) == pytest.approx((0.75, 1.6))
    assert transforms._zoom_at(priors, 1.0) == pytest.approx((1.0, 1.2))
    images = waves(8, 8)
    for change in transforms.TRANSFORMS[2:]:
        random = np.random.default_rng(0)
        assert change(images, random, priors, 1.0) is images
        assert change(images, random, priors, 0.5) is not images


def test_transforms_may_depend_on_the_share_of_the_steps():
    shares = []

    def at(done):
        shares.append(done)
        return [lambda images, random: images * (1 - done)]

    def objective(network, images):
        return images.sum(axis=[1, 2, 3])

    from visualize_pd.synthesis.parametrisations import Pixels

    pixels = Pixels(paddle.ones([1, 1, 2, 2]))
    frames = list(ascend(paddle.nn.Identity(), objective, pixels, transforms=at, iterations=4))
    assert shares == [0, 0.25, 0.5, 0.75, 1] and frames[0].score == 4 and frames[-1].score == 0


def test_a_last_zoom_of_the_wrong_form_is_refused():
    with pytest.raises(ConfigError, match="zoom must be two factors"):
        build_ascent(paddle.nn.Identity(), None, waves(8, 8), Steps(), Priors(last_zoom=[1.2, 1.0]))
