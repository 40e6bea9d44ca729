"""Batches are even, and a run that would take very long is refused or told beforehand."""

import logging
from types import SimpleNamespace

import paddle
import pytest
from tiny import small_net

from visualize_pd import METHODS, VisualizeError, integrated_gradients, rise, smooth_grad
from visualize_pd.evaluate import deletion, infidelity
from visualize_pd.network import batching
from visualize_pd.network.batching import batches, free_gpu_memory, images_per_pass

IMAGE = paddle.ones([1, 3, 8, 8])
MAP = paddle.ones([1, 1, 8, 8])
HUGE = 10**12


@pytest.mark.parametrize(("count", "size", "sizes"), [
    (10, 4, [3, 3, 4]), (8, 4, [4, 4]), (3, 8, [3]), (1, 1, [1]),
])  # fmt: skip
def test_batches_are_alike_in_size(count, size, sizes):
    parts = list(batches(count, size, "counting"))
    assert [part.stop - part.start for part in parts] == sizes
    assert parts[0].start == 0 and parts[-1].stop == count


@pytest.mark.parametrize(("what", "call"), [
    ("masks", lambda network: rise(network, IMAGE, masks=HUGE)),
    ("cells", lambda network: rise(network, IMAGE, cells=10**6)),
    ("samples", lambda network: smooth_grad(network, IMAGE, samples=HUGE)),
    ("steps", lambda network: integrated_gradients(network, IMAGE, steps=HUGE)),
    ("draws", lambda network: integrated_gradients(
        network, IMAGE, steps=2, baseline="random", draws=HUGE)),
    ("samples", lambda network: infidelity(network, IMAGE, MAP, samples=HUGE)),
    ("steps", lambda network: deletion(network, IMAGE, MAP, steps=HUGE)),
])  # fmt: skip
def test_numbers_that_would_take_days_are_refused(what, call, time_limit):
    with time_limit(5), pytest.raises(VisualizeError, match=f"{what} must be at most [0-9,]+, not"):
        call(small_net())


def test_too_many_nodes_for_gauss_and_legendre(time_limit):
    with time_limit(5), pytest.raises(VisualizeError, match="use quadrature=midpoint"):
        integrated_gradients(small_net(), IMAGE, steps=10_000)


@pytest.mark.parametrize(("seconds", "told"), [
    (0.5, None),
    (2.0, "about 5.6 hours"),
    (200.0, "about 23.1 days"),
])  # fmt: skip
def test_a_long_run_is_told_after_its_first_batch(monkeypatch, caplog, seconds, told):
    monkeypatch.setattr(logging.getLogger("visualize_pd"), "propagate", True)
    clock = iter([0.0, seconds])
    monkeypatch.setattr(batching.time, "monotonic", lambda: next(clock))
    rounds = batches(20_000 if told else 2_000, 2, "hiding at random")
    next(rounds)
    next(rounds)
    messages = {record.getMessage() for record in caplog.records}
    assert messages == ({f"hiding at random, 20,000 times, will take {told}"} if told else set())


# What one image of 16 × 16 takes in `small_net`: 256 pixels, and 4·8·8 · 2 + 8·4·4 · 2 + 8 + 8 + 3
# numbers that its layers return.
BYTES_OF_AN_IMAGE = 250 * 256 + 12 * 787


@pytest.fixture
def sizes(monkeypatch):
    """The numbers of images in the passes of `small_net`, the first two of which are no loop."""
    found = []

    def watched():
        network = small_net()
        network.register_forward_pre_hook(lambda _, inputs: found.append(len(inputs[0])))
        return network

    return found, watched


@pytest.mark.parametrize("name", ["integrated_gradients", "smooth_grad", "rise", "hsic"])
@pytest.mark.parametrize(("free", "size"), [
    (None, 32), (40.1 * BYTES_OF_AN_IMAGE, 16), (8.1 * BYTES_OF_AN_IMAGE, 4), (1, 1), (1e12, 128),
])  # fmt: skip
def test_on_a_gpu_a_pass_takes_half_of_the_free_memory(monkeypatch, sizes, name, free, size):
    """The size is a power of two: here at most 128, because no more versions are asked for."""
    monkeypatch.setattr(batching, "free_gpu_memory", lambda images: free)
    found, network = sizes
    key = {"integrated_gradients": "steps", "rise": "masks"}.get(name, "samples")
    options = {"seed": 0, "cells": 2} if name == "hsic" else {}
    METHODS[name](network(), paddle.ones([1, 3, 16, 16]), 1, **{key: 128, **options})
    assert max(found) == size and found.count(size) >= 128 // size


@pytest.mark.parametrize("name", ["score_cam", "ablation_cam", "occlusion", "lime", "kernel_shap"])
def test_other_methods_ask_for_the_free_memory_too(monkeypatch, sizes, name):
    monkeypatch.setattr(batching, "free_gpu_memory", lambda images: 8.1 * BYTES_OF_AN_IMAGE)
    found, network = sizes
    segments = {"segments": (paddle.arange(256) // 16).reshape([1, 16, 16]), "samples": 20}
    options = segments if name in ("lime", "kernel_shap") else {}
    paddle.seed(0)
    METHODS[name](network(), paddle.rand([1, 3, 16, 16]), 1, **options)
    assert max(found) == 4


def test_free_memory_of_a_gpu(monkeypatch):
    """What the card has, less what this process has taken of it."""
    card = SimpleNamespace(total_memory=1000)
    monkeypatch.setattr(
        paddle.device.cuda, "get_device_properties", lambda number: card if number == 3 else None
    )
    monkeypatch.setattr(paddle.device.cuda, "memory_allocated", lambda number: 100 * number)
    place = SimpleNamespace(is_gpu_place=lambda: True, gpu_device_id=lambda: 3)
    assert free_gpu_memory(SimpleNamespace(place=place)) == 700
    assert free_gpu_memory(IMAGE) is None
    assert callable(IMAGE.place.gpu_device_id)


def test_images_that_are_made_together_are_as_many_on_every_device(monkeypatch):
    """A run that is resumed on another device has the same parts."""
    before = images_per_pass(small_net(), IMAGE)
    monkeypatch.setattr(batching, "free_gpu_memory", lambda images: 1)
    assert images_per_pass(small_net(), IMAGE) == before == 32
