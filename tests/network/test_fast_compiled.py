"""A compiled copy of a network gives the same scores, and is used only where it helps."""

import gc
import os
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddle import nn

from visualize_pd import load_model, occlusion, rise, score_cam
from visualize_pd.network.fast.whole import forward as compiled
from visualize_pd.network.fast.whole import program
from visualize_pd.network.hooks import capture_outputs
from visualize_pd.network.scores import score_function


@pytest.fixture(autouse=True)
def compile_after_first_pass(monkeypatch):
    """Compile after the first pass, even if it was short, and use the copy even if it is slow."""
    monkeypatch.setattr(compiled, "COMPILE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(compiled, "WORTH_IT", 1e9)


@pytest.fixture
def compiled_shapes(monkeypatch):
    """The shapes `[N, C, H, W]` for which a copy was compiled."""
    shapes, compile_ = [], compiled._compile

    def recorded(network, shape, on_cpu):
        shapes.append(list(shape))
        return compile_(network, shape, on_cpu)

    monkeypatch.setattr(compiled, "_compile", recorded)
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


def copy_of(network):
    """The function that runs the only compiled copy of a network, or None."""
    (copies,) = compiled._COPIES[network].values()
    (run,) = copies.runs.values()
    return run


def relative(found, expected):
    """The largest difference, as a share of the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def plain_forward(network, images):
    network.eval()
    with paddle.no_grad():
        return network(images)


def images_of(count, size=24, seed=0):
    paddle.seed(seed)
    return paddle.randn([count, 3, size, size])


def test_compiled_copy_gives_the_scores_of_the_network(compiled_shapes):
    network = small()
    with score_function(network) as score_of:
        for seed in range(3):
            images = images_of(2 + seed, seed=seed)  # also batches of other sizes
            scores, chosen = score_of(images)
            expected = plain_forward(network, images)
            assert chosen.tolist() == expected.argmax(axis=1).tolist()
            assert relative(scores, expected.max(axis=1)) <= 1e-5
    assert compiled_shapes == [[2, 3, 24, 24]] and copy_of(network) is not None


@pytest.mark.parametrize(
    ("method", "options"),
    [(score_cam, {}), (occlusion, {"size": 8, "stride": 4}), (rise, {"masks": 40})],
)
def test_maps_with_and_without_the_copy_are_equal(method, options, compiled_shapes, monkeypatch):
    network, images = small(), images_of(2)
    with_copy = method(network, images, 1, batch_size=8, **options)
    assert len(compiled_shapes) == 1 and copy_of(network)
    monkeypatch.setattr(compiled, "_can_be_fast", lambda network, images: False)
    assert relative(with_copy, method(network, images, 1, batch_size=8, **options)) <= 2e-5


@pytest.mark.parametrize("act", [nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Silu])
def test_activations_become_parts_of_convolutions(act):
    network, images = small(), images_of(2)
    network[2], network[4] = act(), act()
    with score_function(network) as score_of:
        for _ in range(2):
            scores, _ = score_of(images, 0)
    assert copy_of(network)
    assert relative(scores, plain_forward(network, images)[:, 0]) <= 1e-5


def test_network_is_compiled_once_for_each_image_size(compiled_shapes):
    network, images = small(), images_of(1)
    for _ in range(3):
        occlusion(network, images, size=8, stride=8)
    occlusion(network, images_of(1, size=16), size=8, stride=8)
    assert compiled_shapes == [[1, 3, 24, 24], [1, 3, 16, 16]]


@pytest.mark.parametrize("change", ["weights", "statistics", "forward"])
def test_copy_with_old_weights_is_not_used(change):
    network, images = small(), images_of(1)
    occlusion(network, images, size=8, stride=8)
    assert copy_of(network)
    if change == "weights":
        network[0].weight.set_value(network[0].weight * 1.01)
    elif change == "forward":
        network[2].forward = lambda x: 2 * x
    else:
        network[1]._mean.set_value(network[1]._mean + 0.1)
    with score_function(network) as score_of:
        scores, _ = score_of(images, 2)
    assert relative(scores, plain_forward(network, images)[:, 2]) <= 1e-6


def test_old_weights_are_seen_once_in_a_block_without_a_pass(monkeypatch):
    network, asked, passes = small(), [], []
    is_of, forward = program.Program.is_of, type(network).forward
    monkeypatch.setattr(program.Program, "is_of", lambda *given: asked.append(1) or is_of(*given))
    with score_function(network) as score_of:
        score_of(images_of(2), 0)
    monkeypatch.setattr(
        type(network), "forward", lambda *given: passes.append(1) or forward(*given)
    )
    with score_function(network) as score_of:
        for _ in range(5):
            score_of(images_of(1), 0)
    assert len(asked) == 1 and not passes


SIGN = [1.0]


class Signed(nn.Layer):
    """Its output depends on something that is no attribute of a layer."""

    def forward(self, logits):
        return logits * SIGN[0]


def test_a_change_outside_the_network_is_seen_after_some_images(monkeypatch):
    network, images = nn.Sequential(small(), Signed()), images_of(2)
    scores = []
    try:
        for sign in (1.0, 1.0, *[-1.0] * (compiled.MANY // 2)):
            SIGN[0] = sign
            with score_function(network) as score_of:
                scores.append(float(score_of(images, 0)[0].sum()))
    finally:
        SIGN[0] = 1.0
    assert scores[0] * scores[2] > 0  # one block of two images does not see it
    assert scores[-1] == pytest.approx(-scores[0], rel=1e-5)


class Branching(nn.Layer):
    """An `if` on the values of the images, which a compiled program cannot contain."""

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
    """Several outputs with the logits first, as in GoogLeNet."""

    def forward(self, images):
        logits = self.inner(images)
        return [logits, logits * 2]


class OneNumber(Branching):
    """One number for each image."""

    def forward(self, images):
        return self.inner(images)[:, 0]


@pytest.mark.parametrize("network", [Branching(), Random()], ids=["branching", "random"])
def test_network_that_cannot_be_compiled_runs_as_it_is(network, compiled_shapes):
    with score_function(network) as score_of:
        for images in (images_of(2) - 5, images_of(2) + 5, images_of(2) + 5):
            scores, _ = score_of(images, 0)
            sign = -1 if isinstance(network, Branching) and float(images.mean()) > 0 else 1
            if not isinstance(network, Random):
                assert relative(scores, sign * plain_forward(network.inner, images)[:, 0]) <= 1e-6
    assert len(compiled_shapes) == 1 and copy_of(network) is None  # it was tried only once


@pytest.mark.parametrize("kind", [Auxiliary, OneNumber])
def test_copy_returns_only_the_logits(kind):
    network, images = kind(), images_of(3)
    with score_function(network) as score_of:
        for _ in range(2):
            scores, _ = score_of(images, 0)
            assert relative(scores, plain_forward(network.inner, images)[:, 0]) <= 1e-5
    assert copy_of(network)


def test_copy_that_is_not_faster_is_not_used(monkeypatch):
    monkeypatch.setattr(compiled, "WORTH_IT", 0.0)
    network = small()
    occlusion(network, images_of(1), size=8, stride=8)
    assert copy_of(network) is None


def test_copy_with_other_logits_is_not_used(monkeypatch):
    compile_ = compiled._compile

    def slightly_wrong(network, shape, on_cpu):
        any_count, copy = compile_(network, shape, on_cpu)
        return any_count, copy._replace(run=lambda images: copy.run(images) * (1 + 3e-5))

    monkeypatch.setattr(compiled, "_compile", slightly_wrong)
    network = small()
    occlusion(network, images_of(1), size=8, stride=8)
    assert copy_of(network) is None


def test_short_run_compiles_nothing(monkeypatch, compiled_shapes):
    monkeypatch.setattr(compiled, "COMPILE_AFTER_SECONDS", 2.0)
    rise(small(), images_of(1), masks=20)
    assert compiled_shapes == []


def test_network_is_compiled_once_plain_passes_took_long_enough(monkeypatch, compiled_shapes):
    """Four passes of 0.1 s are longer than 0.35 s. The clock goes on in the network alone."""
    clock = [0.0]

    class Slow(Branching):
        def forward(self, images):
            clock[0] += 0.1
            return self.inner(images)

    monkeypatch.setattr(compiled, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(compiled, "COMPILE_AFTER_SECONDS", 0.35)
    network = Slow()
    for call in range(1, 6):
        with score_function(network) as score_of:
            score_of(images_of(1))
        assert len(compiled_shapes) == (call > 3)


def test_hooks_see_every_pass(compiled_shapes):
    """A compiled copy has no hooks, so it is not used while a layer has one."""
    network, images = small(), images_of(1)
    occlusion(network, images, size=8, stride=8)
    with score_function(network) as score_of, capture_outputs(network[0]) as calls:
        for _ in range(3):
            score_of(images)
    assert len(calls) == 3


def test_float64_is_not_compiled(compiled_shapes):
    network = small()
    network.to(dtype="float64")
    scores = occlusion(network, images_of(1).astype("float64"), size=8, stride=8)
    assert scores.dtype == paddle.float64 and compiled_shapes == []


def test_network_is_not_changed():
    network = small()
    network.train()
    before = [dict(vars(layer)) for layer in network.sublayers(include_self=True)]
    parameters = [(p.name, p.stop_gradient) for p in network.parameters()]
    occlusion(network, images_of(1), size=8, stride=8)
    assert copy_of(network)
    after = [vars(layer) for layer in network.sublayers(include_self=True)]
    for one, other in zip(before, after):
        assert one.keys() == other.keys()
        assert one["training"] and other["training"]
    assert parameters == [(p.name, p.stop_gradient) for p in network.parameters()]


def test_copy_is_deleted_with_its_network():
    gc.collect()
    count = len(compiled._COPIES)
    network = small()
    occlusion(network, images_of(1), size=8, stride=8)
    assert len(compiled._COPIES) == count + 1
    del network
    gc.collect()
    assert len(compiled._COPIES) == count


def test_compiling_prints_nothing_and_leaves_stderr_open(capfd):
    network = small()
    occlusion(network, images_of(1), size=8, stride=8)
    assert copy_of(network)
    assert capfd.readouterr().err == ""
    os.write(2, b"still there")
    assert "still there" in capfd.readouterr().err


@pytest.mark.parametrize("kind", [Auxiliary, OneNumber, Branching])
def test_copy_for_a_gpu_gives_the_scores_of_the_network(kind, monkeypatch):
    """`paddle.jit` runs it here on the CPU. A network that cannot be traced runs as it is."""
    compile_ = compiled._compile
    monkeypatch.setattr(compiled, "_compile", lambda network, shape, _: compile_(network, shape, 0))
    network = kind()
    with score_function(network) as score_of:
        for count in (3, 3, 2):
            images = images_of(count) - 5  # their mean is negative
            scores, _ = score_of(images, 0)
            assert relative(scores, plain_forward(network.inner, images)[:, 0]) <= 1e-5
    assert (copy_of(network) is None) == (kind is Branching)


@pytest.mark.parametrize(("environment", "used"), [
    ({}, False), ({"JIT": "1"}, True), ({"JIT": "0"}, False), ({"JIT": "1", "FAST": "0"}, False),
])  # fmt: skip
def test_on_a_gpu_nothing_is_compiled_unless_asked_for(environment, used, monkeypatch):
    for name, value in {"JIT": None, "FAST": None, **environment}.items():
        monkeypatch.delenv(f"VISUALIZE_PD_{name}", raising=False)
        if value:
            monkeypatch.setenv(f"VISUALIZE_PD_{name}", value)
    place = SimpleNamespace(is_cpu_place=lambda: False)
    images = SimpleNamespace(place=place, dtype=paddle.float32)
    assert compiled._can_be_fast(small(), images) is used


def test_scores_of_the_packaged_network_differ_by_at_most_1e_5():
    classifier = load_model("efficientnet_lite0")
    images = images_of(2, size=224)
    with score_function(classifier.network) as score_of:
        score_of(images, 130)
        scores, _ = score_of(images, 130)
    assert copy_of(classifier.network)
    expected = plain_forward(classifier.network, images).numpy()
    found = scores.numpy()
    assert np.abs(found - expected[:, 130]).max() <= 1e-5 * np.abs(expected).max()
