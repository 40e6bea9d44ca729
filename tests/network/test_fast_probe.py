"""A kind of layer takes the way that is clearly faster here. Both ways give the same numbers."""

import json
from contextlib import nullcontext
from pathlib import Path

import paddle
import pytest
from app_helpers import run_generate
from paddle import nn
from safetensors import safe_open
from toys import both_ways

from visualize_pd.app.generate import run as run_module
from visualize_pd.network.fast import choose_ways, convolution, fast_layers, probe, ways_chosen
from visualize_pd.network.fast.convolution import KINDS

# For each kind, a layer of it and the shape of its images.
LAYERS = {
    "1×1": (lambda: nn.Conv2D(16, 8, 1), [2, 16, 9, 8]),
    "small kernels on pictures": (lambda: nn.Conv2D(3, 8, 3, stride=2), [2, 3, 17, 16]),
    "large kernels on pictures": (lambda: nn.Conv2D(3, 8, 7, padding=3), [2, 3, 17, 16]),
    "gradients of pictures": (lambda: nn.Conv2D(3, 8, 5, padding=2), [2, 3, 17, 16]),
    "dense": (lambda: nn.Conv2D(16, 8, 3, padding=1), [2, 16, 9, 8]),
    "depthwise": (lambda: nn.Conv2D(16, 16, 3, groups=16), [2, 16, 9, 8]),
}


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    """Nothing was measured yet, and a clock that stands still tells no difference."""
    monkeypatch.setattr(probe, "clock", lambda: 0.0)
    monkeypatch.setattr(probe, "_CHOSEN", {})


@pytest.fixture
def measured(monkeypatch):
    """Measure with a clock that only the two ways move on: a function that sets their seconds.

    A list holds which way has run. Each way takes its seconds one after the other.
    """
    now, runs = [0.0], []
    monkeypatch.setattr(probe, "clock", lambda: now[0])

    def ways(**seconds):
        def way(name):
            def run():
                runs.append(name)
                now[0] += seconds[name][min(runs.count(name), len(seconds[name])) - 1]

            return run

        return lambda: (way("fast"), way("own"))

    return ways, runs


@pytest.mark.parametrize(("usual", "fast", "own", "chosen"), [
    (True, 1.0, 1.4, True),
    (True, 1.4, 1.0, True),  # the usual way is slower here, but not clearly
    (True, 1.6, 1.0, False),
    (False, 1.0, 1.4, False),
    (False, 1.0, 1.6, True),
    (False, 1.0, 0.1, False),
])  # fmt: skip
def test_the_usual_way_is_left_for_one_that_is_clearly_faster(measured, usual, fast, own, chosen):
    ways, _ = measured
    assert probe.is_faster("kind", usual, ways(fast=[fast], own=[own])) is chosen
    assert ways_chosen() == {"kind": chosen}


def test_one_round_that_is_not_clear_keeps_the_usual_way_and_ends_the_measurement(measured):
    """The first run of each way is not timed, as it is slower."""
    ways, runs = measured
    assert probe.is_faster("kind", True, ways(fast=[0.1, 3.0, 3.0, 1.0], own=[9.0, 1.0]))
    assert runs.count("own") == runs.count("fast") == 1 + 3


def test_a_kind_is_measured_once(measured):
    ways, runs = measured
    for _ in range(3):
        assert probe.is_faster("kind", False, ways(fast=[1.0], own=[2.0]))
    assert len(runs) == 2 * (1 + probe.ROUNDS)


def test_every_kind_has_an_example_of_two_ways():
    """Without a difference in time, each kind takes its usual way."""
    for name, (layer, shape) in LAYERS.items():
        with fast_layers(), paddle.no_grad():
            frozen(layer())(paddle.randn(shape))
        assert name in ways_chosen()
    assert ways_chosen() == {name: kind.usual for name, kind in KINDS.items()}


def frozen(layer):
    for parameter in layer.parameters():
        parameter.stop_gradient = True
    return layer


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "own"])
@pytest.mark.parametrize("name", KINDS)
def test_both_ways_give_the_numbers_of_paddle(name, fast, monkeypatch):
    """The way that was chosen is the one that runs."""
    choose_ways({**dict.fromkeys(KINDS, True), name: fast})
    layer, shape = LAYERS[name]
    paddle.seed(0)
    layer, images = frozen(layer()), paddle.randn(shape)
    expected = both_ways(layer, images)
    convolution._programs.cache_clear()
    made = []
    program = convolution.convolution_program
    monkeypatch.setattr(
        convolution, "convolution_program", lambda *kind: made.append(kind[0]) or program(*kind)
    )
    with fast_layers():
        found = both_ways(layer, images)
    if name == "gradients of pictures":
        assert [kind.fast_gradient for kind in made] == [fast, fast]
    else:
        assert bool(made) is fast
    for one, other in zip(found, expected):
        assert float((one - other).abs().max()) <= 5e-6 * float(other.abs().max())
    convolution._programs.cache_clear()


class StopAfter:
    """An event that is set after some iterations. The loop asks it once in each."""

    def __init__(self, iteration):
        self.left = iteration

    def is_set(self):
        self.left -= 1
        return self.left < 0


def saved_state(folder):
    """The record and the bytes of the arrays of a saved state."""
    with safe_open(str(folder / "class_1/state.safetensors"), framework="numpy") as file:
        record = json.loads(file.metadata()["run"].partition(" ")[2])
        return record, {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


def test_a_resumed_run_takes_the_ways_of_the_run_before(tmp_path, monkeypatch):
    """So it gives the same bytes, also if a new process would choose another way by itself."""
    monkeypatch.chdir(Path(__file__).parents[1])
    name = "large kernels on pictures"
    model = {"model": "{name: 'tiny:other_net', image_size: 32}"}
    settings = {**model, "target": 1, "iterations": 30, "frames.every": 10}

    def run(folder, way, stop=None, resume=False):
        monkeypatch.setattr(probe, "_CHOSEN", {} if way is None else {name: way})
        with monkeypatch.context() as patch:
            if stop:
                patch.setattr(run_module, "noted_interrupts", lambda: nullcontext(StopAfter(stop)))
            folder = run_generate(tmp_path / folder, 130 if stop else 0, resume=resume, **settings)
        return saved_state(folder)

    by_paddle, by_onednn = run("paddle", False), run("onednn", True)
    assert by_paddle[1] != by_onednn[1]  # in the last digits
    run("resumed", False, stop=14)
    resumed = run("resumed", None, resume=True)  # it would take oneDNN, as is usual
    assert resumed[1] == by_paddle[1]
    assert resumed[0]["ways"] == by_paddle[0]["ways"] == {name: False}
