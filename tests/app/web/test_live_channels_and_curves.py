"""What the tabs show of channels and of maps: numbers that are known, and those of the measures."""

import re

import numpy as np
import paddle
import pytest
from cam_toys import identity_conv
from known_scores import VALUES, as_map, network_of_shares
from paddle import nn
from transformers import Vit

from visualize_pd import Classifier
from visualize_pd.app.drawing import heat
from visualize_pd.app.web.live.channels import (
    activations,
    channels_of,
    exciting_images,
    listing_of,
)
from visualize_pd.app.web.live.curves import live_curves
from visualize_pd.app.web.tabs.network import layers_html
from visualize_pd.app.web.tabs.parts.charts import Line, chart
from visualize_pd.core.errors import ConfigError
from visualize_pd.evaluate import deletion, insertion


class Colours(nn.Layer):
    """Its only convolution returns the image: channel 0 is red, 1 is green, and 2 is blue."""

    def __init__(self):
        super().__init__()
        self.conv, self.flatten = identity_conv(3), nn.Flatten()

    def forward(self, images):
        return self.flatten(self.conv(images).mean([2, 3]))


@pytest.fixture
def colours():
    return Classifier(Colours(), "colours", "colours", image_size=24)


def test_activations_are_what_the_layer_returns(colours):
    image = np.random.default_rng(0).normal(size=(1, 3, 20, 24)).astype("float32")
    seen = activations(colours, "conv", paddle.to_tensor(image), first=1, count=8)
    assert seen.channels == 3 and seen.pictures.shape == (2, 20, 24, 3)
    for place, channel in enumerate((1, 2)):
        np.testing.assert_array_equal(seen.pictures[place], heat(image[0, channel]))
        assert seen.largest[place] == pytest.approx(image[0, channel].max(), rel=1e-6)


def test_layer_without_maps_is_refused(colours):
    with pytest.raises(ConfigError, match="flatten"):
        activations(colours, "flatten", paddle.zeros([1, 3, 24, 24]))


def test_each_image_has_the_colour_that_its_channel_sees(colours):
    frames = list(exciting_images(colours, "conv", [2, 0], steps=12))
    assert len(frames) == 13 and frames[0].shape == (2, 24, 24, 3)
    before, after = (frame.astype(float).mean(axis=(1, 2)) for frame in (frames[0], frames[-1]))
    for number, channel in enumerate((2, 0)):
        gain = after[number] - before[number]
        assert gain[channel] > max(1.5 * np.delete(gain, channel).max(), 3)


def test_network_that_takes_only_its_own_size_gets_it():
    """The positions of this transformer are for 128 × 128, and not for the small images."""
    network = nn.Sequential(nn.Conv2D(3, 3, 1), Vit(patch=32, size=(128, 128)))
    classifier = Classifier(network, "vit", "vit", image_size=128)
    frame = next(exciting_images(classifier, "0", [0], steps=2))
    assert frame.shape == (1, 128, 128, 3)


def test_layers_and_their_channels():
    classifier = Classifier(Vit(width=8, patch=4), "vit", "vit", image_size=16)
    listing = listing_of(classifier)
    found = {layer.name: channels_of(layer) for layer in listing.layers}
    assert listing.classes == 5
    assert found["patch_embed"] == found["blocks.0"] == 8  # maps, and tokens
    assert found["blocks.0.mlp.0"] == 16 and found["head"] == 0


def test_table_of_layers_cannot_hold_code_of_a_page(colours):
    layers = [layer._replace(name="<script>.b", kind="<i>") for layer in listing_of(colours).layers]
    shown = layers_html(layers, 1, "en")
    assert "<script>" not in shown and "<i>" not in shown
    assert re.findall(r'aria-pressed="(\w+)"', shown) == ["false", "true"]
    assert ">3×24×24<" in shown and "padding-left:20px" in shown


def test_curves_grow_to_those_of_the_measures():
    network, image = network_of_shares(VALUES)
    classifier = Classifier(network, "shares", "shares", image_size=2)
    maps = [("good", as_map(VALUES)), ("bad", -as_map(VALUES))]
    found = list(live_curves(classifier, image, maps, 0, steps=4, score="logit"))
    last = found[-1]
    assert last.done == 1 and all(a.done < b.done for a, b in zip(found, found[1:]))
    for title, one in maps:
        for measure in (insertion, deletion):
            expected = measure(network, image, one, 0, steps=4, score="logit")
            curve = last.curves[title, measure.__name__]
            np.testing.assert_allclose(curve.scores, expected.scores, rtol=1e-6)
            np.testing.assert_array_equal(curve.shares, expected.shares)
            assert last.area(title, measure.__name__) == pytest.approx(expected.areas[0])
    assert found[0].area("bad", "deletion") is None


def test_first_pixels_are_the_most_important_ones():
    values = np.arange(64.0).reshape(8, 8)
    network, _ = network_of_shares(values)
    image = paddle.to_tensor(np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype("float32"))
    classifier = Classifier(network, "shares", "shares", image_size=8)
    *_, last = live_curves(classifier, image, [("map", as_map(values))], 0, steps=32)
    share, shown = last.firsts["map"]
    assert 0.1 < share <= 0.25
    first, whole = values >= 64 * (1 - share), classifier.to_pixels(image)[0]
    np.testing.assert_array_equal(shown[first], whole[first])
    assert (shown != whole)[~first].mean() > 0.5  # blurred


def test_chart_has_its_points_where_they_belong():
    shown = chart([Line("a<b", [0, 1, 2], [1.0, 3.0, 2.0])], "T", "x", width=4, height=(1, 3))
    (points,) = re.findall(r'polyline points="([^"]*)"', shown)
    found = np.array([pair.split(",") for pair in points.split()], dtype=float)
    lines = np.array(re.findall(r'<line x1="(\S+)" x2="(\S+)" y1="(\S+)" y2', shown), dtype=float)
    left, right, bottom, top = lines[0, 0], lines[0, 1], lines[0, 2], lines[-1, 2]
    expected = [
        (left + share * (right - left), bottom + height * (top - bottom))
        for share, height in ((0, 0), (0.25, 1), (0.5, 0.5))
    ]
    np.testing.assert_allclose(found, expected, atol=0.06)
    assert 'aria-label="T: a&lt;b 2"' in shown
