"""`clamp` keeps every image within the colours of a screen, by the network's own statistics."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from toys import Linear, weights

from visualize_pd import class_image, deep_dream, inversion
from visualize_pd.app.commands.scripts import generate_command
from visualize_pd.app.generate import layer_images
from visualize_pd.synthesis.priors.pixel_steps import clamp

MEAN, STD = [0.1, 0.5, 0.9], [0.5, 0.25, 0.1]


def test_it_is_the_range_of_a_screen():
    values = paddle.to_tensor(np.linspace(-20, 20, 3 * 40, dtype="float32").reshape(1, 3, 5, 8))
    found = clamp(values, MEAN, STD).numpy()
    mean, std = np.reshape(MEAN, (3, 1, 1)), np.reshape(STD, (3, 1, 1))
    expected = (np.clip(values.numpy() * std + mean, 0, 1) - mean) / std
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("make", [
    lambda network, start: class_image(
        network, 1, init=start, clamp=True, mean=MEAN, std=STD, iterations=4, learning_rate=9),
    lambda network, start: deep_dream(
        network, "0", start, clamp=True, mean=MEAN, std=STD, iterations=4, octaves=1,
        learning_rate=9),
    lambda network, start: inversion(
        network, "0", start, clamp=True, mean=MEAN, std=STD, iterations=4, learning_rate=9),
], ids=["class_image", "deep_dream", "inversion"])  # fmt: skip
def test_ascents_end_within_it_and_at_its_ends(make):
    paddle.seed(0)
    inner = paddle.nn.Conv2D(3, 3, 1)
    network = paddle.nn.Sequential(inner, Linear(weights(2, 6, 6)))
    *_, last = make(network, paddle.randn([1, 3, 6, 6]) * 0.1)
    shares = last.image.numpy() * np.reshape(STD, (3, 1, 1)) + np.reshape(MEAN, (3, 1, 1))
    assert shares.min() == pytest.approx(0, abs=1e-6) and shares.max() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("recipe", "function"), [
    ("deep_dream", "deep_dream"), ("inversion", "inversion"),
])  # fmt: skip
def test_scripts_hand_on_the_networks_statistics(recipe, function, monkeypatch, photograph):
    given = {}

    def noted(*_, **options):
        given.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(layer_images, function, noted)
    keys = (
        f"init={photograph('a.png')}",
        "layer='0'",
        "model={name: tiny:small_net, image_size: 32, mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4]}",
        f"output={photograph('b.png').parent}",
    )
    overrides = [part for key in keys for part in ("-o", key)]
    config = Path(__file__).parents[2] / f"configs/{recipe}.yaml"
    assert generate_command(config, overrides) == 130
    assert given["mean"] == (0.4, 0.5, 0.6) and given["std"] == (0.2, 0.3, 0.4)
