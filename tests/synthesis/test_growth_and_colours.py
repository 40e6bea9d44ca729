"""Images that grow, colours and noise that change in each step, and zooms that change slowly."""

from dataclasses import replace

import numpy as np
import paddle
import pytest

from visualize_pd import ascend
from visualize_pd.core.errors import ConfigError
from visualize_pd.models.classifier import Classifier
from visualize_pd.synthesis.builder import build_ascent, configured_parametrisation
from visualize_pd.synthesis.parametrisations import Fourier, Pixels
from visualize_pd.synthesis.parametrisations.colours import COLOURS
from visualize_pd.synthesis.priors import transforms, views
from visualize_pd.synthesis.priors.penalties import (
    colour_variation,
    for_whole_size,
    l2_norm,
    total_variation,
)
from visualize_pd.synthesis.priors.settings import Views
from visualize_pd.synthesis.settings import AscentSettings, Growth, Priors, Steps


def waves(height, width, down=2, right=3):
    """Colours of a low frequency, sampled at `height × width` points of the same picture."""
    y, x = np.mgrid[:height, :width]
    plane = 0.5 + 0.2 * np.cos(2 * np.pi * (down * y / height + right * x / width))
    return paddle.to_tensor(np.stack([plane, 1 - plane, plane])[None].astype("float32"))


UNIT = {"mean": (0, 0, 0), "std": (1, 1, 1)}


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (63, 50)])
def test_a_small_image_shows_the_same_picture(size):
    whole = Fourier(waves(*size), growth=Growth([32], 0.5), **UNIT)
    small = whole.image(0.0)
    shape = [round(side * 32 / max(size)) for side in size]
    assert small.shape == [1, 3, *shape]
    np.testing.assert_allclose(small.numpy(), waves(*shape).numpy(), atol=2e-3)
    np.testing.assert_allclose(whole.image().numpy(), waves(*size).numpy(), atol=1e-5)


def test_an_image_has_its_whole_size_from_a_share_on():
    growing = Fourier(waves(224, 224), growth=Growth([96], 0.4))
    assert [growing.image(done).shape[2] for done in (0, 0.39, 0.4, 1)] == [96, 96, 224, 224]
    assert Fourier(waves(64, 64)).image(0.0).shape[2] == 64
    assert Fourier(waves(64, 64), growth=Growth([300], 0.2)).image(0.0).shape[2] == 64


def test_several_sizes_follow_one_another():
    growing = Pixels(waves(64, 48), Growth([16, 32, 48], 0.75))
    shapes = [growing.image(done).shape[2:] for done in (0, 0.24, 0.25, 0.5, 0.74, 0.75)]
    assert shapes == [[16, 12], [16, 12], [32, 24], [48, 36], [48, 36], [64, 48]]


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
                parametrisation=lambda start: Fourier(start, growth=Growth([32], 0.5), **UNIT),
                resume=resume,
            )
        )

    whole = frames()
    assert seen == [32, 32, 32, 32, 96, 96, 96, 96, 96]
    assert all(frame.image.shape == [1, 3, 96, 96] for frame in whole)
    for begin in (whole[2], whole[5]):
        again = frames(begin)
        for one, other in zip(again, whole[begin.iteration :]):
            assert one.scores == other.scores
            assert (one.image == other.image).all()


def test_contrast_by_hand():
    """In decorrelated colours, each channel moves away from its mean over the image."""
    start = paddle.to_tensor(np.random.default_rng(0).uniform(0.2, 0.8, (2, 3, 3, 4)), "float32")
    canvas = Fourier(start, growth=Growth(contrast=3, colours=5, raised=[0.2, 0.6]), **UNIT)

    def logits(shares):
        return np.einsum("dc,nchw->ndhw", np.linalg.inv(COLOURS), np.log(shares / (1 - shares)))

    plain = logits(start.numpy().astype("float64"))
    means = plain.mean(axis=(2, 3), keepdims=True)
    for done, brightness, colours in [(0.2, 1, 1), (0.3, 1.5, 2), (0.6, 3, 5), (1, 3, 5)]:
        factors = np.reshape([brightness, colours, colours], (1, 3, 1, 1))
        expected = means + factors * (plain - means)
        found, before = (image.numpy().astype("float64") for image in canvas.images(done))
        np.testing.assert_allclose(logits(found), expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(before, start.numpy(), atol=1e-6)


def test_penalties_count_before_the_contrast_is_raised_and_frames_show_it():
    """Neither the score nor the penalty moves the variable, so only the contrast changes."""
    penalised = []

    def penalty(images):
        penalised.append(images.numpy())
        return (images * 0).sum()

    growth = Growth([32], 0.5, contrast=2, colours=2, raised=[0, 1])
    frames = list(
        ascend(
            paddle.nn.Identity(),
            lambda network, images: (images * 0).sum(axis=[1, 2, 3]),
            canvas := Fourier(waves(64, 64), growth=growth, **UNIT),
            penalties=[(1.0, penalty)],
            iterations=4,
        )
    )
    for frame, seen in zip(frames, penalised):
        done = frame.iteration / 4
        np.testing.assert_allclose(seen, waves(*seen.shape[2:]).numpy(), atol=2e-3)
        np.testing.assert_allclose(frame.image.numpy(), canvas.whole(done).numpy(), atol=1e-6)
    stds = [float(frame.image.std()) for frame in frames]
    assert all(two > 1.1 * one for one, two in zip(stds, stds[1:]))


@pytest.mark.parametrize(
    ("growth", "message"),
    [
        (Growth(contrast=2), "growth.contrast and growth.colours"),
        (Growth(colours=2), "use parametrisation=pyramid"),
        (Growth(raised=[0.5]), "growth.raised must be two shares"),
        (Growth(raised=[0.5, 0.2]), "the smaller first"),
    ],
)
def test_growth_that_cannot_be(growth, message):
    with pytest.raises(ConfigError, match=message):
        Pixels(waves(8, 8), growth)


@pytest.mark.parametrize(
    "changes", [{"init": "content/images/viaduct.jpg"}, {"parametrisation": "pixels"}]
)
def test_a_picture_and_pixels_keep_their_contrast(changes):
    settings = AscentSettings(growth=Growth(contrast=2), parametrisation="pyramid")
    make = configured_parametrisation(
        replace(settings, **changes),
        Classifier(paddle.nn.Identity(), "same", "same", mean=[0.0] * 3, std=[1.0] * 3),
    )
    canvas = make(waves(8, 8))
    np.testing.assert_allclose(canvas.image().numpy(), waves(8, 8).numpy(), atol=1e-4)


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
    assert views._zoom_at(priors, 0.0) == (0.5, 2.0)
    assert views._zoom_at(priors, 0.5) == pytest.approx((0.75, 1.6))
    assert views._zoom_at(priors, 1.0) == pytest.approx((1.0, 1.2))
    images = waves(8, 8)
    random = np.random.default_rng(0)
    assert views._colours(images, random, priors, 1.0) is images
    assert views._colours(images, random, priors, 0.5) is not images


def test_the_mean_of_all_views_counts():
    shares = []

    def both(images, random, done):
        shares.append(done)
        return [images, images * 3 + done]

    def objective(network, images):
        return (images * images).sum(axis=[1, 2, 3])

    pixels = Pixels(paddle.full([1, 1, 1, 2], 2.0))
    frames = list(ascend(paddle.nn.Identity(), objective, pixels, views=both, iterations=2))
    assert shares == [0, 0.5, 1]
    assert frames[0].score == pytest.approx((2 * 4 + 2 * 36) / 2)
    for frame, done in zip(frames, shares):
        values = frame.image.numpy().astype("float64")
        expected = ((values**2).sum() + ((values * 3 + done) ** 2).sum()) / 2
        assert frame.score == pytest.approx(expected, rel=1e-5)


def test_penalties_fade():
    """With S = 0 and the penalty 3 · Σ I the gradient is 3 at first and 3 · ¼ at the last step."""
    slopes = []

    def note(images, gradient, iteration):
        slopes.append(float(gradient.mean()))
        return images

    frames = ascend(
        paddle.nn.Identity(),
        lambda network, images: images.sum(axis=[1, 2, 3]) * 0,
        Pixels(paddle.zeros([1, 1, 2, 2])),
        penalties=[(3.0, lambda images: images.sum(), 0.25)],
        pixel_steps=[note],
        iterations=3,
    )
    assert len(list(frames)) == 4
    assert slopes == pytest.approx([3 * (1 - 0.75 * done) for done in (0, 1 / 3, 2 / 3)])


def test_a_part_is_seen_of_an_image_that_is_larger():
    priors = Priors(shift=0, views=Views(size=32, zoom=[2, 2]))
    random = np.random.default_rng(0)
    sizes = {
        side: [tuple(v.shape[2:]) for v in views.views(waves(side, side), random, priors, 0.5)]
        for side in (24, 32, 64)
    }
    assert sizes == {24: [(24, 24)], 32: [(32, 32)], 64: [(32, 32), (32, 32)]}
    late = Priors(shift=0, views=Views(size=32, until=0.5))
    assert len(views.views(waves(64, 64), random, late, 0.49)) == 2
    (alone,) = views.views(waves(64, 64), random, late, 0.5)
    assert alone.shape == [1, 3, 64, 64]
    whole, part = views.views(waves(64, 96, 1, 1), random, priors, 0.5)
    assert whole.shape == part.shape == [1, 3, 32, 48]
    np.testing.assert_allclose(whole.numpy(), waves_at(64, 96, 32, 48), atol=2e-3)


def test_the_last_views_have_a_size_of_their_own():
    random = np.random.default_rng(0)
    priors = Priors(shift=0, views=Views(size=16, parts=3, until=0.5, last_size=24))
    early, late = (views.views(waves(48, 48), random, priors, done) for done in (0.4, 0.5))
    assert [view.shape[2] for view in early] == [16] * 4
    assert [view.shape[2] for view in late] == [24] * 4
    assert len(views.views(waves(24, 24), random, priors, 0.5)) == 1
    none = Priors(shift=0, views=Views(size=16, parts=0))
    assert len(views.views(waves(48, 48), random, none, 0.0)) == 1


def test_a_part_of_a_large_image_may_be_as_large_as_its_own_pixels(monkeypatch):
    """An image of 96 pixels, seen at 24, is enlarged by up to 4, and not only by up to 1.6."""
    asked = []
    monkeypatch.setattr(
        views, "random_view", lambda images, r, zoom, *_: asked.append(zoom) or images
    )
    for side in (30, 96):
        priors = Priors(shift=0, views=Views(size=12, last_size=24))
        views.views(waves(side, side), np.random.default_rng(0), priors, 0.0)
    assert asked == [(1, 1), (1.2, 1.6), (1, 1), (1.2, 4.0)]


def waves_at(height, width, rows, columns):
    """The picture of `waves(height, width, 1, 1)` at the centres of fewer, larger pixels."""
    y = (np.arange(rows)[:, None] + 0.5) * height / rows - 0.5
    x = (np.arange(columns)[None] + 0.5) * width / columns - 0.5
    plane = 0.5 + 0.2 * np.cos(2 * np.pi * (y / height + x / width))
    return np.stack([plane, 1 - plane, plane])[None]


def test_a_part_leaves_the_centre_but_not_the_image():
    """The ramp x / width tells where a part was taken."""
    ramp = np.tile((np.arange(64) + 0.5) / 64, (1, 1, 64, 1)).astype("float32")
    middles = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        part = transforms.random_view(paddle.to_tensor(ramp), 0, (2, 2), random, 16, 0.5).numpy()
        assert 0 < part.min() < part.max() < 1
        middles.append(part.mean())
    assert 0.25 <= min(middles) < 0.4 and 0.6 < max(middles) <= 0.75


def test_colour_variation_sees_colours_alone():
    grey = np.random.default_rng(0).normal(0, 1, (2, 1, 5, 6)).repeat(3, axis=1)
    values = np.random.default_rng(1).normal(0, 1, (2, 3, 5, 6))
    assert float(colour_variation(paddle.to_tensor(grey.astype("float32")))) < 1e-4
    red, green, blue = values[:, 0], values[:, 1], values[:, 2]
    expected = sum(
        np.abs(np.diff(colour, axis=axis)).sum()
        for colour in ((red - green) / 2, (red + green - 2 * blue) / 4)
        for axis in (1, 2)
    )
    found = colour_variation(paddle.to_tensor(values.astype("float32")))
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert float(colour_variation(paddle.ones([1, 1, 4, 4]))) == 0


def test_colours_change_more_slowly_at_high_frequencies():
    plain, slow = (Fourier(waves(64, 64), colour_decay=decay, **UNIT) for decay in (0, 0.5))
    ratio = slow.scale.numpy()[..., 0] / plain.scale.numpy()[..., 0]
    waves_per_image = np.hypot(np.fft.fftfreq(64, 1 / 64)[:, None], np.fft.rfftfreq(64, 1 / 64))
    expected = np.maximum(waves_per_image / 8, 1) ** -0.5
    np.testing.assert_allclose(ratio, np.stack([np.ones_like(expected), expected, expected]), 1e-5)
    np.testing.assert_allclose(slow.image().numpy(), plain.image().numpy(), atol=1e-5)


def test_a_last_zoom_of_the_wrong_form_is_refused():
    with pytest.raises(ConfigError, match="zoom must be two factors"):
        build_ascent(paddle.nn.Identity(), None, waves(8, 8), Steps(), Priors(last_zoom=[1.2, 1.0]))
