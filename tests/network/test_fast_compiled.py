"""The compiled copy: what it may be used for, and that nobody can tell but by the clock."""

import gc
import os
import time

import numpy as np
import paddle
import pytest
from paddle import nn

from visualize_pd import load_model, occlusion, rise, score_cam
from visualize_pd.network.fast import compiled as engine
from visualize_pd.network.hooks import capture_outputs
from visualize_pd.network.scores import score_function


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Compile after the first pass, however short it was, and whatever it gains."""
    monkeypatch.setattr(engine, "COMPILE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(engine, "WORTH_IT", 1e9)


@pytest.fixture
def compilations(monkeypatch):
    """The shapes that were compiled."""
    shapes, compile_ = [], engine._compile

    def noted(network, shape):
        shapes.append(list(shape))
        return compile_(network, shape)

    monkeypatch.setattr(engine, "_compile", noted)
    return shapes


def small(classes=4):
    paddle.seed(1)
    return nn.Sequential(
        nn.Conv2D(3, 6, 3, padding=1, stride=2),
        nn.BatchNorm2D(6),
        nn.ReLU6(),
        nn.Conv2D(6, 6, 5, padding=2, groups=6),
        nn.ReLU(),
        nn.MaxPool2D(2),
        nn.AdaptiveAvgPool2D(1),
        nn.Flatten(),
        nn.Linear(6, classes),
    )


def engine_of(network):
    (copy,) = engine._COPIES[network].values()
    return copy.run


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def plain(network, images):
    network.eval()
    with paddle.no_grad():
        return network(images)


def images_of(count, size=24, seed=0):
    paddle.seed(seed)
    return paddle.randn([count, 3, size, size])


def test_the_compiled_copy_gives_the_networks_scores(compilations):
    network = small()
    with score_function(network) as score_of:
        for seed in range(3):
            images = images_of(2 + seed, seed=seed)  # also batches of other sizes
            scores, chosen = score_of(images)
            expected = plain(network, images)
            assert chosen.tolist() == expected.argmax(axis=1).tolist()
            assert relative(scores, expected.max(axis=1)) <= 1e-5
    assert compilations == [[3, 24, 24]] and engine_of(network) is not None


@pytest.mark.parametrize(
    ("method", "options"),
    [(score_cam, {}), (occlusion, {"size": 8, "stride": 4}), (rise, {"masks": 40})],
)
def test_maps_are_those_of_the_plain_network(method, options, compilations, monkeypatch):
    network, images = small(), images_of(2)
    with_engine = method(network, images, 1, batch_size=8, **options)
    assert len(compilations) == 1 and engine_of(network)
    monkeypatch.setattr(engine, "_can_be_fast", lambda network, images: False)
    assert relative(with_engine, method(network, images, 1, batch_size=8, **options)) <= 2e-5


def test_it_is_compiled_once_for_all_calls(compilations):
    network, images = small(), images_of(1)
    for _ in range(3):
        occlusion(network, images, size=8, stride=8)
    occlusion(network, images_of(1, size=16), size=8, stride=8)
    assert compilations == [[3, 24, 24], [3, 16, 16]]


@pytest.mark.parametrize("change", ["weights", "statistics"])
def test_a_network_that_was_changed_is_not_confused_with_its_copy(change):
    network, images = small(), images_of(1)
    occlusion(network, images, size=8, stride=8)
    assert engine_of(network)
    if change == "weights":
        network[0].weight.set_value(network[0].weight * 1.01)
    else:
        network[1]._mean.set_value(network[1]._mean + 0.1)
    with score_function(network) as score_of:
        scores, _ = score_of(images, 2)
    assert relative(scores, plain(network, images)[:, 2]) <= 1e-6


class Branching(nn.Layer):
    """What it does depends on the numbers it sees: this cannot be recorded."""

    def __init__(self):
        super().__init__()
        self.inner = small()

    def forward(self, images):
        logits = self.inner(images)
        return -logits if float(images.mean()) > 0 else logits


class Random(Branching):
    def forward(self, images):
        return self.inner(images) + paddle.rand([1])


class Auxiliary(Branching):
    """Several outputs, the logits first, as GoogLeNet's."""

    def forward(self, images):
        logits = self.inner(images)
        return [logits, logits * 2]


class Single(Branching):
    """One number for each image."""

    def forward(self, images):
        return self.inner(images)[:, 0]


@pytest.mark.parametrize("network", [Branching(), Random()], ids=["branching", "random"])
def test_a_network_that_cannot_be_compiled_runs_as_it_is(network, compilations):
    with score_function(network) as score_of:
        for images in (images_of(2) - 5, images_of(2) + 5, images_of(2) + 5):
            scores, _ = score_of(images, 0)
            sign = -1 if isinstance(network, Branching) and float(images.mean()) > 0 else 1
            if not isinstance(network, Random):
                assert relative(scores, sign * plain(network.inner, images)[:, 0]) <= 1e-6
    assert len(compilations) == 1 and engine_of(network) is None  # it was tried once


@pytest.mark.parametrize("kind", [Auxiliary, Single])
def test_the_copy_returns_the_logits_alone(kind):
    network, images = kind(), images_of(3)
    with score_function(network) as score_of:
        for _ in range(2):
            scores, _ = score_of(images, 0)
            assert relative(scores, plain(network.inner, images)[:, 0]) <= 1e-5
    assert engine_of(network)


def test_one_that_is_no_faster_is_not_used(monkeypatch):
    monkeypatch.setattr(engine, "WORTH_IT", 0.0)
    network = small()
    occlusion(network, images_of(1), size=8, stride=8)
    assert engine_of(network) is None


def test_one_that_gives_other_logits_is_not_used(monkeypatch):
    compile_ = engine._compile

    def off_by_a_little(network, shape):
        run = compile_(network, shape)
        return lambda images: run(images) * (1 + 3e-5)

    monkeypatch.setattr(engine, "_compile", off_by_a_little)
    network = small()
    occlusion(network, images_of(1), size=8, stride=8)
    assert engine_of(network) is None


def test_short_runs_compile_nothing(monkeypatch, compilations):
    monkeypatch.setattr(engine, "COMPILE_AFTER_SECONDS", 2.0)
    rise(small(), images_of(1), masks=20)
    assert compilations == []


def test_the_price_is_paid_once_as_much_was_spent(monkeypatch, compilations):
    class Slow(Branching):
        def forward(self, images):
            time.sleep(0.1)
            return self.inner(images)

    monkeypatch.setattr(engine, "COMPILE_AFTER_SECONDS", 0.35)
    network = Slow()
    for call in range(1, 6):
        with score_function(network) as score_of:
            score_of(images_of(1))
        assert len(compilations) == (call > 3)


def test_hooks_see_every_pass(compilations):
    """The engine would pass them by."""
    network, images = small(), images_of(1)
    occlusion(network, images, size=8, stride=8)
    with score_function(network) as score_of, capture_outputs(network[0]) as calls:
        for _ in range(3):
            score_of(images)
    assert len(calls) == 3


def test_other_numbers_than_single_precision_are_left_alone(compilations):
    network = small()
    network.to(dtype="float64")
    scores = occlusion(network, images_of(1).astype("float64"), size=8, stride=8)
    assert scores.dtype == paddle.float64 and compilations == []


def test_the_network_is_as_it_was():
    network = small()
    network.train()
    before = [dict(vars(layer)) for layer in network.sublayers(include_self=True)]
    parameters = [(p.name, p.stop_gradient) for p in network.parameters()]
    occlusion(network, images_of(1), size=8, stride=8)
    assert engine_of(network)
    after = [vars(layer) for layer in network.sublayers(include_self=True)]
    for one, other in zip(before, after):
        assert one.keys() == other.keys()
        assert one["training"] and other["training"]
    assert parameters == [(p.name, p.stop_gradient) for p in network.parameters()]


def test_nothing_is_kept_of_a_network_that_is_gone():
    gc.collect()
    count = len(engine._COPIES)
    network = small()
    occlusion(network, images_of(1), size=8, stride=8)
    assert len(engine._COPIES) == count + 1
    del network
    gc.collect()
    assert len(engine._COPIES) == count


def test_it_says_nothing_and_leaves_stderr_open(capfd):
    network = small()
    occlusion(network, images_of(1), size=8, stride=8)
    assert engine_of(network)
    assert capfd.readouterr().err == ""
    os.write(2, b"still there")
    assert "still there" in capfd.readouterr().err


def test_the_packaged_network_to_1e_5():
    classifier = load_model("efficientnet_lite0")
    images = images_of(2, size=224)
    with score_function(classifier.network) as score_of:
        score_of(images, 130)
        scores, _ = score_of(images, 130)
    assert engine_of(classifier.network)
    expected = plain(classifier.network, images).numpy()
    found = scores.numpy()
    assert np.abs(found - expected[:, 130]).max() <= 1e-5 * np.abs(expected).max()
